target_sources(svi_formats PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/dtype.cc
  ${CMAKE_CURRENT_LIST_DIR}/pickle_value.cc
  ${CMAKE_CURRENT_LIST_DIR}/safetensors_header.cc
  ${CMAKE_CURRENT_LIST_DIR}/state_dict.cc
  ${CMAKE_CURRENT_LIST_DIR}/unpickler.cc
  ${CMAKE_CURRENT_LIST_DIR}/zip_archive.cc)

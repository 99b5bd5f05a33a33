target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/mapped_file.cc
  ${CMAKE_CURRENT_LIST_DIR}/pickle_value.cc
  ${CMAKE_CURRENT_LIST_DIR}/safetensors.cc
  ${CMAKE_CURRENT_LIST_DIR}/safetensors_folder.cc
  ${CMAKE_CURRENT_LIST_DIR}/safetensors_header.cc
  ${CMAKE_CURRENT_LIST_DIR}/safetensors_write.cc
  ${CMAKE_CURRENT_LIST_DIR}/state_dict.cc
  ${CMAKE_CURRENT_LIST_DIR}/torch_file.cc
  ${CMAKE_CURRENT_LIST_DIR}/unpickler.cc
  ${CMAKE_CURRENT_LIST_DIR}/weight_source.cc
  ${CMAKE_CURRENT_LIST_DIR}/zip_archive.cc)

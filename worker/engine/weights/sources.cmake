target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/mapped_file.cc
  ${CMAKE_CURRENT_LIST_DIR}/safetensors.cc
  ${CMAKE_CURRENT_LIST_DIR}/safetensors_folder.cc
  ${CMAKE_CURRENT_LIST_DIR}/safetensors_write.cc
  ${CMAKE_CURRENT_LIST_DIR}/scalar_type.cc
  ${CMAKE_CURRENT_LIST_DIR}/torch_file.cc
  ${CMAKE_CURRENT_LIST_DIR}/weight_source.cc)

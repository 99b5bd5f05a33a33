target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/lora_file.cc
  ${CMAKE_CURRENT_LIST_DIR}/lora_library.cc
  ${CMAKE_CURRENT_LIST_DIR}/lora_merge.cc
  ${CMAKE_CURRENT_LIST_DIR}/lora_switch.cc)

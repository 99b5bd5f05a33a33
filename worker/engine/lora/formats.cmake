target_sources(svi_formats PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/lora_alpha.cc
  ${CMAKE_CURRENT_LIST_DIR}/lora_layout.cc
  ${CMAKE_CURRENT_LIST_DIR}/lora_names.cc)

target_sources(svi_formats PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/key_map.cc)

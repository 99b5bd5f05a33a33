target_link_libraries(svi_engine PRIVATE absl::synchronization)
target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/prompt_encoder.cc
  ${CMAKE_CURRENT_LIST_DIR}/umt5.cc)

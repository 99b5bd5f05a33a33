target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/noise.cc
  ${CMAKE_CURRENT_LIST_DIR}/sampler.cc
  ${CMAKE_CURRENT_LIST_DIR}/schedule.cc
  ${CMAKE_CURRENT_LIST_DIR}/unipc.cc)

target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/block.cc
  ${CMAKE_CURRENT_LIST_DIR}/config.cc
  ${CMAKE_CURRENT_LIST_DIR}/rope.cc
  ${CMAKE_CURRENT_LIST_DIR}/timesteps.cc
  ${CMAKE_CURRENT_LIST_DIR}/transformer.cc)

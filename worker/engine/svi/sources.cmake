target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/carry.cc
  ${CMAKE_CURRENT_LIST_DIR}/chain.cc
  ${CMAKE_CURRENT_LIST_DIR}/defaults.cc
  ${CMAKE_CURRENT_LIST_DIR}/denoise.cc
  ${CMAKE_CURRENT_LIST_DIR}/pictures.cc
  ${CMAKE_CURRENT_LIST_DIR}/pipeline.cc
  ${CMAKE_CURRENT_LIST_DIR}/variants.cc)

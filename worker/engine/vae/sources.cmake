target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/config.cc
  ${CMAKE_CURRENT_LIST_DIR}/region.cc
  ${CMAKE_CURRENT_LIST_DIR}/causal_conv.cc
  ${CMAKE_CURRENT_LIST_DIR}/blocks.cc
  ${CMAKE_CURRENT_LIST_DIR}/resample.cc
  ${CMAKE_CURRENT_LIST_DIR}/encoder.cc
  ${CMAKE_CURRENT_LIST_DIR}/decoder.cc
  ${CMAKE_CURRENT_LIST_DIR}/vae.cc)

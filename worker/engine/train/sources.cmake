target_sources(svi_engine PRIVATE ${CMAKE_CURRENT_LIST_DIR}/flow_matching.cc)

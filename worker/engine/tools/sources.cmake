target_sources(svi_engine PRIVATE ${CMAKE_CURRENT_LIST_DIR}/init_model.cc)

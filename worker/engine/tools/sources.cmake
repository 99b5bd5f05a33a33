target_sources(svi_engine PRIVATE ${CMAKE_CURRENT_LIST_DIR}/init_model.cc)
target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/component_tools_inputs.cc)

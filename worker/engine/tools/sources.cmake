target_sources(svi_engine PRIVATE ${CMAKE_CURRENT_LIST_DIR}/init_model.cc)
target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/component_tools.cc
  ${CMAKE_CURRENT_LIST_DIR}/component_tools_inputs.cc
  ${CMAKE_CURRENT_LIST_DIR}/component_tools_models.cc
  ${CMAKE_CURRENT_LIST_DIR}/component_tools_plain.cc
  ${CMAKE_CURRENT_LIST_DIR}/component_tools_sample.cc)
target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/bench.cc
  ${CMAKE_CURRENT_LIST_DIR}/bench_flops.cc
  ${CMAKE_CURRENT_LIST_DIR}/bench_memory.cc
  ${CMAKE_CURRENT_LIST_DIR}/bench_parts.cc
  ${CMAKE_CURRENT_LIST_DIR}/bench_train.cc)

target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/component.cc
  ${CMAKE_CURRENT_LIST_DIR}/fingerprint.cc
  ${CMAKE_CURRENT_LIST_DIR}/weight_files.cc
  ${CMAKE_CURRENT_LIST_DIR}/infer_config.cc
  ${CMAKE_CURRENT_LIST_DIR}/renamed_source.cc
  ${CMAKE_CURRENT_LIST_DIR}/loaders.cc)

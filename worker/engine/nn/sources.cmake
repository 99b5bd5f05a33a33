target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/checkpointed.cc
  ${CMAKE_CURRENT_LIST_DIR}/layers.cc
  ${CMAKE_CURRENT_LIST_DIR}/linear_recorded.cc
  ${CMAKE_CURRENT_LIST_DIR}/linear_upcast.cc
  ${CMAKE_CURRENT_LIST_DIR}/rms_norm_recorded.cc)
target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/device.cc
  ${CMAKE_CURRENT_LIST_DIR}/device_$<IF:$<BOOL:${SVI_WITH_CUDA}>,cuda,cpu>.cc)
if(SVI_WITH_CUDA)
  find_package(CUDAToolkit REQUIRED)
  target_link_libraries(svi_engine PRIVATE CUDA::cudart)
endif()

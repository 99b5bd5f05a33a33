target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/modulated_norm.cc
  ${CMAKE_CURRENT_LIST_DIR}/modulated_norm_recorded.cc
  ${CMAKE_CURRENT_LIST_DIR}/token_rows.cc)
if(SVI_WITH_CUDA)
  # CMake 3.25 does not know nvcc 13's C++20; the kernels need neither that nor LibTorch's headers.
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_ARCHITECTURES 80 86 89 90)
  enable_language(CUDA)
  add_library(svi_cuda_kernels STATIC ${CMAKE_CURRENT_LIST_DIR}/modulated_norm.cu)
  target_sources(svi_engine PRIVATE ${CMAKE_CURRENT_LIST_DIR}/modulated_norm_cuda.cc)
  target_link_libraries(svi_engine PRIVATE svi_cuda_kernels)
else()
  target_sources(svi_engine PRIVATE ${CMAKE_CURRENT_LIST_DIR}/modulated_norm_none.cc)
endif()

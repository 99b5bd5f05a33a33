# LibTorch as it comes in torch's PyPI wheel. Not find_package(Torch): that enables CUDA as a language even for a CPU
# build, and redefines protobuf::libprotobuf.
#
# LibTorch::cpu  libtorch_cpu, libc10, headers (the wheel is a CUDA build, so libcudart and libcupti come along).
# LibTorch::cuda adds libtorch_cuda, libc10_cuda, kept although nothing refers to them by symbol.
file(GLOB site "${SVI_VENV}/lib/python3*/site-packages")
find_path(LibTorch_INCLUDE_DIR ATen/ATen.h PATHS "${site}/torch/include" NO_DEFAULT_PATH)
find_library(LibTorch_CPU torch_cpu PATHS "${site}/torch/lib" NO_DEFAULT_PATH)
find_library(LibTorch_C10 c10 PATHS "${site}/torch/lib" NO_DEFAULT_PATH)
find_library(LibTorch_CUDA torch_cuda PATHS "${site}/torch/lib" NO_DEFAULT_PATH)
find_library(LibTorch_C10_CUDA c10_cuda PATHS "${site}/torch/lib" NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_CPU LibTorch_C10 LibTorch_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "run scripts/setup.sh, or set SVI_VENV to a virtual environment that holds torch")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  file(GLOB nvidia_libs "${site}/nvidia/*/lib")
  add_library(LibTorch::cpu INTERFACE IMPORTED)
  target_include_directories(LibTorch::cpu SYSTEM INTERFACE
    "${LibTorch_INCLUDE_DIR}" "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  target_link_libraries(LibTorch::cpu INTERFACE "${LibTorch_CPU}" "${LibTorch_C10}")
  # DT_RPATH and not DT_RUNPATH: it must also serve the libraries that libtorch_cpu itself asks for.
  target_link_options(LibTorch::cpu INTERFACE
    "-Wl,--disable-new-dtags" "-Wl,-rpath,${site}/torch/lib" "-Wl,-rpath-link,${site}/torch/lib")
  foreach(dir IN LISTS nvidia_libs)
    target_link_options(LibTorch::cpu INTERFACE "-Wl,-rpath,${dir}" "-Wl,-rpath-link,${dir}")
  endforeach()

  add_library(LibTorch::cuda INTERFACE IMPORTED)
  target_link_libraries(LibTorch::cuda INTERFACE LibTorch::cpu
    "-Wl,--no-as-needed" "${LibTorch_CUDA}" "${LibTorch_C10_CUDA}" "-Wl,--as-needed")
  # The lean wheel set has no cuBLAS, cuDNN…: a GPU host has them (setup.sh --cuda), the link need not.
  target_link_options(LibTorch::cuda INTERFACE "-Wl,--unresolved-symbols=ignore-in-shared-libs")
endif()

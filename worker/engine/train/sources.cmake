target_link_libraries(svi_engine PRIVATE svi_sha256 absl::strings)
target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/checkpoint_folder.cc
  ${CMAKE_CURRENT_LIST_DIR}/error_collector.cc
  ${CMAKE_CURRENT_LIST_DIR}/sample_stream.cc
  ${CMAKE_CURRENT_LIST_DIR}/train_step.cc
  ${CMAKE_CURRENT_LIST_DIR}/trainer.cc
  ${CMAKE_CURRENT_LIST_DIR}/training_run.cc
  ${CMAKE_CURRENT_LIST_DIR}/training_setup.cc)
target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/adamw.cc
  ${CMAKE_CURRENT_LIST_DIR}/cache_names.cc
  ${CMAKE_CURRENT_LIST_DIR}/data_order.cc
  ${CMAKE_CURRENT_LIST_DIR}/flow_matching.cc
  ${CMAKE_CURRENT_LIST_DIR}/latent_cache.cc
  ${CMAKE_CURRENT_LIST_DIR}/learning_rate.cc
  ${CMAKE_CURRENT_LIST_DIR}/lora_adapter.cc
  ${CMAKE_CURRENT_LIST_DIR}/parameter.cc
  ${CMAKE_CURRENT_LIST_DIR}/tensor_shelf.cc
  ${CMAKE_CURRENT_LIST_DIR}/trainable.cc
  ${CMAKE_CURRENT_LIST_DIR}/trained_files.cc
  ${CMAKE_CURRENT_LIST_DIR}/training_state.cc
  ${CMAKE_CURRENT_LIST_DIR}/weight_average.cc
  ${CMAKE_CURRENT_LIST_DIR}/window_encoder.cc
  ${CMAKE_CURRENT_LIST_DIR}/windows.cc)
target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/error_bank.cc
  ${CMAKE_CURRENT_LIST_DIR}/error_recycling.cc
  ${CMAKE_CURRENT_LIST_DIR}/recycling_advice.cc
  ${CMAKE_CURRENT_LIST_DIR}/uniform.cc)

# Between the processes of a run: OpenMPI, and NCCL between GPUs. NCCL's wheel comes with torch's on a GPU host; the CUDA
# toolkit has it too, which is enough to link.
pkg_check_modules(OpenMPI REQUIRED IMPORTED_TARGET ompi-c)
target_link_libraries(svi_engine PRIVATE PkgConfig::OpenMPI)
target_sources(svi_engine PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/collectives.cc
  ${CMAKE_CURRENT_LIST_DIR}/flat_buckets.cc
  ${CMAKE_CURRENT_LIST_DIR}/mpi_ranks.cc
  ${CMAKE_CURRENT_LIST_DIR}/patience.cc)
if(SVI_WITH_CUDA)
  file(GLOB nccl_wheel "${SVI_VENV}/lib/python3*/site-packages/nvidia/nccl")
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS "${nccl_wheel}/include" /usr/local/cuda/include REQUIRED)
  find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS "${nccl_wheel}/lib" /usr/local/cuda/lib REQUIRED)
  target_include_directories(svi_engine SYSTEM PRIVATE "${NCCL_INCLUDE_DIR}")
  target_link_libraries(svi_engine PRIVATE "${NCCL_LIBRARY}")
  target_sources(svi_engine PRIVATE ${CMAKE_CURRENT_LIST_DIR}/nccl_collectives.cc)
else()
  target_sources(svi_engine PRIVATE ${CMAKE_CURRENT_LIST_DIR}/nccl_collectives_none.cc)
endif()

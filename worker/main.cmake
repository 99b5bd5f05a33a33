# svi-worker: the only binary that links LibTorch.
add_library(svi_worker_commands STATIC commands.cc generate.cc init_model.cc serve.cc)
svi_target(svi_worker_commands)
target_compile_definitions(svi_worker_commands PRIVATE SVI_VERSION="${PROJECT_VERSION}")
target_link_libraries(svi_worker_commands
  PUBLIC svi_engine_api svi_flags svi_log absl::status absl::statusor
  PRIVATE svi_agent svi_media nlohmann_json::nlohmann_json prometheus-cpp::pull spdlog::spdlog Threads::Threads)

if(SVI_WITH_TORCH)
  add_executable(svi-worker main.cc)
  svi_target(svi-worker)
  target_link_libraries(svi-worker PRIVATE svi_worker_commands svi_engine)
endif()

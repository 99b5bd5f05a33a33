target_sources(svi_engine PRIVATE)

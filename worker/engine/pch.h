// Precompiled for all of the engine: the headers that cost the most.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

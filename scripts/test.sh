#!/usr/bin/env bash
# Sets up, builds and runs every test. Arguments go to ctest: scripts/test.sh -R Fault
#   SVI_PRESET=asan scripts/test.sh   the same under AddressSanitizer + UBSan, for everything without LibTorch
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${SVI_PRESET:-release}
scripts/setup.sh
echo "== building (preset $preset)"
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset"
echo "== testing"
ctest --preset "$preset" -j2 "$@"

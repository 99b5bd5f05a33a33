#!/usr/bin/env bash
# The long form of the chaos run: faults at random for as long as you like, then the check that nothing came of it.
# Ends with one line of figures, as JSON; fails if a video was lost, doubled, changed, or failed without a reason.
#
#   tests/fault/run.sh [--minutes=60] [--seed=N] [--logs=DIR]
#
# --seed repeats a run's faults, in their order. --logs keeps what servers and workers say. As root it also cuts and
# slows the workers' networks. SVI_PRESET: which build (default: release). SVI_BIN_DIR: binaries from elsewhere.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
bin=${SVI_BIN_DIR:-$root/build/${SVI_PRESET:-release}/bin}
minutes=60
for arg in "$@"; do
  case $arg in
    --minutes=*) minutes=${arg#*=} ;;
    --seed=*) export SVI_FAULT_SEED=${arg#*=} ;;
    --logs=*) export SVI_FAULT_LOGS=${arg#*=}; mkdir -p "$SVI_FAULT_LOGS" ;;
    -h|--help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "run.sh: unknown option '$arg' (known: --minutes, --seed, --logs, --help)" >&2; exit 2 ;;
  esac
done
if [ ! -x "$bin/fault_chaos_test" ]; then
  echo "run.sh: there is no $bin/fault_chaos_test: build first" >&2
  exit 1
fi
SVI_BIN_DIR=$bin SVI_FAULT_SECONDS=$((60 * minutes)) exec "$bin/fault_chaos_test"

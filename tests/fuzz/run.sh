#!/usr/bin/env bash
# Builds the fuzz targets (clang, libFuzzer, ASan, UBSan; no LibTorch) and runs them one after another.
#
#   tests/fuzz/run.sh [--seconds=N] [--jobs=N] [--no-build] [TARGET…]
#
# --seconds: for each target (default 60). --jobs: targets at a time (default 1). Every target starts from its seeds and
# from what earlier runs found, build/fuzz/corpus/TARGET. Prints a line for each; what crashes, hangs or grows too large
# is kept as build/fuzz/findings/TARGET-…, and the exit status is 1.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=60
jobs=1
build=true
targets=()
for arg in "$@"; do
  case $arg in
    --seconds=*) seconds=${arg#*=} ;;
    --jobs=*) jobs=${arg#*=} ;;
    --no-build) build=false ;;
    -h|--help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "run.sh: unknown option '$arg' (known: --seconds, --jobs, --no-build, --help)" >&2; exit 2 ;;
    *) targets+=("$arg") ;;
  esac
done
if [ "${#targets[@]}" -eq 0 ]; then
  for folder in tests/fuzz/seeds/*/; do targets+=("$(basename "$folder")"); done
fi

if $build; then
  cmake --preset fuzz >/dev/null
  cmake --build --preset fuzz
fi

# No memory for an absurd size is an answer that the code has to live with, as in production.
export ASAN_OPTIONS=allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1
mkdir -p build/fuzz/findings
failures=$(mktemp)
trap 'rm -f "$failures"' EXIT

run_target() {
  local target=$1 corpus=build/fuzz/corpus/$1 log=build/fuzz/$1.log status=0
  local dictionary=tests/fuzz/$target.dict options=()
  [ -f "$dictionary" ] && options+=("-dict=$dictionary")
  mkdir -p "$corpus"
  build/fuzz/bin/fuzz_"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix=build/fuzz/findings/"$target"- "${options[@]}" "$corpus" tests/fuzz/seeds/"$target" >"$log" 2>&1 || status=$?
  local executions coverage
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 || true)
  printf '%-20s %12s executions  %-11s %s\n' "$target" "${executions:-?}" "${coverage:-cov: ?}" \
    "$([ "$status" -eq 0 ] && echo ok || echo "FOUND: $(grep -oE 'build/fuzz/findings/[^ ]+' "$log" | tail -n 1), see $log")"
  return "$status"
}

for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
  run_target "$target" || echo "$target" >>"$failures" &
done
wait
[ ! -s "$failures" ]

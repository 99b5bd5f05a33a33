#!/usr/bin/env bash
# From a bare checkout to clips of a real picture: sets up, builds, starts a server and a worker, asks for a video
# through gRPC, and says where the clips are. The model is the small one of models/demo: what it can do, and what it can
# not, is in models/demo/README.md.
#   scripts/demo.sh [FOLDER]   clips go to FOLDER (default: demo-output)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=$(realpath -m "${1:-$root/demo-output}")
bin=$root/build/release/bin
work=$(mktemp -d)

server_pid= worker_pid=
stop() {
  # The worker first, so that it does not look for its server.
  [ -z "$worker_pid" ] || kill -TERM "$worker_pid" 2>/dev/null || true
  [ -z "$worker_pid" ] || wait "$worker_pid" || true
  [ -z "$server_pid" ] || kill -TERM "$server_pid" 2>/dev/null || true
  [ -z "$server_pid" ] || wait "$server_pid" || true
  rm -rf "$work"
}
trap stop EXIT

# wait_for LOG TEXT PID: until the process has said TEXT; prints the rest of that line.
wait_for() {
  until line=$(grep -m1 -F "$2" "$1"); do
    kill -0 "$3" 2>/dev/null || { echo "demo.sh: a process ended early:" >&2; cat "$1" >&2; exit 1; }
    sleep 0.1
  done
  echo "${line##*"$2"}"
}

cd "$root"
scripts/setup.sh
echo "== building"
cmake --preset release >/dev/null
cmake --build --preset release --target svi-server svi-worker svi

echo "== starting server and worker"
"$bin/svi-server" --listen=127.0.0.1:0 --metrics-listen=127.0.0.1:0 --data-dir="$work/data" >"$work/server.log" 2>&1 &
server_pid=$!
address=$(wait_for "$work/server.log" "svi-server: listening on " "$server_pid")
"$bin/svi-worker" --server="$address" --model=models/demo/model --lora-dir=models/demo/loras --metrics-listen=127.0.0.1:0 >"$work/worker.log" 2>&1 &
worker_pid=$!
wait_for "$work/worker.log" "registered" "$worker_pid" >/dev/null

echo "== asking $address for a video of three clips"
rm -f "$out"/clip-*.mp4
"$bin/svi" --server="$address" generate models/demo/held-out/00007.png --lora=pro \
  --prompt "a blue star moves down" \
  --prompt "a blue star moves to the right" \
  --prompt "a blue star stands still" \
  --out "$out"

echo "== the clips"
ls -l "$out"/clip-*.mp4

#!/usr/bin/env bash
# Makes the benchmark's own Python, build/bench-venv, with what requirements.txt pins (about 6 GB: torch's
# wheel brings its CUDA libraries). It has nothing to do with .venv, which the engine is built from, and no
# test needs it. Safe to run again.
#
#   tests/bench/setup.sh [FOLDER]   FOLDER instead of build/bench-venv
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
case ${1:-} in
  -h|--help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
  -*) echo "setup.sh: unknown option '$1'" >&2; exit 2 ;;
esac
venv=${1:-$here/../../build/bench-venv}

if cmp -s "$here/requirements.txt" "$venv/.requirements"; then
  echo "== $venv: already there"
  exit 0
fi
mkdir -p "$(dirname "$venv")"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip --disable-pip-version-check install --quiet -r "$here/requirements.txt"
cp "$here/requirements.txt" "$venv/.requirements"
echo "== $venv: ready"

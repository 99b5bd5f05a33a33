#!/usr/bin/env python3
"""Times svi-worker against diffusers (eager, float32, the same weights and threads), in turns.

Run it with a Python that has requirements.txt: build/bench-venv/bin/python tests/bench/compare.py
See README.md beside this file.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Case(NamedTuple):
    name: str
    part: str  # of svi-worker bench
    row: str  # of its report
    folder: str  # of the checkpoint
    width: int
    height: int
    frames: int


CASES = {
    "mid": [
        Case("DiT, 192 tokens", "dit", "dit-forward", "transformer", 256, 256, 9),
        Case("DiT, 1560 tokens", "dit", "dit-forward", "transformer", 832, 480, 13),
        Case("VAE encode, 5 frames", "vae-encode", "vae-encode-whole", "vae", 256, 256, 5),
        Case("VAE encode, 17 frames", "vae-encode", "vae-encode-whole", "vae", 256, 256, 17),
        Case("VAE decode, 5 frames", "vae-decode", "vae-decode-whole", "vae", 256, 256, 5),
        Case("VAE decode, 17 frames", "vae-decode", "vae-decode-whole", "vae", 256, 256, 17),
        Case("text encoder, 512 tokens", "text-encoder", "text-encoder-full", "text_encoder", 64, 64, 5),
    ],
    "quick": [
        Case("DiT, 32 tokens", "dit", "dit-forward", "transformer", 128, 128, 5),
        Case("VAE encode, 5 frames", "vae-encode", "vae-encode-whole", "vae", 64, 64, 5),
        Case("VAE decode, 5 frames", "vae-decode", "vae-decode-whole", "vae", 64, 64, 5),
        Case("text encoder, 512 tokens", "text-encoder", "text-encoder-full", "text_encoder", 64, 64, 5),
    ],
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", type=pathlib.Path, default=ROOT / "build/release/bin/svi-worker")
    parser.add_argument("--python", help="run with this Python instead (one that has requirements.txt)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, help="of each case; default: 5, with --quick 2")
    parser.add_argument("--only", action="append", default=[], help="cases whose part this is: dit, vae-encode, …")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, says nothing of speed")
    parser.add_argument("--json", type=pathlib.Path, help="write the numbers here, too")
    args = parser.parse_args()
    if args.threads < 1 or (args.rounds is not None and args.rounds < 1):
        parser.error("--threads and --rounds must be at least 1")
    if not os.access(args.worker, os.X_OK):
        parser.error(f"--worker: {args.worker} is not there; build the target svi-worker")
    return args


def run_worker(args, model, case):
    """One run: svi-worker loads, runs the row once unseen (it counts operations) and times the second run."""
    report = subprocess.run(
        [str(args.worker), "bench", f"--model={model / case.folder}", f"--part={case.row}", "--device=cpu",
         f"--threads={args.threads}", f"--width={case.width}", f"--height={case.height}", f"--frames={case.frames}",
         "--repeats=1", "--json"],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return json.loads(report)


def run_reference(work):
    import torch

    with torch.inference_mode():
        work()
        start = time.perf_counter()
        work()
        return time.perf_counter() - start


def compare(args, model, reference, case, rounds):
    """The two take turns, and take turns at being first."""
    work = reference.work(case.part, case.width, case.height, case.frames)
    ours, theirs, gemm, gflop = [], [], [], 0.0
    for i in range(rounds):
        for side in ("ours", "theirs") if i % 2 == 0 else ("theirs", "ours"):
            if side == "theirs":
                theirs.append(run_reference(work))
                continue
            report = run_worker(args, model, case)
            (row,) = report["parts"]
            ours.append(row["seconds"])
            gflop = row["gflop"]
            gemm.append(report["gemm_gflops"])
    return {
        "name": case.name,
        "gflop": gflop,
        "gemm_gflops": statistics.median(gemm),
        "ours_seconds": statistics.median(ours),
        "diffusers_seconds": statistics.median(theirs),
        # Of neighbours in time, so that a machine that slows down does not decide it.
        "speedup": statistics.median(b / a for a, b in zip(ours, theirs)),
        "speedup_of_fastest": min(theirs) / min(ours),
        "ours_all": ours,
        "diffusers_all": theirs,
    }


def machine(args):
    import diffusers
    import torch
    import transformers

    cpu = platform.processor() or platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    version = subprocess.run([str(args.worker), "bench", "--version"], check=True, stdout=subprocess.PIPE, text=True)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": args.threads,
        "load_average_at_start": os.getloadavg()[0],
        "worker": version.stdout.strip(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
    }


def print_header(about):
    print(f"{about['cpu']}, {about['cores']} cores ({about['capability']}), {about['threads']} threads, "
          f"load {about['load_average_at_start']:.1f} at the start")
    print(f"{about['worker']}; torch {about['torch']}, diffusers {about['diffusers']}, "
          f"transformers {about['transformers']}; float32")
    if about["load_average_at_start"] > 0.5:
        print("Something else is running: only the ratios mean anything, and those not much.")
    print(f"\n{'':26}{'ours s':>10}{'diffusers s':>13}{'speed-up':>10}{'of fastest':>12}{'GFLOP':>10}{'of GEMM':>9}")


def print_case(result):
    share = result["gflop"] / result["ours_seconds"] / result["gemm_gflops"]
    print(f"{result['name']:26}{result['ours_seconds']:10.4f}{result['diffusers_seconds']:13.4f}"
          f"{result['speedup']:9.2f}×{result['speedup_of_fastest']:11.2f}×{result['gflop']:10.2f}{share:9.0%}",
          flush=True)


def main():
    args = parse_args()
    if args.python:
        rest = [a for i, a in enumerate(sys.argv[1:], 1)
                if not a.startswith("--python") and sys.argv[i - 1] != "--python"]
        os.execv(args.python, [args.python, __file__, *rest])
    try:
        import torch
        import models
    except ImportError as error:
        sys.exit(f"compare.py: {error}; run tests/bench/setup.sh, then this with build/bench-venv/bin/python")
    torch.set_num_threads(args.threads)
    size = "quick" if args.quick else "mid"
    rounds = args.rounds or (2 if args.quick else 5)
    cases = [case for case in CASES[size] if not args.only or case.part in args.only]
    if not cases:
        sys.exit("compare.py: --only: there are dit, vae-encode, vae-decode and text-encoder")
    about = machine(args)
    results = []
    with tempfile.TemporaryDirectory(prefix="svi-bench-") as folder:
        model = pathlib.Path(folder)
        models.make(size, model)
        reference = models.Reference(model)
        print_header(about)
        for case in cases:
            results.append(compare(args, model, reference, case, rounds))
            print_case(results[-1])
    if args.json:
        args.json.write_text(json.dumps({"machine": about, "rounds": rounds, "cases": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()

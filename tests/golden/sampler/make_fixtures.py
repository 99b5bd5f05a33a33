"""Schedules and trajectories of the reference samplers, and torch's noise, for tests/worker/engine/sampler.

    python make_fixtures.py WAN/wan/utils/fm_solvers_unipc.py SVI/diffsynth/schedulers/flow_match.py

WAN: github.com/Wan-Video/Wan2.2 at 42bf4cf, SVI: github.com/vita-epfl/Stable-Video-Infinity at 34e4c50; torch 2.15,
diffusers 0.42.1, CPU. The trajectories integrate the made-up velocity 0.3 x + sin(t / 1000).
"""
import importlib.util
import os
import pathlib
import subprocess
import sys

import torch
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent
RUNS = [(1, 5.0), (2, 5.0), (4, 5.0), (20, 3.0), (50, 5.0), (50, 8.0)]

# Torch has one way below 16 values and another from there on, which redraws the last 16 if the count is no multiple.
NOISE = """
import sys, torch
from safetensors.torch import save_file
out = {}
for seed in (0, 42, 2**64 - 1):
    for shape in ((3, 5), (16,), (17,), (3, 11), (1, 2, 3, 4, 5)):
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        out[f"noise.{torch.backends.cpu.get_cpu_capability()}.seed{seed}.{'x'.join(map(str, shape))}"] = noise
save_file(out, sys.argv[1])
"""


def load(path):
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start():
    generator = torch.Generator().manual_seed(3)
    return (torch.randint(0, 65536, (2, 3, 7), generator=generator).float() - 32768) / 16384


def trajectory(scheduler, out, name):
    x = start()
    xs = [x]
    for t in scheduler.timesteps:
        velocity = 0.3 * x + torch.sin(t.double() / 1000).float()
        x = scheduler.step(velocity, t, x)
        x = x if isinstance(x, torch.Tensor) else x.prev_sample
        xs.append(x)
    out[f"{name}.x"] = torch.stack(xs)
    out[f"{name}.sigmas"] = scheduler.sigmas.clone()
    out[f"{name}.timesteps"] = scheduler.timesteps.clone()


def main():
    torch.set_num_threads(1)
    wan, svi = load(sys.argv[1]), load(sys.argv[2])
    out = {}
    for steps, shift in RUNS:
        name = f"steps{steps}_shift{shift:g}"
        # As Wan's textimage2video.py does it: shift 1 in the constructor, the real one with the steps.
        unipc = wan.FlowUniPCMultistepScheduler(num_train_timesteps=1000, shift=1, use_dynamic_shifting=False)
        unipc.set_timesteps(steps, device="cpu", shift=shift)
        trajectory(unipc, out, f"unipc.{name}")
        # As SVI's pipeline does it.
        euler = svi.FlowMatchScheduler(shift=5, sigma_min=0.0, extra_one_step=True)
        euler.set_timesteps(steps, denoising_strength=1.0, shift=shift)
        trajectory(euler, out, f"euler.{name}")
    # Logarithms and cosines differ in the last place between kinds of CPUs: one set for each.
    for capability in ("default", "avx2", "avx512"):
        subprocess.run([sys.executable, "-c", NOISE, HERE / "noise.tmp"],
                       env=os.environ | {"ATEN_CPU_CAPABILITY": capability}, check=True)
        out |= load_file(HERE / "noise.tmp")
        os.remove(HERE / "noise.tmp")
    save_file(out, HERE / "sampler.safetensors")


main()

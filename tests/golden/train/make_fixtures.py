"""Gradients and optimiser steps of PyTorch's own training, for tests/worker/engine/train.

    python make_fixtures.py          (torch 2.15, diffusers 0.42.1, peft 0.21.2, CPU)

Weights, inputs and gradients that are fed in are drawn from torch's integer generator on both sides, as in
tests/golden/dit; only results are stored.
"""
import math
import pathlib

import torch
from diffusers import WanTransformer3DModel
from diffusers.models import embeddings
from diffusers.optimization import get_scheduler
from peft import LoraConfig
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
CONFIG = dict(num_attention_heads=2, attention_head_dim=12, in_channels=8, out_channels=8, text_dim=16, freq_dim=16,
              ffn_dim=40, num_layers=2)
ORIGINAL = {"attn1": "self_attn", "attn2": "cross_attn", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "o",
            "ffn.net.0.proj": "ffn.0", "ffn.net.2": "ffn.2"}


def uniform(seed, shape, scale):
    """In [-scale, scale)."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randint(0, 65536, shape, generator=generator).float() - 32768) / 32768 * scale


def weight(name, index, shape):
    if "norm" in name and name.endswith(".weight"):
        return 1 + uniform(1000 + index, shape, 0.25)
    if name.endswith("scale_shift_table"):
        return uniform(1000 + index, shape, 0.5)
    if name.endswith(".bias"):
        return uniform(1000 + index, shape, 0.1)
    return uniform(1000 + index, shape, math.sqrt(3.0 / (math.prod(shape) // shape[0])))


def double_sinusoid(timesteps, width, **_):
    half = width // 2
    omega = torch.pow(10000.0, -torch.arange(half, dtype=torch.float64) / half)
    angles = timesteps.double()[:, None] * omega[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1).float()


def build():
    model = WanTransformer3DModel(patch_size=(1, 2, 2), cross_attn_norm=True, qk_norm="rms_norm_across_heads", eps=1e-6,
                                  **CONFIG)
    state = model.state_dict()
    model.load_state_dict({key: weight(key, i, tuple(state[key].shape)) for i, key in enumerate(sorted(state))})
    return model


def loss_of(model):
    """Mean squared miss outside the clean slot; two timesteps in one row, three in the other; padded texts."""
    hidden, target = uniform(1, (2, 8, 3, 4, 6), 1.7), uniform(3, (2, 8, 3, 4, 6), 1.7)
    text = torch.nn.functional.pad(uniform(2, (2, 7, 16), 1.7), (0, 0, 0, 5))
    text[1, 4:] = 0
    timestep = torch.tensor([875.5, 312.25])[:, None].repeat(1, 18)
    timestep[:, :6] = 0
    timestep[1, 12:] = 500.125
    prediction = model(hidden, timestep, text, return_dict=False)[0]
    return (prediction - target)[:, :, 1:].square().mean()


def full_gradients():
    model = build()
    loss = loss_of(model)
    loss.backward()
    return {"loss": loss.detach(), **{name: p.grad.contiguous() for name, p in model.named_parameters()}}


def lora_name(name):
    """blocks.0.attn1.to_q.lora_A.default.weight as SVI's files spell it."""
    for diffusers, original in ORIGINAL.items():
        name = name.replace("." + diffusers + ".", "." + original + ".")
    return "pipe.dit." + name


def lora_gradients():
    model = build()
    model.requires_grad_(False)
    model.add_adapter(LoraConfig(r=4, lora_alpha=6, target_modules=["to_q", "to_k", "to_v", "to_out.0",
                                                                     "ffn.net.0.proj", "ffn.net.2"]))
    adapters = {lora_name(name): p for name, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for i, name in enumerate(sorted(adapters)):
            adapters[name].copy_(uniform(5000 + i, tuple(adapters[name].shape), 0.5))
    loss = loss_of(model)
    loss.backward()
    return {"loss": loss.detach(), **{name: p.grad.contiguous() for name, p in adapters.items()}}


def optimiser_steps():
    """Six steps, of which some are clipped, with the learning rate of a cosine schedule."""
    shapes = [(5, 3), (7,), (1, 2, 4)]
    parameters = [torch.nn.Parameter(uniform(20 + i, shape, 1.0)) for i, shape in enumerate(shapes)]
    optimiser = torch.optim.AdamW(parameters, lr=1e-2, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)
    schedule = get_scheduler("cosine", optimiser, num_warmup_steps=2, num_training_steps=8)
    norms, states = [], {}
    for step in range(6):
        for i, p in enumerate(parameters):
            p.grad = uniform(100 + 10 * step + i, p.shape, 0.1 if step % 2 else 2.0)
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 1.0))
        optimiser.step()
        schedule.step()
        for i, p in enumerate(parameters):
            states[f"{step}.{i}"] = p.detach().clone()
    return {"norms": torch.stack(norms), **states}


def learning_rates():
    rates = {}
    for name in ("constant_with_warmup", "cosine", "linear"):
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
        schedule = get_scheduler(name, optimiser, num_warmup_steps=5, num_training_steps=20)
        values = []
        for _ in range(24):
            values.append(schedule.get_last_lr()[0])
            optimiser.step()
            schedule.step()
        rates[name] = torch.tensor(values[:21], dtype=torch.float64)  # Diffusers' cosine rises again behind its end
    return rates


def main():
    torch.set_num_threads(1)
    embeddings.get_timestep_embedding = double_sinusoid
    save_file(full_gradients(), HERE / "full.safetensors")
    save_file(lora_gradients(), HERE / "lora.safetensors")
    save_file(optimiser_steps(), HERE / "adamw.safetensors")
    save_file(learning_rates(), HERE / "learning_rates.safetensors")


main()

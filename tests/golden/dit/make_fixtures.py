"""Outputs of diffusers' WanTransformer3DModel on small seeded models, for tests/worker/engine/dit/transformer_test.cc.

    python make_fixtures.py          (torch 2.15, diffusers 0.42.1, CPU)

Weights and inputs are not stored: both sides draw them from torch's integer generator, which gives the same numbers on
every CPU. diffusers forms the timestep's sinusoid in float32 and Wan's own code in float64; it is replaced by the latter
here, so that the comparison can be tight.
"""
import math
import pathlib

import torch
from diffusers import WanTransformer3DModel
from diffusers.models import embeddings
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
CONFIGS = {
    "a": dict(num_attention_heads=4, attention_head_dim=24, in_channels=48, out_channels=48, text_dim=32, freq_dim=32,
              ffn_dim=160, num_layers=2),
    "b": dict(num_attention_heads=4, attention_head_dim=32, in_channels=16, out_channels=16, text_dim=24, freq_dim=64,
              ffn_dim=144, num_layers=1),
}
GRIDS = {"a": (3, 6, 10), "b": (4, 6, 22)}


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


def build(name, **overrides):
    model = WanTransformer3DModel(patch_size=(1, 2, 2), cross_attn_norm=True, qk_norm="rms_norm_across_heads",
                                  **{"eps": 1e-6, **CONFIGS[name], **overrides}).eval()
    state = model.state_dict()
    model.load_state_dict({key: weight(key, i, tuple(state[key].shape)) for i, key in enumerate(sorted(state))})
    return model


def tokens(times, tokens_per_frame, frames):
    """One row a sample: 0 for the first frame, times[i] for the others."""
    rows = torch.tensor(times)[:, None].repeat(1, frames * tokens_per_frame)
    rows[:, :tokens_per_frame] = 0
    return rows


def main():
    torch.set_num_threads(1)
    embeddings.get_timestep_embedding = double_sinusoid
    for name, config in CONFIGS.items():
        model = build(name)
        frames, height, width = GRIDS[name]
        hidden = uniform(1, (2, config["in_channels"], frames, height, width), 1.7)
        text = uniform(2, (2, 17, config["text_dim"]), 1.7)
        padded = torch.nn.functional.pad(text, (0, 0, 0, 47))
        padded[1, 9:] = 0
        per_frame = height * width // 4
        mixed = tokens([999.8, 312.25], per_frame, frames)
        mixed[1, 2 * per_frame:] = 500.125  # three timesteps in this row, two in the other
        cases = {
            "scalar": (hidden, torch.tensor([999, 312]), text),
            "scalar_frac": (hidden, torch.tensor([999.8, 312.25]), text),
            "tokens": (hidden, tokens([999, 312], per_frame, frames), text),
            "tokens_frac": (hidden, mixed, text),
            "tokens_padded_text": (hidden, tokens([999, 312], per_frame, frames), padded),
            "small": (hidden * 1e-3, torch.tensor([999, 312]), text),
        }
        with torch.no_grad():
            run = lambda m, case: m(case[0], case[1], case[2], return_dict=False)[0].contiguous()
            outputs = {key: run(model, case) for key, case in cases.items()}
            wrong = run(build(name, eps=1e-5), cases["small"])
        print(name, "largest", max(o.abs().max().item() for o in outputs.values()), "eps 1e-5 would cost",
              (wrong - outputs["small"]).abs().max().item())
        save_file(outputs, HERE / f"outputs_{name}.safetensors")


main()

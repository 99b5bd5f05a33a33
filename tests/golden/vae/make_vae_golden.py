"""Makes vae_*.safetensors: what diffusers' AutoencoderKLWan gives for weights and inputs that both sides generate.

Run: /opt/refvenv/bin/python tests/golden/vae/make_vae_golden.py   (diffusers 0.42.1, torch 2.15, CPU fp32)

vae_a_bf16.safetensors: the same with the whole model in bfloat16, for one clip and one set of latents.

No weights are stored: value i of the tensor `name` is uniform in [-1, 1), taken from splitmix64 of FNV-1a(name) + i, times
a scale that depends on its kind. tests/worker/engine/vae/generated.h does the same in C++.
"""

import json
import pathlib

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
MANIFEST = json.loads((HERE.parent / "manifests" / "vae-diffusers-wan2.2.json").read_text())

CONFIGS = {
    "a": dict(base_dim=6, decoder_base_dim=8, z_dim=8, num_res_blocks=2),
    "b": dict(base_dim=4, decoder_base_dim=4, z_dim=8, num_res_blocks=1),
}
CLIPS = {"f1": (1, 1, 64, 96), "f9": (1, 9, 64, 96), "f5": (1, 5, 32, 48), "f17": (1, 17, 32, 32), "b2": (2, 5, 32, 32)}
LATENTS = {"t1": (1, 1, 4, 6), "t2": (2, 2, 2, 1), "t3": (1, 3, 2, 3)}


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def uniform(name, shape):
    """fp32 in [-1, 1)."""
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    values = (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    return torch.from_numpy(values.reshape(shape))


def weight(name, shape):
    if name.endswith("gamma"):
        return 1 + np.float32(0.25) * uniform(name, shape)
    if name.endswith("bias"):
        return np.float32(0.125) * uniform(name, shape)
    return np.float32((3.0 / np.prod(shape[1:])) ** 0.5) * uniform(name, shape)


BF16_CLIP, BF16_LATENTS = "f5", "t3"


def model(settings):
    z = settings["z_dim"]
    vae = AutoencoderKLWan(
        **settings,
        dim_mult=[1, 2, 4, 4],
        temperal_downsample=[False, True, True],
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
        latents_mean=MANIFEST["config"]["latents_mean"][:z],
        latents_std=MANIFEST["config"]["latents_std"][:z],
    ).eval()
    vae.load_state_dict({n: weight(n, tuple(p.shape)) for n, p in vae.state_dict().items()})
    return vae


def latent_tables(vae):
    z = vae.config.z_dim
    mean = torch.tensor(vae.config.latents_mean).view(1, z, 1, 1, 1)
    return mean, 1.0 / torch.tensor(vae.config.latents_std).view(1, z, 1, 1, 1)


def save(name, tensors):
    for key, value in tensors.items():
        print(name, key, tuple(value.shape), f"|max| {value.abs().max():.3f} rms {value.square().mean() ** 0.5:.3f}")
    save_file({n: v.contiguous() for n, v in tensors.items()}, HERE / f"{name}.safetensors")


def make(key, settings):
    vae = model(settings)
    z = settings["z_dim"]
    (HERE / f"vae_{key}_config.json").write_text(vae.to_json_string())
    mean, inverse_std = latent_tables(vae)
    out = {}
    with torch.no_grad():
        for clip, (b, f, h, w) in CLIPS.items():
            raw = vae.encode(uniform(f"clip.{clip}", (b, 3, f, h, w))).latent_dist.mode()
            out[f"mean.{clip}"] = raw
            out[f"latents.{clip}"] = (raw - mean) * inverse_std
        for name, (b, t, h, w) in LATENTS.items():
            latents = 2 * uniform(f"latents.{name}", (b, z, t, h, w))
            out[f"decoded.{name}"] = vae.decode(latents / inverse_std + mean).sample
    save(f"vae_{key}", out)


def make_bf16(key, settings):
    vae = model(settings).to(torch.bfloat16)
    mean, inverse_std = latent_tables(vae)
    b, f, h, w = CLIPS[BF16_CLIP]
    shape = LATENTS[BF16_LATENTS]
    latents = 2 * uniform(f"latents.{BF16_LATENTS}", (shape[0], settings["z_dim"], *shape[1:]))
    with torch.no_grad():
        out = {
            f"mean.{BF16_CLIP}": vae.encode(uniform(f"clip.{BF16_CLIP}", (b, 3, f, h, w)).bfloat16()).latent_dist.mode(),
            f"decoded.{BF16_LATENTS}": vae.decode((latents / inverse_std + mean).bfloat16()).sample,
        }
    save(f"vae_{key}_bf16", out)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for key, settings in CONFIGS.items():
        make(key, settings)
    make_bf16("a", CONFIGS["a"])

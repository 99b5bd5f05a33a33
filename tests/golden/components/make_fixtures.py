"""Fixtures of svi-worker run-component: a small transformer, two LoRAs, and what the references make of given tensors.

    python make_fixtures.py SVI/train_svi.py SVI/diffsynth/schedulers/flow_match.py

SVI: github.com/vita-epfl/Stable-Video-Infinity at 34e4c50; torch 2.15, diffusers 0.42.1, transformers 5.x, CPU. VAE, text
encoder and the model of the whole run are those of ../svi and ../text. Outputs named *.bf16 are the references' own in
bfloat16. diffusers forms the timestep's sinusoid in float32, Wan in float64; it is replaced by the latter.
"""
import ast
import importlib.util
import pathlib
import sys

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from diffusers.models import embeddings
from safetensors.torch import load_file, save_file
from transformers import UMT5Config, UMT5EncoderModel

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent
BF16 = torch.bfloat16
CONFIG = dict(num_attention_heads=2, attention_head_dim=20, in_channels=8, out_channels=8, text_dim=24, freq_dim=16,
              ffn_dim=56, num_layers=2, patch_size=(1, 2, 2), cross_attn_norm=True, qk_norm="rms_norm_across_heads")


def double_sinusoid(timesteps, width, *_, **__):
    half = width // 2
    omega = torch.pow(10000.0, -torch.arange(half, dtype=torch.float64) / half)
    angles = timesteps.double()[:, None] * omega[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1).float()


def load_module(path):
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def method_of(path, name):
    """One method of the training script, without importing what the script imports."""
    tree = ast.parse(pathlib.Path(path).read_text())
    found = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name)
    scope = {"torch": torch}
    exec(compile(ast.Module(body=[found], type_ignores=[]), path, "exec"), scope)
    return scope[name]


def relative(a, b):
    return ((a.float() - b.float()).norm() / b.float().norm()).item()


def train_tables(script, flow_match):
    grid_of = method_of(script, "_get_timestep_grid")
    out = {}
    for shift in (5.0, 3.0):
        scheduler = flow_match.FlowMatchScheduler(shift=shift, sigma_min=0.0, extra_one_step=True)
        scheduler.set_timesteps(1000, training=True)

        class Trainer:
            inferece_timesteps = scheduler.get_timesteps(num_inference_steps=50, denoising_strength=1, shift=shift)
            latent_error_buffer = range(50)

        key = f"shift{shift:g}."
        out[key + "sigmas"], out[key + "timesteps"] = scheduler.sigmas.clone(), scheduler.timesteps.clone()
        out[key + "weights"] = scheduler.linear_timesteps_weights.clone()
        out[key + "grids"] = torch.tensor([grid_of(Trainer, t) for t in scheduler.timesteps])
        if shift == 5.0:
            print("counts", torch.bincount(out[key + "grids"]).tolist())
        for index in ((0, 1, 500, 833, 999) if shift == 5.0 else (700,)):
            for errors in ("none", "noise", "latent", "both"):
                if errors != "both" and index != 500:
                    continue
                step = f"{key}{index}.{errors}."
                shape = (1, 4, 3, 3, 5)
                latents, noise, prediction, e_noise, e_latent = (torch.randn(shape) for _ in range(5))
                out |= {step + "in.latents": latents, step + "in.noise": noise, step + "in.prediction": prediction,
                        step + "in.timestep_index": torch.tensor([index])}
                noise_in, latents_in = noise, latents
                if errors in ("noise", "both"):
                    out[step + "in.noise_error"], noise_in = e_noise, noise + e_noise
                if errors in ("latent", "both"):
                    out[step + "in.latent_error"], latents_in = e_latent, latents + e_latent
                t = scheduler.timesteps[index:index + 1]
                x = scheduler.add_noise(latents_in, noise_in, t)
                target = scheduler.training_target(latents, noise_in, t)
                final = lambda v, to_noise: scheduler.step(v, t, x, to_final=True, self_corr=to_noise)
                out |= {step + "noisy_input": x, step + "target": target,
                        step + "loss": torch.nn.functional.mse_loss(prediction, target) * scheduler.training_weight(t),
                        step + "noise_error": final(prediction, True) - final(target, True),
                        step + "latent_error": final(prediction, False) - final(target, False),
                        step + "grid": torch.tensor([grid_of(Trainer, t)])}
    save_file({k: v.contiguous() for k, v in out.items()}, HERE / "svi_train.safetensors")


def make_loras(model):
    """Two files in two spellings; returns the weights with both of them merged."""
    strengths, alpha, rank = (0.75, -0.5), 6.0, 3
    merged = {k: v.clone() for k, v in model.state_dict().items()}
    comfy, plain = {}, {}
    names = {"blocks.0.self_attn.q": "blocks.0.attn1.to_q", "blocks.1.cross_attn.v": "blocks.1.attn2.to_v",
             "blocks.1.self_attn.o": "blocks.1.attn1.to_out.0", "blocks.0.ffn.0": "blocks.0.ffn.net.0.proj"}
    for original, ours in names.items():
        weight = merged[ours + ".weight"]
        down, up = torch.randn(rank, weight.shape[1]) * 0.3, torch.randn(weight.shape[0], rank) * 0.3
        comfy |= {f"diffusion_model.{original}.lora_down.weight": down, f"diffusion_model.{original}.lora_up.weight": up,
                  f"diffusion_model.{original}.alpha": torch.tensor(alpha)}
        weight += strengths[0] * alpha / rank * (up @ down)
    for ours in ("blocks.0.attn1.to_q", "blocks.0.ffn.net.2"):
        weight = merged[ours + ".weight"]
        a, b = torch.randn(2, weight.shape[1]) * 0.3, torch.randn(weight.shape[0], 2) * 0.3
        plain |= {f"transformer.{ours}.lora_A.weight": a, f"transformer.{ours}.lora_B.weight": b}
        weight += strengths[1] * (b @ a)
    save_file(comfy, HERE / "lora_comfy.safetensors")
    save_file(plain, HERE / "lora_diffusers.safetensors")
    return merged


def transformer():
    model = WanTransformer3DModel(**CONFIG).eval()
    for name, p in model.named_parameters():
        if "norm" in name and name.endswith("weight"):
            p.data += 0.2 * torch.randn_like(p)
        elif p.dim() < 2 or "scale_shift" in name:
            p.data = 0.2 * torch.randn_like(p)
        else:
            p.data = torch.randn_like(p) / (p.numel() / p.shape[0]) ** 0.5
    model.save_pretrained(HERE / "transformer")
    half = WanTransformer3DModel.from_pretrained(HERE / "transformer", torch_dtype=BF16).eval()
    rounded = WanTransformer3DModel.from_pretrained(HERE / "transformer").to(BF16).eval()  # all of it
    hidden, text = torch.randn(2, 8, 3, 6, 10), torch.randn(2, 11, 24)
    tokens = torch.full((2, 45), 999.8)
    tokens[1] = 312.25
    tokens[1, 30:] = 40.5
    tokens[:, :15] = 0
    scalar = torch.tensor([999, 312])
    out = {"hidden_states": hidden, "encoder_hidden_states": text, "timestep.scalar": scalar, "timestep.tokens": tokens}
    for name, t in (("scalar", scalar), ("tokens", tokens)):
        out[f"sample.{name}"] = model(hidden, t, text, return_dict=False)[0]
        out[f"sample.{name}.bf16"] = half(hidden.to(BF16), t, text.to(BF16), return_dict=False)[0]
        all_half = rounded(hidden.to(BF16), t, text.to(BF16), return_dict=False)[0]
        print("transformer", name, "bf16 error", relative(out[f"sample.{name}.bf16"], out[f"sample.{name}"]), "everything in bf16",
              relative(all_half, out[f"sample.{name}"]))
    model.load_state_dict(make_loras(model))
    out["sample.loras"] = model(hidden, tokens, text, return_dict=False)[0]
    save_file({k: v.contiguous() for k, v in out.items()}, HERE / "transformer.safetensors")


def vae():
    out = {}
    video, latents = torch.rand(2, 3, 5, 48, 16) * 2 - 1, torch.randn(1, 8, 3, 1, 3)
    out["in.video"], out["in.latents"] = video, latents
    for suffix, dtype in (("", torch.float32), (".bf16", BF16)):
        model = AutoencoderKLWan.from_pretrained(GOLDEN / "svi/model/vae", torch_dtype=dtype).eval()
        column = lambda table: torch.tensor(table).view(1, -1, 1, 1, 1)
        m, inverse = column(model.config.latents_mean), 1.0 / column(model.config.latents_std)
        mean = model.encode(video.to(dtype)).latent_dist.mode()
        out["mean" + suffix], out["latents" + suffix] = mean, (mean.float() - m) * inverse
        out["video" + suffix] = model.decode((latents / inverse + m).to(dtype), return_dict=False)[0]
    for name in ("mean", "latents", "video"):
        print("vae", name, "bf16 error", relative(out[name + ".bf16"], out[name]))
    save_file({k: v.contiguous() for k, v in out.items()}, HERE / "vae.safetensors")


def text_encoder():
    import json
    config = json.loads((GOLDEN / "text/umt5_config.json").read_text())
    ids, mask = torch.randint(4, 200, (2, 21)), torch.ones(2, 21, dtype=torch.long)
    mask[1, 7:] = 0
    ids[1, 7:] = 0
    out = {"input_ids": ids, "attention_mask": mask}
    for suffix, dtype in (("", torch.float32), (".bf16", BF16)):
        settings = UMT5Config(**config, dropout_rate=0.0)
        settings._attn_implementation = "eager"  # as the original computes; SDPA's float32 is 9e-6 away here
        model = UMT5EncoderModel(settings).eval()
        model.load_state_dict(load_file(GOLDEN / "text/umt5_weights.safetensors"), strict=False)
        out["last_hidden_state" + suffix] = model.to(dtype)(ids, attention_mask=mask).last_hidden_state
    print("umt5 bf16 error", relative(out["last_hidden_state.bf16"], out["last_hidden_state"]))
    save_file({k: v.contiguous() for k, v in out.items()}, HERE / "text_encoder.safetensors")


def euler_sample(flow_match):
    """SVI's sampler over the pipeline's model: one clean slot, its tokens at timestep 0."""
    model = WanTransformer3DModel.from_pretrained(GOLDEN / "svi/model/transformer").eval()
    vae = AutoencoderKLWan.from_pretrained(GOLDEN / "svi/model/vae").eval()
    given = load_file(GOLDEN / "svi/pipeline.safetensors")
    image = given["picture"].float()[None] / 127.5 - 1
    column = lambda table: torch.tensor(table).view(1, -1, 1, 1, 1)
    clean = (vae.encode(image[:, :, None]).latent_dist.mode() - column(vae.config.latents_mean)) * (
        1.0 / column(vae.config.latents_std))
    scheduler = flow_match.FlowMatchScheduler(shift=5, sigma_min=0.0, extra_one_step=True)
    scheduler.set_timesteps(3, shift=3.0)
    x = given["noise"].clone()
    per_slot = x.shape[3] * x.shape[4] // 4
    for t in scheduler.timesteps:
        x[:, :, :1] = clean
        tokens = torch.full((1, x.shape[2] * per_slot), t.item())
        tokens[:, :per_slot] = 0
        velocity = lambda text: model(x, tokens, given[text], return_dict=False)[0]
        plain = velocity("negative_prompt_embeds")
        x = scheduler.step(plain + 3.5 * (velocity("prompt_embeds") - plain), t, x)
    x[:, :, :1] = clean
    save_file({"latents": x.contiguous(), "sigmas": torch.cat([scheduler.sigmas, torch.zeros(1)])},
              HERE / "sample_euler.safetensors")


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    embeddings.get_timestep_embedding = double_sinusoid
    flow_match = load_module(sys.argv[2])
    with torch.no_grad():
        train_tables(sys.argv[1], flow_match)
        transformer()
        vae()
        text_encoder()
        euler_sample(flow_match)


main()

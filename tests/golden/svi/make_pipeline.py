"""Makes pipeline.safetensors and the model beside it: one clip from a picture, by diffusers' own pipeline.

Run with torch 2.15.0, diffusers 0.42.1 (PyPI): python tests/golden/svi/make_pipeline.py
The scheduler's sigmas are replaced by those of Wan 2.2's own inference code, which this diffusers release left.
"""
import pathlib

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline, WanTransformer3DModel
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
STEPS, SHIFT, GUIDANCE = 4, 5.0, 5.0
WIDTH, HEIGHT, FRAMES = 96, 64, 17


class WanSigmas(UniPCMultistepScheduler):
    def set_timesteps(self, num_inference_steps, device=None, **kwargs):
        super().set_timesteps(num_inference_steps, device=device)
        u = torch.linspace(0.999, 0, num_inference_steps + 1, dtype=torch.float64)[:-1]
        sigmas = SHIFT * u / (1 + (SHIFT - 1) * u)
        self.timesteps = (sigmas * 1000).to(torch.int64)
        self.sigmas = torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)]).float()


def double_sinusoid(timesteps, dim):
    half = dim // 2
    omega = torch.pow(10000, -torch.arange(half, dtype=torch.float64) / half)
    angles = timesteps.to(torch.float64)[:, None] * omega[None]
    return torch.cat([angles.cos(), angles.sin()], dim=1).float()


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=24, in_channels=8, out_channels=8, text_dim=32,
        freq_dim=32, ffn_dim=64, num_layers=2, cross_attn_norm=True, qk_norm="rms_norm_across_heads").eval()
    vae = AutoencoderKLWan(
        base_dim=4, decoder_base_dim=4, z_dim=8, dim_mult=[1, 2, 4, 4], num_res_blocks=1, attn_scales=[],
        temperal_downsample=[False, True, True], is_residual=True, in_channels=12, out_channels=12, patch_size=2,
        scale_factor_spatial=16, scale_factor_temporal=4,
        latents_mean=[-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557],
        latents_std=[0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013]).eval()
    for module in (transformer, vae):
        for name, parameter in module.named_parameters():
            if "norm" in name or "gamma" in name:
                parameter.data += 0.1 * torch.randn_like(parameter)
            elif parameter.dim() < 2 or "scale_shift" in name or "proj_out" in name:
                parameter.data = 0.1 * torch.randn_like(parameter)
    # The original forms the sinusoid in double; so do we.
    transformer.condition_embedder.timesteps_proj.forward = lambda t: double_sinusoid(t, 32)

    scheduler = WanSigmas(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT, solver_order=2,
                          solver_type="bh2")
    pipe = WanImageToVideoPipeline(tokenizer=None, text_encoder=None, vae=vae, scheduler=scheduler,
                                   transformer=transformer, expand_timesteps=True)
    pipe.set_progress_bar_config(disable=True)
    picture = torch.randint(0, 256, (3, HEIGHT, WIDTH), dtype=torch.uint8)
    noise = torch.randn(1, 8, (FRAMES - 1) // 4 + 1, HEIGHT // 16, WIDTH // 16)
    prompt, negative = torch.randn(1, 20, 32), torch.randn(1, 20, 32)
    run = dict(image=picture[None].float() / 255, prompt_embeds=prompt, negative_prompt_embeds=negative,
               height=HEIGHT, width=WIDTH, num_frames=FRAMES, num_inference_steps=STEPS, guidance_scale=GUIDANCE,
               latents=noise)
    with torch.no_grad():
        latents = pipe(**run, output_type="latent").frames
        video = pipe(**run, output_type="pt").frames  # [1, F, 3, H, W] in [0, 1]
    save_file({"picture": picture, "noise": noise, "prompt_embeds": prompt, "negative_prompt_embeds": negative,
               "latents": latents.contiguous(), "video": video[:, [0, 1, 8, 16]].contiguous()}, HERE / "pipeline.safetensors")
    transformer.save_pretrained(HERE / "model" / "transformer")
    vae.save_pretrained(HERE / "model" / "vae")
    print(latents.shape, video.shape, latents.std(), video.std())


main()

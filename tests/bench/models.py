"""Random checkpoints of a middling size, and what diffusers and transformers do with them."""

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel
from transformers.utils import logging

logging.disable_progress_bar()

# The 5B model's architecture and its widths of a head, with fewer and narrower layers; `quick`: only to see that
# everything runs.
SIZES = {
    "mid": {
        "dit": dict(num_attention_heads=12, attention_head_dim=128, ffn_dim=7168, num_layers=4, text_dim=1024),
        "vae": dict(base_dim=48, decoder_base_dim=64, num_res_blocks=2),
        "text": dict(d_model=1024, d_kv=64, d_ff=2816, num_heads=16, num_layers=6),
    },
    "quick": {
        "dit": dict(num_attention_heads=2, attention_head_dim=64, ffn_dim=256, num_layers=2, text_dim=64),
        "vae": dict(base_dim=8, decoder_base_dim=8, num_res_blocks=1),
        "text": dict(d_model=64, d_kv=16, d_ff=128, num_heads=4, num_layers=2),
    },
}
CHANNELS = 48
TEXT_TOKENS = 512


def _randomise(model):
    """Weights that keep activations of one size: ones for norms, 1/sqrt(fan-in) for the rest."""
    for name, p in model.named_parameters():
        if "norm" in name and name.endswith(("weight", "gamma")):
            p.data.fill_(1)
        elif p.dim() < 2:
            p.data.zero_()
        else:
            p.data.normal_().mul_((p.numel() / p.shape[0]) ** -0.5)
    return model.eval()


def make(size, folder):
    """Writes transformer/, vae/ and text_encoder/ into `folder`, in Diffusers' layout, float32."""
    torch.manual_seed(0)
    sizes = SIZES[size]
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), in_channels=CHANNELS, out_channels=CHANNELS, freq_dim=256, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", **sizes["dit"])
    vae = AutoencoderKLWan(
        z_dim=CHANNELS, dim_mult=[1, 2, 4, 4], temperal_downsample=[False, True, True], is_residual=True,
        in_channels=12, out_channels=12, patch_size=2, scale_factor_spatial=16, scale_factor_temporal=4,
        latents_mean=[0.0] * CHANNELS, latents_std=[1.0] * CHANNELS, **sizes["vae"])
    text = UMT5EncoderModel(
        UMT5Config(vocab_size=4096, feed_forward_proj="gated-gelu", dropout_rate=0.0, **sizes["text"]))
    for name, model in (("transformer", transformer), ("vae", vae), ("text_encoder", text)):
        _randomise(model).save_pretrained(folder / name)


class Reference:
    """The same parts in Python, in eager mode, loaded when first asked for."""

    def __init__(self, folder):
        self._folder = folder
        self._models = {}

    def _model(self, kind, name):
        if name not in self._models:
            self._models[name] = kind.from_pretrained(self._folder / name, torch_dtype=torch.float32).eval()
        return self._models[name]

    def work(self, part, width, height, frames):
        """What is timed, without arguments."""
        slots, h, w = (frames - 1) // 4 + 1, height // 16, width // 16
        if part == "dit":
            model = self._model(WanTransformer3DModel, "transformer")
            hidden = torch.randn(1, CHANNELS, slots, h, w)
            timestep = torch.full((1, slots * h * w // 4), 500.0)
            timestep[:, : h * w // 4] = 0  # the first slot is the picture
            text = torch.randn(1, TEXT_TOKENS, model.config.text_dim)
            return lambda: model(hidden, timestep, text, return_dict=False)
        if part == "vae-encode":
            model = self._model(AutoencoderKLWan, "vae")
            video = torch.randn(1, 3, frames, height, width).clamp(-1, 1)
            return lambda: model.encode(video).latent_dist.mode()
        if part == "vae-decode":
            model = self._model(AutoencoderKLWan, "vae")
            latents = torch.randn(1, CHANNELS, slots, h, w)
            return lambda: model.decode(latents, return_dict=False)
        model = self._model(UMT5EncoderModel, "text_encoder")
        ids = torch.randint(0, model.config.vocab_size, (1, TEXT_TOKENS))
        mask = torch.ones_like(ids)
        return lambda: model(ids, attention_mask=mask)

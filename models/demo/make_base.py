"""Puts the demo model's starting checkpoint together: a trained VAE, and a transformer that has learnt nothing yet.

  make_base.py --worker=build/release/bin/svi-worker --vae=DIR --out=DIR

The tokenizer and the small random umT5 are `svi-worker init-model --preset=tiny`'s; train_text_encoder.py teaches the
latter what the captions say.
"""

import argparse
import json
import math
import pathlib
import shutil
import subprocess

import torch
from diffusers import WanTransformer3DModel
from torch import nn

SVI_CONFIG = {
    "name": "svi-demo",
    "max_area": 128 * 128,
    "num_frames": 17,
    "num_inference_steps": 8,
    "guidance_scale": 2.0,
    "flow_shift": 5.0,
    "fps": 24,
    "negative_prompt": "",
}
TEXT_WIDTH = 64
# Wan initialises the embedders' matrices with 0.02 at a width of 3072; what counts is the size of what comes out.
WAN_EMBEDDER_GAIN = 0.02 * math.sqrt(3072)


def xavier(linear: nn.Module) -> None:
    nn.init.xavier_uniform_(linear.weight.flatten(1) if linear.weight.ndim > 2 else linear.weight)
    nn.init.zeros_(linear.bias)


def quieten_padding(attention: nn.Module, generator: torch.Generator) -> None:
    """Lets a caption's few words be heard among 512 rows most of which are padding.

    The padding's rows are zero, so that their key is the bias alone, which the norm brings to full size however small
    it is: it is made the opposite of what all queries have in common. At the published width training finds that;
    at this one it would take a good part of it.
    """
    sign = torch.randint(0, 2, attention.to_k.bias.shape, generator=generator) * 2.0 - 1
    attention.to_q.bias.copy_(1.2 * sign)
    attention.to_k.bias.copy_(-0.02 * sign)


@torch.no_grad()
def new_transformer(channels: int, heads: int, layers: int, seed: int) -> WanTransformer3DModel:
    """As Wan's own init_weights() does it, but for what the docstrings above say."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    dim = heads * 32
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=heads, attention_head_dim=32, in_channels=channels,
        out_channels=channels, text_dim=TEXT_WIDTH, freq_dim=128, ffn_dim=4 * dim, num_layers=layers,
        cross_attn_norm=True, qk_norm="rms_norm_across_heads", eps=1e-6, rope_max_seq_len=1024,
    )  # fmt: skip
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv3d)):
            xavier(module)
    embedders = model.condition_embedder
    for embedder in (embedders.text_embedder, embedders.time_embedder):
        for linear in (embedder.linear_1, embedder.linear_2):
            nn.init.normal_(linear.weight, std=WAN_EMBEDDER_GAIN / math.sqrt(linear.in_features))
    for name, parameter in model.named_parameters():
        if name.endswith("scale_shift_table"):
            nn.init.normal_(parameter, std=dim**-0.5)
    for block in model.blocks:
        quieten_padding(block.attn2, generator)
    nn.init.zeros_(model.proj_out.weight)
    return model


def write_json(path: pathlib.Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", required=True, help="the svi-worker binary")
    parser.add_argument("--vae", type=pathlib.Path, required=True, help="what train_vae.py wrote")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--heads", type=int, default=5, help="of 32 channels each")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    subprocess.run(
        [args.worker, "init-model", "--preset=tiny", f"--seed={args.seed}", f"--out={args.out}"], check=True
    )
    for component in ("vae", "transformer"):
        shutil.rmtree(args.out / component)
    (args.out / "vae").mkdir()
    for file in ("config.json", "diffusion_pytorch_model.safetensors"):
        shutil.copy(args.vae / file, args.out / "vae" / file)
    channels = json.loads((args.vae / "config.json").read_text())["z_dim"]
    model = new_transformer(channels, args.heads, args.layers, args.seed)
    model.save_pretrained(args.out / "transformer")
    write_json(args.out / "svi_config.json", SVI_CONFIG)
    scheduler = args.out / "scheduler" / "scheduler_config.json"
    write_json(scheduler, json.loads(scheduler.read_text()) | {"flow_shift": SVI_CONFIG["flow_shift"]})
    print(f"transformer: {sum(p.numel() for p in model.parameters()):,} parameters")


if __name__ == "__main__":
    main()

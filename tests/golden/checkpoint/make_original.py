"""Makes original/, a small checkpoint in Wan's own layout, and cases.safetensors: Wan's own classes' outputs of it.

  git clone https://github.com/Wan-Video/Wan2.2 (commit 42bf4cf)
  /opt/refvenv/bin/python make_original.py PATH_OF_THE_CLONE        (torch 2.15, diffusers 0.42.1, einops)

The classes run as they are, in fp32 on the CPU, but for flash_attention, which needs a GPU: scaled_dot_product_attention
stands in for it. The tokenizer's files are not repeated here: the tests take those of ../text.
"""
import collections
import importlib
import json
import pathlib
import shutil
import sys
import tempfile
import types

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
OUT = HERE / "original"
TRANSFORMER = dict(model_type="ti2v", dim=32, ffn_dim=48, freq_dim=32, in_dim=8, out_dim=8, num_heads=2, num_layers=2,
                   text_len=16, eps=1e-6)
TEXT_DIM = 24
VAE = dict(dim=2, dec_dim=3, z_dim=6, dim_mult=[1, 2, 4, 4], num_res_blocks=2, temperal_downsample=[False, True, True])
TEXT = dict(vocab=120, dim=24, dim_attn=32, dim_ffn=40, num_heads=4, num_layers=2, num_buckets=32, shared_pos=False)


def attention(q, k, v, q_lens=None, k_lens=None, **ignored):
    out = torch.nn.functional.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    return out.transpose(1, 2)


def import_wan(clone):
    folder = pathlib.Path(tempfile.mkdtemp()) / "wan_original"
    folder.mkdir()
    for name in ("model.py", "vae2_2.py", "t5.py"):
        shutil.copy(pathlib.Path(clone) / "wan" / "modules" / name, folder)
    (folder / "__init__.py").write_text("")
    sys.path.insert(0, str(folder.parent))
    sys.modules["wan_original.attention"] = types.SimpleNamespace(flash_attention=attention)
    sys.modules["wan_original.tokenizers"] = types.SimpleNamespace(HuggingfaceTokenizer=None)
    torch.cuda.current_device = lambda: 0
    return [importlib.import_module(f"wan_original.{name}") for name in ("model", "vae2_2", "t5")]


def randomise(module):
    with torch.no_grad():
        for name, p in module.named_parameters():
            if "norm" in name and name.endswith("weight") or name.endswith("gamma"):
                p.copy_(1 + 0.2 * torch.randn_like(p))
            elif p.dim() < 2:
                p.copy_(0.1 * torch.randn_like(p))
            elif "modulation" in name:
                p.copy_(0.3 * torch.randn_like(p))
            elif "embedding.weight" in name and p.dim() == 2:
                p.copy_(torch.randn_like(p))
            else:
                p.copy_(torch.randn_like(p) / (p[0].numel() ** 0.5))
    return module.eval().requires_grad_(False)


def save_transformer(model):
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    names = list(state)
    shards = {"diffusion_pytorch_model-00001-of-00002.safetensors": names[: len(names) // 2],
              "diffusion_pytorch_model-00002-of-00002.safetensors": names[len(names) // 2:]}
    for shard, part in shards.items():
        save_file({name: state[name] for name in part}, OUT / shard, metadata={"format": "pt"})
    index = {"metadata": {"total_size": sum(v.numel() * 4 for v in state.values())},
             "weight_map": {name: shard for shard, part in shards.items() for name in part}}
    (OUT / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")
    config = {"_class_name": "WanModel", "_diffusers_version": "0.33.0", **TRANSFORMER}
    (OUT / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main():
    torch.manual_seed(11)
    torch.set_num_threads(1)
    wan_model, wan_vae, wan_t5 = import_wan(sys.argv[1])
    OUT.mkdir(exist_ok=True)
    cases = {}

    transformer = randomise(wan_model.WanModel(text_dim=TEXT_DIM, **TRANSFORMER))
    save_transformer(transformer)
    hidden, text = torch.randn(2, 8, 3, 4, 6), torch.randn(2, 16, TEXT_DIM)
    text[0, 11:], text[1, 5:] = 0, 0
    tokens = 3 * 2 * 3
    timestep = torch.tensor([731.0, 402.25])[:, None].repeat(1, tokens)
    timestep[:, : tokens // 3] = 0
    sample = transformer(list(hidden), timestep, [text[0, :11], text[1, :5]], seq_len=tokens)
    cases |= {"hidden_states": hidden, "timestep": timestep, "encoder_hidden_states": text, "sample": torch.stack(sample)}

    vae = randomise(wan_vae.WanVAE_(**VAE))
    torch.save(collections.OrderedDict(vae.state_dict()), OUT / "Wan2.2_VAE.pth")
    video, z = torch.rand(1, 3, 5, 32, 48) * 2 - 1, torch.randn(1, 6, 2, 2, 3)
    published = wan_vae.Wan2_2_VAE.__init__.__code__.co_consts
    mean, std = [torch.tensor(c[:6]) for c in published if isinstance(c, tuple) and len(c) == 48]
    scale = [mean, 1.0 / std]
    cases |= {"video": video, "mean": vae.encode(video, [0, 1]), "latents": vae.encode(video, scale), "z": z,
              "decoded": vae.decode(z, scale).clamp(-1, 1)}

    encoder = randomise(wan_t5.T5Encoder(dropout=0.0, **TEXT)).to(torch.bfloat16)
    torch.save(encoder.state_dict(), OUT / "models_t5_umt5-xxl-enc-bf16.pth")
    encoder = encoder.float()
    ids, mask = torch.randint(4, 120, (2, 20)), torch.zeros(2, 20, dtype=torch.long)
    for row, length in enumerate((20, 7)):
        mask[row, :length] = 1
        ids[row, length:] = 0
    cases |= {"input_ids": ids, "attention_mask": mask, "last_hidden_state": encoder(ids, mask) * mask[..., None]}

    save_file({k: v.contiguous() for k, v in cases.items()}, HERE / "cases.safetensors")
    for name, value in cases.items():
        print(name, tuple(value.shape), value.float().abs().max().item())


main()

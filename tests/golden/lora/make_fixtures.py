"""LoRAs in every name style, and what real PEFT makes of them, for tests/worker/engine/lora/.

    python make_fixtures.py          (torch 2.15, diffusers 0.42.1, peft 0.21.2, CPU)

The model is configuration A of tests/golden/dit/make_fixtures.py. Every style_*.safetensors holds the same LoRA, rank 2 on
the 20 layers that SVI trains; those that can say so with alpha 4. Its numbers are exact in 16 bits, so that the styles may
have different dtypes. second_*.safetensors is another, with alphas by layer. Files of Diffusers and PEFT are written by
their own functions; those of ComfyUI and kohya are read back by Diffusers as a check.
"""
import pathlib
import tempfile
import types

import torch
from diffusers import WanPipeline
from diffusers.models import embeddings
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent
# That script writes its files when it is run; only its functions are wanted.
dit = types.ModuleType("dit")
dit.__file__ = str(HERE.parent / "dit" / "make_fixtures.py")
exec(pathlib.Path(dit.__file__).read_text().removesuffix("main()\n"), dit.__dict__)

RANK, ALPHA = 2, 4
LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"]
SECOND = LoraConfig(r=3, lora_alpha=6, target_modules=["to_q", "ffn.net.2"],
                    alpha_pattern={"ffn.net.2": 1.5, "blocks.0.attn1.to_q": 9})
ORIGINAL = {"attn1.to_q": "self_attn.q", "attn1.to_k": "self_attn.k", "attn1.to_v": "self_attn.v",
            "attn1.to_out.0": "self_attn.o", "attn2.to_q": "cross_attn.q", "attn2.to_k": "cross_attn.k",
            "attn2.to_v": "cross_attn.v", "attn2.to_out.0": "cross_attn.o", "ffn.net.0.proj": "ffn.0", "ffn.net.2": "ffn.2"}


def fill(model, adapter, seed):
    """Multiples of 1/256 below 1/4: exact in float16 and bfloat16."""
    for name, parameter in sorted(model.named_parameters()):
        if f".lora_A.{adapter}." in name or f".lora_B.{adapter}." in name:
            seed += 1
            generator = torch.Generator().manual_seed(seed)
            parameter.data = torch.randint(-64, 65, parameter.shape, generator=generator).float() / 256


def original(layer):
    block, number, rest = layer.split(".", 2)
    return f"{block}.{number}.{ORIGINAL[rest]}"


def run(model):
    with torch.no_grad():
        return model(dit.uniform(1, (1, 48, 2, 4, 6), 1.7), torch.tensor([500.25]), dit.uniform(2, (1, 9, 32), 1.7),
                     return_dict=False)[0].contiguous()


def styles(layers):
    """layers: name → (down, up). Yields file name → tensors."""
    o = {original(name): pair for name, pair in layers.items()}
    alpha = torch.tensor(float(ALPHA))
    pairs = lambda prefix, names, *parts: {f"{prefix}{n}.{part}": t for n, pair in names.items() for part, t in zip(parts, pair)}
    yield "svi", pairs("pipe.dit.", o, "lora_A.default.weight", "lora_B.default.weight"), torch.float32
    yield "svi_bare", pairs("", o, "lora_A.default.weight", "lora_B.default.weight"), torch.bfloat16
    yield "svi_plain", pairs("pipe.dit.", o, "lora_A.weight", "lora_B.weight"), torch.float16
    yield "comfy_ab", pairs("diffusion_model.", o, "lora_A.weight", "lora_B.weight"), torch.bfloat16
    comfy = pairs("diffusion_model.", o, "lora_down.weight", "lora_up.weight")
    yield "comfy_alpha", comfy | {f"diffusion_model.{n}.alpha": alpha for n in o}, torch.bfloat16
    kohya = {n.replace(".", "_"): pair for n, pair in o.items()}
    yield "kohya_alpha", (pairs("lora_unet_", kohya, "lora_down.weight", "lora_up.weight") |
                          {f"lora_unet_{n}.alpha": alpha[None] for n in kohya}), torch.float16


def check_with_diffusers(file, layers):
    """Diffusers folds alpha / rank into the pair's own numbers; what counts is the product."""
    read = WanPipeline.lora_state_dict(str(file))
    scale = ALPHA / RANK if "alpha" in file.stem else 1
    assert len(read) == 2 * len(layers)
    for name, (down, up) in layers.items():
        product = read[f"transformer.{name}.lora_B.weight"].float() @ read[f"transformer.{name}.lora_A.weight"].float()
        assert torch.allclose(product, scale * (up @ down), atol=1e-3), name


def main():
    torch.set_num_threads(1)
    embeddings.get_timestep_embedding = dit.double_sinusoid
    model = dit.build("a")
    base = run(model)
    model.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=LAYERS), "first")
    fill(model, "first", 5000)
    outputs = {"scale2": run(model)}
    model.set_adapters(["first"], weights=[RANK / ALPHA])
    outputs["scale1"] = run(model)

    state = get_peft_model_state_dict(model, adapter_name="first")
    layers = {k.removesuffix(".lora_A.weight"): (v.clone(), state[k.replace("lora_A", "lora_B")].clone())
              for k, v in state.items() if k.endswith(".lora_A.weight")}
    assert len(layers) == 20
    for name, tensors, dtype in styles(layers):
        file = HERE / f"style_{name}.safetensors"
        save_file({k: v.to(dtype).contiguous() for k, v in tensors.items()}, file)
        if name.startswith(("comfy", "kohya")):
            check_with_diffusers(file, layers)
    save_file({f"base_model.model.{k}": v.half() for k, v in state.items()}, HERE / "style_peft.safetensors")
    config = model.peft_config["first"].to_dict()
    config["target_modules"] = sorted(config["target_modules"])
    with tempfile.TemporaryDirectory() as folder:
        WanPipeline.save_lora_weights(folder, transformer_lora_layers={k: v.bfloat16() for k, v in state.items()},
                                      transformer_lora_adapter_metadata=config)
        (HERE / "style_diffusers_alpha.safetensors").write_bytes(
            (pathlib.Path(folder) / "pytorch_lora_weights.safetensors").read_bytes())

    model.add_adapter(SECOND, "second")
    fill(model, "second", 6000)
    with tempfile.TemporaryDirectory() as folder:
        model.save_lora_adapter(folder, "second")
        (HERE / "second_alpha_pattern.safetensors").write_bytes(
            (pathlib.Path(folder) / "pytorch_lora_weights.safetensors").read_bytes())
    model.set_adapters(["second"], weights=[1.0])
    outputs["second"] = run(model)
    model.set_adapters(["first", "second"], weights=[0.75, -0.5])
    outputs["both"] = run(model)
    model.fuse_lora(adapter_names=["first", "second"])
    layer = "blocks.1.attn2.to_q"
    outputs[f"both.{layer}"] = model.get_submodule(layer).weight.detach().clone()
    print("changes", {k: (v - base).abs().max().item() for k, v in outputs.items() if v.shape == base.shape})
    save_file(outputs, HERE / "outputs.safetensors")


main()

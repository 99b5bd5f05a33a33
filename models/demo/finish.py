"""Makes a trained model small enough to ship: weights of two axes and more in bfloat16, as the published 5B has them.

  finish.py --model=DIR --out=DIR

The rest (norms, biases, tables) stays in float32; the VAE and the text encoder are taken as they are.
"""

import argparse
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    shutil.copytree(args.model, args.out)
    file = args.out / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    for name, tensor in weights.items():
        if tensor.ndim >= 2 and "table" not in name:
            weights[name] = tensor.to(torch.bfloat16)
    save_file(weights, file, metadata={"format": "pt"})
    for path in sorted(args.out.rglob("*.safetensors")):
        print(f"{path.relative_to(args.out)}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

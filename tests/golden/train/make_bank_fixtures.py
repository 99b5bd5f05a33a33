"""Contents of full error banks, by Stable Video Infinity's own buffer code.

python make_bank_fixtures.py TRAIN_SVI.PY   (torch, safetensors; train_svi.py of github.com/vita-epfl/Stable-Video-Infinity,
                                            commit 34e4c50). Writes bank.safetensors beside this script.

The buffer's methods are taken out of the reference's file, without its imports. Errors have few bits, so that storing
them as bfloat16 loses nothing, and no two distances are equal.
"""
import ast
import pathlib
import random
import sys

import torch
from safetensors.torch import save_file

METHODS = {"_get_timestep_grid", "_compute_l2_distance_batch", "_compute_l2_distance", "_add_error_to_y_buffer"}
GRIDS, CAPACITY, SHIFT = 50, 4, 5.0


def reference_class(path):
    tree = ast.parse(pathlib.Path(path).read_text())
    found = [m for c in tree.body if isinstance(c, ast.ClassDef) for m in c.body
             if isinstance(m, ast.FunctionDef) and m.name in METHODS]
    methods = {m.name: m for m in found}
    assert methods.keys() == METHODS
    body = ast.ClassDef(name="Buffers", bases=[], keywords=[], body=list(methods.values()), decorator_list=[])
    module = ast.fix_missing_locations(ast.Module(body=[body], type_ignores=[]))
    names = {"torch": torch, "random": random}
    exec(compile(module, str(path), "exec"), names)  # noqa: S102
    return names["Buffers"]


def shifted(u):
    return 1000 * SHIFT * u / (1 + (SHIFT - 1) * u)


def main():
    buffers_class = reference_class(sys.argv[1])
    generator = torch.Generator().manual_seed(11)
    # 60 errors at training indices of few grids, which fill up at different times.
    ids = torch.tensor([0, 3, 480, 500, 833, 999])[torch.randint(0, 6, (60,), generator=generator)]
    errors = torch.randint(-128, 128, (60, 2, 3, 2, 2), generator=generator) / 64.0
    out = {"ids": ids, "errors": errors}
    for strategy in ("fifo", "l2_similarity", "l2_batch"):
        buffers = buffers_class()
        buffers.inferece_timesteps = shifted(torch.linspace(1, 0, GRIDS + 1)[:-1])
        buffers.latent_error_buffer = buffers.y_error_buffer = {i: [] for i in range(GRIDS)}
        buffers.error_buffer_size = CAPACITY
        buffers.buffer_replacement_strategy = strategy
        for index, error in zip(ids.tolist(), errors):
            buffers._add_error_to_y_buffer(error, shifted(torch.tensor(1 - index / 1000)))
        for grid, entries in buffers.y_error_buffer.items():
            if entries:
                out[f"{strategy}.{grid}"] = torch.stack(entries)
    save_file(out, str(pathlib.Path(__file__).with_name("bank.safetensors")))
    print({k: list(v.shape) for k, v in out.items()})


if __name__ == "__main__":
    main()

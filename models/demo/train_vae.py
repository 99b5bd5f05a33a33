"""Trains the demo model's VAE: Wan 2.2's architecture (AutoencoderKLWan, residual, patches of 2) at small widths.

  train_vae.py --data=DIR --held-out=DIR --out=DIR --minutes=40 --ranks=2

--data and --held-out are what make_scenes.py writes (held-out with --videos). The loss is L1 and L2 of the colours,
L1 of their differences to the neighbours, and a small KL term; Muon for the kernels and AdamW for the rest (at the
same step the loss was two thirds of AdamW's alone), warm-up, cosine decay over the given time, averaged weights.
Writes DIR/config.json and DIR/diffusion_pytorch_model.safetensors in bfloat16, the latents' statistics in the config,
DIR/report.json and DIR/reconstructions.png. Every rank is one thread: two of them make better use of two busy cores
than two threads do.
"""

import argparse
import copy
import json
import math
import multiprocessing
import os
import pathlib
import time

import av
import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from PIL import Image

import wan_vae_training as wan

# Clips of one step of one rank, until a share of the time has passed: batch, frames, side in pixels. Steps are small
# and many at first; whole frames come last, for the attention and the borders.
LAYOUTS = (
    (0.12, [(6, 1, 64), (6, 1, 64), (2, 5, 64)]),
    (0.75, [(2, 5, 64), (2, 5, 64), (1, 9, 64), (3, 9, 32), (1, 13, 64), (4, 1, 64)]),
    (0.9, [(3, 5, 64), (2, 9, 64), (1, 13, 64), (4, 1, 64), (1, 5, 128)]),
    (1.0, [(4, 5, 64), (3, 9, 64), (2, 13, 64), (1, 9, 128)]),
)
SQUARE_WEIGHT = 1.0
# Grey, red against green, both against blue. The scenes' colours are nearly grey: left as R, G, B, the two chromatic
# axes would be learnt an order of magnitude later than brightness.
COLOUR_AXES = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [1.0, 1.0, -2.0]])
COLOUR_AXES = F.normalize(COLOUR_AXES, dim=1) * torch.tensor([[1.0], [3.0], [3.0]])
EDGE_WEIGHT = 0.5
ADAM_SHARE = 0.25  # AdamW's learning rate as a share of Muon's
OBJECT_SHARE = 0.6  # of the crops are centred on a saturated pixel, that is, on the moving object


def new_vae(z_dim: int, base_dim: int, decoder_base_dim: int) -> AutoencoderKLWan:
    vae = AutoencoderKLWan(
        base_dim=base_dim, decoder_base_dim=decoder_base_dim, z_dim=z_dim, dim_mult=[1, 2, 4, 4], num_res_blocks=1,
        attn_scales=[], temperal_downsample=[False, True, True], dropout=0.0, is_residual=True, in_channels=12,
        out_channels=12, patch_size=2, scale_factor_temporal=4, scale_factor_spatial=16,
        latents_mean=[0.0] * z_dim, latents_std=[1.0] * z_dim,
    )  # fmt: skip
    # The posterior begins narrow: from noise of unit size the decoder would first have to be weaned.
    with torch.no_grad():
        vae.quant_conv.bias[z_dim:] = -6.0
        pass_patches_on(vae.encoder.conv_in)
        vae.decoder.conv_in.bias[::8] = 1.0
        # The shortcuts, which lose no colour, speak first.
        for name, weight in vae.named_parameters():
            if name.endswith(("conv2.weight", "resample.1.weight")):
                weight *= 0.3
    return vae


def pass_patches_on(conv: torch.nn.Module) -> None:
    """The encoder begins by handing its 12 channels on, as colour axes, and a constant beside them: the norms take a
    feature's size away, and brightness and colour could only be told against something that does not change.
    """
    patch = conv.in_channels // 3
    conv.weight *= 0.2
    for axis in range(3):
        for place in range(patch):
            for colour in range(3):
                conv.weight[axis * patch + place, colour * patch + place, -1, 1, 1] += COLOUR_AXES[axis, colour]
    conv.bias[3 * patch :] = 1.0


# --- data -----------------------------------------------------------------------------------------------------


def read_video(path: pathlib.Path) -> np.ndarray:
    """[F, H, W, 3] uint8"""
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def load_videos(folder: pathlib.Path) -> np.ndarray:
    """All videos below a folder, decoded once into frames.npy and mapped from there. [N, F, H, W, 3] uint8"""
    cache = folder / "frames.npy"
    if not cache.exists():
        paths = sorted(folder.rglob("*.mp4"))
        partial = folder / "frames.partial.npy"
        with multiprocessing.Pool() as pool:
            videos = pool.imap(read_video, paths, chunksize=8)
            first = next(videos)
            out = np.lib.format.open_memmap(partial, "w+", np.uint8, (len(paths), *first.shape))
            out[0] = first
            for i, video in enumerate(videos, 1):
                out[i] = video
            out.flush()
        partial.rename(cache)
    return np.load(cache, mmap_mode="r")


def to_tensor(clips: np.ndarray) -> torch.Tensor:
    """[B, F, H, W, 3] uint8 -> [B, 3, F, H, W] in -1..1"""
    return torch.from_numpy(np.array(clips)).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def crop_corner(rng: np.random.Generator, frame: np.ndarray, side: int) -> tuple[int, int]:
    size = frame.shape[0]
    if side == size:
        return 0, 0
    y, x = rng.integers(0, size - side + 1, size=2)
    if rng.random() < OBJECT_SHARE:
        saturated = np.argwhere(frame.max(-1).astype(int) - frame.min(-1) > 120)
        if len(saturated):
            y, x = np.clip(saturated[rng.integers(len(saturated))] - rng.integers(side // 4, side * 3 // 4, 2), 0,
                           size - side)  # fmt: skip
    return int(y), int(x)


def sample_clips(rng: np.random.Generator, videos: np.ndarray, layout: tuple[int, int, int]) -> torch.Tensor:
    batch, frames, side = layout
    clips = np.empty((batch, frames, side, side, 3), np.uint8)
    for clip in clips:
        video = videos[rng.integers(len(videos))]
        start = rng.integers(0, len(video) - frames + 1)
        y, x = crop_corner(rng, video[start], side)
        clip[:] = video[start : start + frames, y : y + side, x : x + side]
        if rng.random() < 0.5:
            clip[:] = clip[:, :, ::-1].copy()
    return to_tensor(clips)


# --- training -------------------------------------------------------------------------------------------------


def differences(video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return video[..., 1:, :] - video[..., :-1, :], video[..., 1:] - video[..., :-1]


def losses(vae, video: torch.Tensor, kl_weight: float) -> tuple[torch.Tensor, dict]:
    """The KL term is the mean over the latents' values: `kl_weight` / 192 of it in the usual sum over all values."""
    with torch.set_grad_enabled(any(p.requires_grad for p in vae.encoder.parameters())):
        mean, logvar = wan.encode(vae, video)
    logvar = logvar.clamp(-30, 20)
    z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
    out = wan.decode(vae, z)
    error = torch.einsum("ac,bcfhw->bafhw", COLOUR_AXES, out - video)
    l1 = error.abs().mean()
    edges = sum(d.abs().mean() for d in differences(error))
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    parts = {"l1": l1.item(), "edges": edges.item(), "kl": kl.item(), "noise": (0.5 * logvar).exp().mean().item()}
    square = error.square().mean()
    return l1 + SQUARE_WEIGHT * square + EDGE_WEIGHT * edges + kl_weight * kl, parts


def average_gradients(parameters: list) -> None:
    """Over the ranks, which see the same layout in each step."""
    for p in parameters:
        if p.grad is None:  # a picture alone does not go through the resampling in time
            p.grad = torch.zeros_like(p)
    if dist.get_world_size() == 1:
        return
    flat = torch.cat([p.grad.flatten() for p in parameters])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for p, grad in zip(parameters, flat.split([p.numel() for p in parameters])):
        p.grad.copy_(grad.view_as(p))


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal (Jordan et al., 2024), for kernels as matrices [O, C * kt * kh * kw].

    The update's size is that of AdamW's (0.2 a weight), so that both go with one learning rate.
    """

    def __init__(self, parameters, lr: float, momentum: float = 0.95):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @staticmethod
    def orthogonal(g: torch.Tensor) -> torch.Tensor:
        """Newton-Schulz: the singular values go near 1. [rows, columns], rows <= columns"""
        x = g / (g.norm() + 1e-12)
        for _ in range(5):
            gram = x @ x.T
            x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
        return x

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                mean.lerp_(p.grad, 1 - group["momentum"])
                g = torch.lerp(p.grad, mean, group["momentum"]).flatten(1)
                update = self.orthogonal(g) if g.shape[0] <= g.shape[1] else self.orthogonal(g.T).T
                p.sub_(update.reshape(p.shape), alpha=group["lr"] * 0.2 * max(g.shape) ** 0.5)


def learning_rate(peak: float, step: int, progress: float) -> float:
    return peak * min(1, (step + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1))))


@torch.no_grad()
def reconstruct(vae, clips: torch.Tensor) -> torch.Tensor:
    return torch.cat([vae.decode(vae.encode(clip[None]).latent_dist.mode()).sample for clip in clips])


def psnr(a: torch.Tensor, b: torch.Tensor) -> list[float]:
    """Of each clip, in dB, for values in -1..1."""
    return [10 * math.log10(4 / (x - y).square().mean().item()) for x, y in zip(a, b)]


def save_pictures(path: pathlib.Path, truth: torch.Tensor, ours: torch.Tensor) -> None:
    """Five frames of each clip beside their reconstructions."""
    rows = []
    for pair in zip(truth, ours):
        frames = [clip[:, i] for i in np.linspace(0, truth.shape[2] - 1, 5).astype(int) for clip in pair]
        rows.append(torch.cat(frames, dim=-1))
    sheet = (torch.cat(rows, dim=-2).permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5
    Image.fromarray(sheet.round().byte().numpy()).save(path)


def save(vae, out: pathlib.Path, dtype: torch.dtype) -> None:
    copy.deepcopy(vae).to(dtype).save_pretrained(out)


@torch.no_grad()
def measure_latents(vae, videos: np.ndarray, count: int = 64) -> None:
    """Sets the config's per-channel statistics: over whole videos of the training set, all latent frames alike."""
    sums, squares, n = 0, 0, 0
    for video in videos[:: max(1, len(videos) // count)]:
        z = vae.encode(to_tensor(video[None])).latent_dist.mode().double()
        sums, squares, n = (sums + z.sum((0, 2, 3, 4)), squares + z.square().sum((0, 2, 3, 4)), n + z[0, 0].numel())
    mean = sums / n
    std = (squares / n - mean.square()).sqrt()
    vae.register_to_config(latents_mean=[round(v, 5) for v in mean.tolist()],
                           latents_std=[round(v, 5) for v in std.tolist()])  # fmt: skip


def finish(vae, args, videos: np.ndarray, held_out: torch.Tensor) -> None:
    """Rounds the weights to bfloat16, measures what the rounded model makes, and writes it."""
    vae.to(torch.bfloat16).to(torch.float32)
    if not args.decoder_only:
        measure_latents(vae, videos)
    save(vae, args.out, torch.bfloat16)
    ours = reconstruct(vae, held_out)
    values = psnr(ours, held_out)
    save_pictures(args.out / "reconstructions.png", held_out[:8], ours[:8])
    report = {"psnr_db": round(float(np.mean(values)), 2), "psnr_worst_db": round(min(values), 2),
              "clips": len(values), "frames": held_out.shape[2],
              "parameters": sum(p.numel() for p in vae.parameters())}  # fmt: skip
    (args.out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(report, flush=True)


def make_optimizers(vae, lr: float) -> list[torch.optim.Optimizer]:
    parameters = [p for p in vae.parameters() if p.requires_grad]
    is_kernel = [p.ndim >= 4 and p.numel() > p.shape[0] for p in parameters]  # the norms' scales are [C, 1, 1, 1]
    kernels = [p for p, kernel in zip(parameters, is_kernel) if kernel]
    others = [p for p, kernel in zip(parameters, is_kernel) if not kernel]
    return [Muon(kernels, lr), torch.optim.AdamW(others, ADAM_SHARE * lr, betas=(0.9, 0.95), weight_decay=0)]


def take_step(vae, optimizers: list, video: torch.Tensor, lr: float, kl_weight: float) -> str:
    """One step; returns what a log line says of it."""
    loss, parts = losses(vae, video, kl_weight)
    vae.zero_grad()
    loss.backward()
    parameters = [p for p in vae.parameters() if p.requires_grad]
    average_gradients(parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    for optimizer, share in zip(optimizers, (1, ADAM_SHARE)):
        for group in optimizer.param_groups:
            group["lr"] = share * lr
        optimizer.step()
    shown = " ".join(f"{name} {value:.4f}" for name, value in parts.items())
    return f"{tuple(video.shape)} loss {loss.item():.4f} {shown} norm {norm:.2f} lr {lr:.1e}"


def show(vae, args, held_out: torch.Tensor) -> None:
    ours = reconstruct(vae, held_out)
    print(f"held-out psnr {np.mean(psnr(ours, held_out)):.2f} dB", flush=True)
    save_pictures(args.out / "reconstructions.png", held_out[:6], ours[:6])
    save(vae, args.out / "last", torch.float32)


def load_or_make(args) -> AutoencoderKLWan:
    if args.init is None:
        return new_vae(args.z_dim, args.base_dim, args.decoder_base_dim)
    vae = AutoencoderKLWan.from_pretrained(args.init, torch_dtype=torch.float32)
    if args.decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    return vae


def train(rank: int, args) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(args.port))
    dist.init_process_group("gloo", rank=rank, world_size=args.ranks)
    torch.manual_seed(args.seed)
    vae = load_or_make(args)
    averaged = copy.deepcopy(vae).requires_grad_(False)
    optimizers = make_optimizers(vae, args.lr)
    videos = np.load(args.data / "frames.npy", mmap_mode="r")
    held_out = to_tensor(np.load(args.held_out / "frames.npy")[:, :17])
    rng, shared = np.random.default_rng([args.seed, rank]), np.random.default_rng(args.seed)
    torch.manual_seed(args.seed * 1000 + rank)
    begin = shown = time.time()
    step, progress = 0, torch.zeros(1)
    while progress < 1:
        layouts = next(layouts for until, layouts in LAYOUTS if progress <= until)
        video = sample_clips(rng, videos, layouts[shared.integers(len(layouts))])
        line = take_step(vae, optimizers, video, learning_rate(args.lr, step, progress.item()), args.kl_weight)
        decay = min(0.997, step / (step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(list(averaged.parameters()), [p.detach() for p in vae.parameters()], 1 - decay)
        step += 1
        if rank == 0 and step % 50 == 0:
            print(f"{time.time() - begin:6.0f} s step {step} {line}", flush=True)
        if rank == 0 and time.time() - shown > 180:
            show(averaged, args, held_out[:12])
            shown = time.time()
        # The clock is rank 0's: the ranks must agree.
        progress = torch.tensor([(time.time() - begin) / args.minutes / 60])
        dist.broadcast(progress, 0)
    if rank == 0:
        finish(averaged, args, videos, held_out)
    dist.barrier()
    dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--held-out", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--init", type=pathlib.Path, help="a VAE to go on from, instead of a fresh one")
    parser.add_argument("--decoder-only", action="store_true", help="keep what latents mean, and those made so far")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--port", type=int, default=29533)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lr", type=float, default=8e-3)
    parser.add_argument("--kl-weight", type=float, default=2e-4)
    parser.add_argument("--z-dim", type=int, default=24)
    parser.add_argument("--base-dim", type=int, default=16)
    parser.add_argument("--decoder-base-dim", type=int, default=16)
    args = parser.parse_args()
    if args.decoder_only and args.init is None:
        parser.error("--decoder-only goes with --init")
    difference = wan.streaming_difference(new_vae(args.z_dim, args.base_dim, args.decoder_base_dim))
    assert difference < 1e-4, f"trained and streaming form differ by {difference}"
    args.out.mkdir(parents=True, exist_ok=True)
    for folder in (args.data, args.held_out):
        print(folder, load_videos(folder).shape, flush=True)
    torch.multiprocessing.spawn(train, (args,), nprocs=args.ranks)


if __name__ == "__main__":
    main()

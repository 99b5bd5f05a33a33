"""Diffusers' AutoencoderKLWan as it is trained: a whole clip at once instead of frame by frame.

Diffusers streams a clip through the VAE one latent frame at a time and lets its 3-D convolutions go to a slow CPU
kernel. Importing this module changes neither names nor arithmetic: the convolutions go through 2-D ones over a window
of three frames, and `encode` / `decode` below see all frames together, which equals the streaming form (the first
frame bypasses the resampling in time; `AutoencoderKLWan.encode` / `decode` still stream).
"""

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders import autoencoder_kl_wan as wan

LAYOUT = torch.channels_last


class Window(torch.autograd.Function):
    """The frames that each place of a causal kernel sees, side by side: [B, C, T, H, W] -> [B, T', H, W, taps * C].

    Torch's own gradient of as many slices would fill and add a whole tensor for each.
    """

    @staticmethod
    def places(ctx, count, tap):
        """Of a tap: the first output frame whose input frame is there, and that input frame."""
        first = max(0, -((tap - ctx.missing) // ctx.stride))
        return first, first * ctx.stride + tap - ctx.missing

    @staticmethod
    def forward(ctx, x, taps, stride, missing):
        ctx.taps, ctx.stride, ctx.missing = taps, stride, missing
        x = x.movedim(1, -1)
        b, t, h, w, c = ctx.shape = x.shape
        count = (t + missing - taps) // stride + 1
        out = x.new_empty(b, count, h, w, taps, c)
        for tap in range(taps):
            first, source = Window.places(ctx, count, tap)
            out[:, :first, ..., tap, :] = 0
            out[:, first:, ..., tap, :] = x[:, source : source + (count - first - 1) * stride + 1 : stride]
        return out.flatten(-2)

    @staticmethod
    def backward(ctx, grad):
        grad = grad.unflatten(-1, (ctx.taps, -1))
        out = grad.new_zeros(ctx.shape)
        for tap in range(ctx.taps):
            first, source = Window.places(ctx, grad.shape[1], tap)
            end = source + (grad.shape[1] - first - 1) * ctx.stride + 1
            out[:, source : end : ctx.stride] += grad[:, first:, ..., tap, :]
        return out.movedim(-1, 1), None, None, None


def causal_conv(self, x, cache_x=None):
    """WanCausalConv3d.forward: a kernel of three frames as one 2-D kernel over three times the channels."""
    taps, missing = self.kernel_size[0], self._padding[4]
    if cache_x is not None and missing > 0:
        x = torch.cat([cache_x, x], dim=2)
        missing -= cache_x.shape[2]
    window = Window.apply(x, taps, self.stride[0], missing) if taps > 1 else x.movedim(1, -1)
    weight = self.weight.transpose(1, 2).flatten(1, 2).contiguous(memory_format=LAYOUT)  # [O, taps * C, kh, kw]
    y = F.conv2d(window.flatten(0, 1).movedim(-1, 1), weight, self.bias, padding=self._padding[0])
    return y.unflatten(0, window.shape[:2]).transpose(1, 2)


class RmsNorm(torch.autograd.Function):
    """x / |x| * gamma over axis 1, in as few passes over x as may be."""

    @staticmethod
    def forward(ctx, x, gamma):
        inverse = torch.linalg.vecdot(x, x, dim=1).unsqueeze(1).clamp_min(1e-24).rsqrt()
        unit = x * inverse
        ctx.save_for_backward(unit, inverse, gamma)
        return unit * gamma

    @staticmethod
    def backward(ctx, grad):
        unit, inverse, gamma = ctx.saved_tensors
        product = grad * unit
        of_gamma = product.sum((0, *range(2, grad.ndim))).view_as(gamma)
        along = torch.einsum("bc...,c->b...", product, gamma.flatten()).unsqueeze(1)
        return torch.addcmul(grad * gamma, unit, along, value=-1).mul_(inverse), of_gamma


def rms_norm(self, x):
    """WanRMS_norm.forward, without the slow norm kernel."""
    return RmsNorm.apply(x, self.scale * self.gamma)


def space_resample(self, x):
    """[B, C, T, H, W], each frame by itself"""
    b, _, t, _, _ = x.shape
    y = self.resample(x.transpose(1, 2).flatten(0, 1).contiguous(memory_format=LAYOUT))
    return y.unflatten(0, (b, t)).transpose(1, 2)


_streaming_resample = wan.WanResample.forward


def resample(self, x, feat_cache=None, feat_idx=[0]):
    """WanResample.forward; without a cache, x is a whole clip."""
    if feat_cache is not None:
        return _streaming_resample(self, x, feat_cache, feat_idx)
    if self.mode == "upsample3d" and x.shape[2] > 1:
        pairs = self.time_conv(x[:, :, 1:]).unflatten(1, (2, -1))  # [B, even | odd, C, T - 1, H, W]
        x = torch.cat([x[:, :, :1], pairs.movedim(1, 3).flatten(2, 3)], dim=2)
    x = space_resample(self, x)
    if self.mode == "downsample3d" and x.shape[2] > 1:
        x = torch.cat([x[:, :, :1], self.time_conv(x)], dim=2)
    return x


wan.WanCausalConv3d.forward = causal_conv
wan.WanRMS_norm.forward = rms_norm
wan.WanResample.forward = resample


def encode(vae: AutoencoderKLWan, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, 3, 1 + 4k, H, W] in -1..1 -> mean and log variance, each [B, z, 1 + k, H / 16, W / 16]"""
    moments = vae.quant_conv(vae.encoder(wan.patchify(video, patch_size=vae.config.patch_size)))
    return moments.chunk(2, dim=1)


def decode(vae: AutoencoderKLWan, z: torch.Tensor) -> torch.Tensor:
    """[B, z, 1 + k, h, w] -> [B, 3, 1 + 4k, 16 h, 16 w], not clamped"""
    patches = vae.decoder(vae.post_quant_conv(z), first_chunk=True)
    return wan.unpatchify(patches, patch_size=vae.config.patch_size)


def streaming_difference(vae: AutoencoderKLWan) -> float:
    """The largest difference of the two forms on a random clip, to be rounding only."""
    with torch.no_grad():
        video = torch.rand(1, 3, 9, 64, 64) * 2 - 1
        mean, _ = encode(vae, video)
        streamed = vae.encode(video).latent_dist.mode()
        pictures = decode(vae, mean).clamp(-1, 1) - vae.decode(mean).sample
    return max((mean - streamed).abs().max().item(), pictures.abs().max().item())

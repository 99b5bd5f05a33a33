#!/usr/bin/env python3
"""What other people's code measures on the pictures that tests/worker/drift/golden_test.cc makes the same way.

Needs numpy, scikit-image 0.26 and scipy 1.17. Run from this folder; writes golden.json, the same bytes each time.
"""

import colorsys
import json
import math

import numpy as np
from scipy.stats import wasserstein_distance
from skimage.color import rgb2hsv
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

WIDTH, HEIGHT, FRAMES = 72, 45, 5  # neither side a multiple of 8: there are smaller cells


def noise(seed, count):
    """Bytes of the linear congruential generator that the test has too."""
    state, values = seed, []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(state >> 24)
    return np.array(values, dtype=np.uint8)


def picture(seed, spread, offset):
    """A slope with noise of so many levels on it, [HEIGHT, WIDTH, 3]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    slope = np.stack([x * 2, y * 3, 60 + x + y], axis=-1)
    grain = noise(seed, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3).astype(int) % (2 * spread + 1) - spread
    return np.clip(slope + grain + offset, 0, 255).astype(np.uint8)


def luma(image):
    """BT.709, levels."""
    return image.astype(np.float64) @ np.array([0.2126, 0.7152, 0.0722])


def clip(first_seed, offset):
    """Frames with grain of their own, and a bright square that goes to the right along the top."""
    frames = []
    for i in range(FRAMES):
        frame = picture(first_seed + i, 4, offset)
        frame[3:13, 5 + 4 * i : 15 + 4 * i] = (250, 30, 40)
        frames.append(frame)
    return frames


def laplacian(values):
    return np.abs(
        4 * values[1:-1, 1:-1] - values[1:-1, :-2] - values[1:-1, 2:] - values[:-2, 1:-1] - values[2:, 1:-1]
    ).mean()


def measures(frames):
    lumas = [luma(f) / 255 for f in frames]
    stack = np.stack(frames)
    histogram = []
    for channel in range(3):
        counts, _ = np.histogram(stack[..., channel], bins=16, range=(0, 256))
        histogram += (counts / counts.sum()).tolist()
    return {
        "brightness": np.mean(lumas),
        "contrast": np.mean([l.std() for l in lumas]),
        "saturation": np.mean([rgb2hsv(f)[..., 1].mean() for f in frames]),
        "sharpness": np.mean([laplacian(l) for l in lumas]),
        "motion": np.mean([np.abs(b - a).mean() for a, b in zip(lumas, lumas[1:])]),
        "histogram": histogram,
    }


def cells():
    """(rows, columns) of each cell as slices."""
    return [
        [(slice(y, min(y + 8, HEIGHT)), slice(x, min(x + 8, WIDTH))) for x in range(0, WIDTH, 8)]
        for y in range(0, HEIGHT, 8)
    ]


def still_cells(frames):
    grid = cells()
    means = np.array([[[f[c].mean(axis=(0, 1)) for c in row] for row in grid] for f in frames])
    moving = (np.ptp(means, axis=0) > 12).any(axis=-1)
    padded = np.pad(moving, 1)
    near = [np.roll(padded, (dy, dx), (0, 1))[1:-1, 1:-1] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return ~np.any(near, axis=0)


def still_similarity(frames, reference):
    still = still_cells(frames)
    grid, last = cells(), frames[-1]
    error = (last.astype(float) - reference.astype(float)) ** 2
    chosen = [grid[r][c] for r, c in zip(*np.nonzero(still))]
    chosen.sort(key=lambda cell: error[cell].mean())
    kept = chosen[: math.ceil(0.75 * len(chosen))]
    _, ssim = structural_similarity(
        luma(last), luma(reference), data_range=255, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for cell in kept:
        mask[cell] = True
    inner = np.zeros_like(mask)
    inner[5:-5, 5:-5] = mask[5:-5, 5:-5]
    return {
        "share": sum(error[cell].shape[0] * error[cell].shape[1] for cell in chosen) / (WIDTH * HEIGHT),
        "psnr": 10 * math.log10(255**2 / error[mask].mean()),
        "ssim": ssim[inner].mean(),
    }


def whole_pictures():
    """Two pictures, compared whole."""
    a, b = picture(1, 30, 0), picture(2, 30, 12)
    return {
        "ssim": structural_similarity(luma(a), luma(b), data_range=255, gaussian_weights=True, sigma=1.5,
                                      use_sample_covariance=False),
        "psnr": peak_signal_noise_ratio(a, b),
    }


def histogram_distance(a, b):
    places = np.arange(16) / 15
    return np.mean([
        wasserstein_distance(places, places, a[16 * c : 16 * c + 16], b[16 * c : 16 * c + 16]) for c in range(3)
    ])


def main():
    assert math.isclose(colorsys.rgb_to_hsv(250, 30, 40)[1], rgb2hsv(np.array([[[250, 30, 40]]], np.uint8))[0, 0, 1])
    first, later = clip(100, 0), clip(200, 15)
    golden = {"first": measures(first), "later": measures(later)}
    golden["histogram_distance"] = histogram_distance(golden["first"]["histogram"], golden["later"]["histogram"])
    golden["still"] = still_similarity(later, picture(7, 4, 0))
    golden["whole"] = whole_pictures()
    with open("golden.json", "w") as out:
        json.dump(golden, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()

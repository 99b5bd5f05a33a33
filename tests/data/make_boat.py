#!/usr/bin/env python3
"""Paints boat.jpg, the demo's picture: a sailing boat on a sea under a low sun. Pillow and numpy only; CC0.

Nothing in it is taken from any photograph; the author waives all rights (Creative Commons CC0 1.0).
Run from this folder: python make_boat.py
"""
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT, HORIZON = 640, 480, 290
SCALE = 3  # drawn larger, then reduced: smooth edges
SUN = (455, 232)


def mix(a, b, t):
    return np.asarray(a, float) * (1 - t) + np.asarray(b, float) * t


def sky_and_sea(rng):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    picture = np.zeros((HEIGHT, WIDTH, 3))
    up = np.clip(y / HORIZON, 0, 1)[..., None]
    picture[:] = mix((58, 104, 168), (255, 196, 134), up**1.6)
    distance = np.hypot(x - SUN[0], y - SUN[1])
    picture += np.exp(-distance / 90)[..., None] * np.array([120, 80, 20.0])
    disc = np.clip((34 - distance) / 2, 0, 1)[..., None]
    picture = picture * (1 - disc) + np.array([255, 244, 214.0]) * disc

    # Clouds: a few octaves of smooth noise, stretched sideways.
    clouds = np.zeros((HEIGHT, WIDTH))
    for octave in range(1, 6):
        size = (4 * 2**octave, 2 * 2**octave)
        noise = Image.fromarray((rng.random(size) * 255).astype(np.uint8))
        clouds += np.asarray(noise.resize((WIDTH, HEIGHT), Image.BICUBIC), float) / 255 / 2**octave
    band = np.exp(-(((y - 120) / 70) ** 2))
    veil = np.clip((clouds - 0.5) * 5, 0, 1) * band
    picture = picture * (1 - 0.75 * veil[..., None]) + np.array([255, 226, 205.0]) * 0.75 * veil[..., None]

    sea = y >= HORIZON
    depth = np.clip((y - HORIZON) / (HEIGHT - HORIZON), 0, 1)
    water = mix((196, 150, 128), (16, 58, 92), np.clip(depth * 1.5, 0, 1)[..., None])
    scale = 3 + 40 * depth
    waves = sum(
        np.sin((x * np.cos(a) * 0.25 + (y - HORIZON) * 3.1) * 7 / scale + p) / (i + 1)
        for i, (a, p) in enumerate(zip(rng.uniform(-0.6, 0.6, 5), rng.uniform(0, 6.3, 5)))
    )
    water += (waves * 11)[..., None]
    glitter = np.exp(-(((x - SUN[0]) / (16 + 95 * depth)) ** 2)) * np.clip(waves + 0.35, 0, 1.4)
    water += glitter[..., None] * np.array([190, 140, 70.0])
    picture[sea] = water[sea]
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)), waves


def boat():
    layer = Image.new("RGBA", (WIDTH * SCALE, HEIGHT * SCALE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)

    def polygon(points, fill):
        draw.polygon([(px * SCALE, py * SCALE) for px, py in points], fill=fill)

    def curve(start, control, end, steps=24):
        t = np.linspace(0, 1, steps)[:, None]
        points = (1 - t) ** 2 * np.array(start) + 2 * t * (1 - t) * np.array(control) + t**2 * np.array(end)
        return [tuple(p) for p in points]

    polygon(curve((232, 100), (320, 250), (318, 318)) + [(232, 322)], (250, 240, 222, 255))
    polygon(curve((232, 100), (300, 240), (290, 319)) + [(318, 318)] + curve((318, 318), (320, 250), (232, 100)),
            (232, 206, 178, 255))
    polygon(curve((226, 122), (192, 250), (150, 320)) + [(226, 322)], (214, 82, 62, 255))
    polygon([(226, 96), (232, 96), (233, 338), (226, 338)], (92, 62, 44, 255))
    polygon([(232, 84), (262, 91), (232, 99)], (214, 82, 62, 255))
    polygon([(138, 334), (330, 328)] + curve((330, 328), (318, 362), (286, 372)) + [(172, 374)] +
            curve((172, 374), (148, 362), (138, 334)), (120, 58, 40, 255))
    polygon([(138, 334), (330, 328), (327, 337), (142, 343)], (246, 232, 208, 255))
    return layer.resize((WIDTH, HEIGHT), Image.LANCZOS)


def main():
    rng = np.random.default_rng(7)
    picture, waves = sky_and_sea(rng)
    ship = boat()
    waterline = 366
    # Mirror image below the waterline: flipped, dimmed, pushed about by the waves.
    mirror = np.asarray(ship.transpose(Image.FLIP_TOP_BOTTOM).filter(ImageFilter.GaussianBlur(1.5)))
    mirror = np.roll(mirror, 2 * waterline - HEIGHT, axis=0).copy()
    mirror[:waterline] = 0
    shifts = (waves[:, 236] * 5).astype(int)
    mirror = np.stack([np.roll(row, shift, axis=0) for row, shift in zip(mirror, shifts)])
    mirror[..., 3] = mirror[..., 3] * 0.45
    picture = picture.convert("RGBA")
    picture.alpha_composite(Image.fromarray(mirror.astype(np.uint8), "RGBA"))
    hull = np.asarray(ship).copy()
    hull[waterline + 4:] = 0
    picture.alpha_composite(Image.fromarray(hull, "RGBA"))
    picture.convert("RGB").save("boat.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()

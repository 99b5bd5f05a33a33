"""Renders the demo model's data set: still landscapes with one object that moves, and a caption that says how.

A scene is a function of (seed, split, index) alone. The object moves at a constant speed in one of four directions
and comes back at the other side of the frame, so that a video may be continued without end; or it stands still. Nothing
in the first frame tells which: only the caption does, and five training videos in a row have one first frame and five
captions, so that a model cannot do well without reading them. Speeds are whole and half latents a latent frame (16
pixels in 4 frames), so that motion is moving latents about.

  make_scenes.py --out=DIR --count=3000                      videos, in both forms that the trainer reads:
                                                             DIR/<object>/<object>.csv (Filename, Video Description)
                                                             and DIR/train.jsonl (path, prompt)
  make_scenes.py --out=DIR --count=64 --split=held-out       first frames: DIR/NNNNN.png and DIR/scenes.jsonl
                                                             (picture, prompt, direction, seed); --videos adds videos
"""

import argparse
import csv
import dataclasses
import json
import multiprocessing
import pathlib

import av
import numpy as np
from PIL import Image, ImageDraw

FPS = 24
SIZE = 128  # the size that shapes and speeds are stated for
FINE = 8  # sub-pixels along a side of the moving object's pixels: it is placed to an eighth of a pixel
SPLITS = {"train": 0, "held-out": 1}

COLOURS = {
    "red": (222, 32, 40),
    "orange": (255, 138, 10),
    "yellow": (252, 226, 40),
    "green": (18, 168, 62),
    "blue": (30, 72, 224),
    "purple": (146, 40, 196),
}
OBJECTS = ("ball", "box", "triangle", "star", "boat", "car")
STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
MOTIONS = (*STEPS, "still")
# Pixels a frame, and the adverb that says so: a caption leaves nothing about the motion to be guessed.
SPEEDS = {"": 4.0, "slowly": 2.0}
SLOW_SHARE = 0.25


@dataclasses.dataclass
class Scene:
    """What a scene shows; lengths in pixels of a SIZE wide frame."""

    seed: int
    index: int
    shape: str
    colour: str
    direction: str  # left, right, up, down or still
    speed: float  # pixels a frame
    width: float  # of the moving object
    start: tuple[float, float]  # its centre in frame 0
    prompt: str


def random_for(seed: int, split: str, place: int, part: int) -> np.random.Generator:
    """A generator for one part of a scene, so that changing one part leaves the others as they are."""
    return np.random.default_rng([seed, SPLITS[split], place, part])


def place_of(split: str, index: int) -> int:
    """Scenes of one place have the same first frame. Held-out scenes have one each."""
    return index // len(MOTIONS) if split == "train" else index


def make_prompt(rng: np.random.Generator, colour: str, shape: str, direction: str, adverb: str) -> str:
    """A caption made of words that the synthetic tokenizer holds whole, one of which is the direction."""
    article = rng.choice(["an" if colour == "orange" else "a", "the"])
    subject = f"{article} {colour} {shape}"
    if direction == "still":
        return f"{subject} {rng.choice(['stands still', 'sits still'])}"
    verb = rng.choice(["moves", "drifts", "slides", "floats"])
    sideways = direction in ("left", "right")
    where = rng.choice([f"to the {direction}", direction]) if sideways else direction
    words = [subject, verb, where]
    if adverb:
        words.insert(int(rng.choice([1, 3])), adverb)  # "slowly moves up" or "moves up slowly"
    return " ".join(words)


def make_scene(seed: int, split: str, index: int) -> Scene:
    place = place_of(split, index)
    rng = random_for(seed, split, place, 0)
    shape, colour = str(rng.choice(OBJECTS)), str(rng.choice(list(COLOURS)))
    width = float(rng.uniform(24, 36))
    # An object begins whole: cut in two by the border it could not be told what it is.
    start = tuple(float(v) for v in rng.uniform(width / 2, SIZE - width / 2, size=2))
    rng = random_for(seed, split, index, 2)
    motion = index % len(MOTIONS) if split == "train" else rng.integers(len(MOTIONS))
    direction = MOTIONS[motion]
    adverb = "slowly" if rng.random() < SLOW_SHARE else ""
    speed = 0.0 if direction == "still" else SPEEDS[adverb]
    prompt = make_prompt(rng, colour, shape, direction, adverb)
    return Scene(seed, index, shape, colour, direction, speed, width, start, prompt)


# --- the background -------------------------------------------------------------------------------------------


def muted(rng: np.random.Generator, low: int, high: int) -> np.ndarray:
    """A greyish colour: the moving object's are the only saturated ones. [3]"""
    grey = rng.uniform(low, high)
    return np.clip(grey + rng.uniform(-28, 28, size=3), 0, 255)


def gradient(height: int, width: int, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """[height, width, 3]"""
    t = np.linspace(0, 1, max(height, 1))[:, None, None]
    return np.broadcast_to(top * (1 - t) + bottom * t, (max(height, 1), width, 3))


def texture(rng: np.random.Generator, size: int, cells: int, strength: float) -> np.ndarray:
    """Smooth grey noise with `cells` bumps along a side, of standard deviation `strength`. [size, size, 1]"""
    coarse = Image.fromarray(rng.normal(size=(cells, cells)).astype(np.float32))
    fine = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    return (fine / fine.std() * strength)[..., None]


def rgb(colour) -> tuple[int, int, int]:
    return tuple(int(v) for v in np.clip(colour, 0, 255))


def draw_tree(draw, rng, x, y, s):
    trunk, crown = muted(rng, 60, 95), muted(rng, 70, 150)
    draw.rectangle((x - s * 0.09, y - s * 0.5, x + s * 0.09, y), fill=rgb(trunk))
    if rng.random() < 0.5:
        draw.ellipse((x - s * 0.35, y - s * 1.1, x + s * 0.35, y - s * 0.35), fill=rgb(crown))
    else:
        draw.polygon([(x - s * 0.38, y - s * 0.3), (x + s * 0.38, y - s * 0.3), (x, y - s * 1.2)], fill=rgb(crown))


def draw_house(draw, rng, x, y, s):
    wall, roof, door = muted(rng, 130, 210), muted(rng, 70, 120), muted(rng, 50, 90)
    draw.rectangle((x - s * 0.5, y - s * 0.6, x + s * 0.5, y), fill=rgb(wall))
    draw.polygon([(x - s * 0.62, y - s * 0.6), (x + s * 0.62, y - s * 0.6), (x, y - s * 1.1)], fill=rgb(roof))
    draw.rectangle((x - s * 0.12, y - s * 0.4, x + s * 0.12, y), fill=rgb(door))


def draw_rock(draw, rng, x, y, s):
    stone = muted(rng, 85, 150)
    draw.pieslice((x - s * 0.55, y - s * 0.45, x + s * 0.55, y + s * 0.45), 180, 360, fill=rgb(stone))
    draw.pieslice((x - s * 0.05, y - s * 0.28, x + s * 0.75, y + s * 0.28), 180, 360, fill=rgb(stone * 0.85))


def draw_sun(draw, rng, x, y, s):
    disc = muted(rng, 205, 235)
    draw.ellipse((x - s * 0.35, y - s * 0.35, x + s * 0.35, y + s * 0.35), fill=rgb(disc))


def draw_hill(draw, rng, x, y, s):
    draw.pieslice((x - s * 1.3, y - s * 0.8, x + s * 1.3, y + s * 0.8), 180, 360, fill=rgb(muted(rng, 90, 165)))


def render_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A sky, a ground and two or three things that never move. [size, size, 3] float, 0..255"""
    scale = 4  # drawn four times as large, then averaged down
    n = size * scale
    horizon = int(n * rng.uniform(0.45, 0.72))
    picture = np.empty((n, n, 3))
    picture[:horizon] = gradient(horizon, n, muted(rng, 110, 200), muted(rng, 150, 230))
    picture[horizon:] = gradient(n - horizon, n, muted(rng, 90, 160), muted(rng, 70, 150))
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(0, 2)):
        draw_hill(draw, rng, rng.uniform(0, n), horizon, n * rng.uniform(0.15, 0.28))
    draw.rectangle((0, horizon, n, horizon + scale), fill=rgb(picture[-1, 0] * 0.9))
    if rng.random() < 0.4:
        draw_sun(draw, rng, rng.uniform(0.1, 0.9) * n, rng.uniform(0.1, 0.3) * n, n * rng.uniform(0.15, 0.25))
    for _ in range(rng.integers(2, 4)):
        thing = (draw_tree, draw_house, draw_rock)[rng.integers(3)]
        thing(draw, rng, rng.uniform(0.05, 0.95) * n, rng.uniform(horizon + scale * 3, n), n * rng.uniform(0.16, 0.3))
    small = np.asarray(image.resize((size, size), Image.Resampling.BOX)).astype(np.float32)
    return small + texture(rng, size, 10, 3.0)


# --- the moving object ----------------------------------------------------------------------------------------


def draw_shape(shape: str, colour: tuple, n: int) -> Image.Image:
    """The object in an n x n square, alpha outside of it 0. Left and right halves are alike: no shape has a front."""
    image = Image.new("RGBA", (n, n))
    draw = ImageDraw.Draw(image)
    dark, light = tuple(int(v * 0.45) for v in colour), tuple(int(v + (255 - v) * 0.55) for v in colour)
    line = max(1, n // 22)
    point = lambda x, y: (x * (n - 1), y * (n - 1))
    if shape == "ball":
        draw.ellipse((0, 0, n - 1, n - 1), fill=colour, outline=dark, width=line)
        draw.ellipse((*point(0.36, 0.16), *point(0.64, 0.38)), fill=light)
    elif shape == "box":
        draw.rectangle((*point(0.05, 0.05), *point(0.95, 0.95)), fill=colour, outline=dark, width=line)
        draw.rectangle((*point(0.3, 0.3), *point(0.7, 0.7)), fill=light)
    elif shape == "triangle":
        draw.polygon([point(0.5, 0), point(1, 0.93), point(0, 0.93)], fill=colour, outline=dark, width=line)
    elif shape == "star":
        angles = np.pi * np.arange(10) / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 0.5, 0.23)
        corners = [point(0.5 + r * np.cos(a), 0.5 + r * np.sin(a)) for r, a in zip(radii, angles)]
        draw.polygon(corners, fill=colour, outline=dark, width=line)
    elif shape == "boat":
        draw.rectangle((*point(0.47, 0.02), *point(0.53, 0.7)), fill=dark)
        draw.polygon([point(0.5, 0.05), point(0.85, 0.58), point(0.15, 0.58)], fill=light, outline=dark, width=line)
        draw.polygon(
            [point(0, 0.62), point(1, 0.62), point(0.8, 0.95), point(0.2, 0.95)],
            fill=colour,
            outline=dark,
            width=line,
        )
    else:  # car
        draw.polygon(
            [point(0.2, 0.48), point(0.32, 0.18), point(0.68, 0.18), point(0.8, 0.48)],
            fill=light,
            outline=dark,
            width=line,
        )
        draw.rectangle((*point(0, 0.45), *point(1, 0.76)), fill=colour, outline=dark, width=line)
        for x in (0.25, 0.75):
            draw.ellipse((*point(x - 0.14, 0.62), *point(x + 0.14, 0.9)), fill=(30, 30, 34))
    return image


def render_object(scene: Scene, size: int) -> np.ndarray:
    """The object at FINE sub-pixels a pixel, its colour times its alpha, then its alpha. [n, n, 4], 0..1"""
    n = round(scene.width * size / SIZE * FINE)
    rgba = np.asarray(draw_shape(scene.shape, COLOURS[scene.colour], n)).astype(np.float32) / 255
    return np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], axis=-1)


def paste(background: np.ndarray, sprite: np.ndarray, x: float, y: float) -> np.ndarray:
    """The background with the sprite's centre at pixel (x, y), whatever leaves on one side coming in on the other."""
    size, n = background.shape[0], sprite.shape[0]
    left, top = (round(v * FINE) - n // 2 for v in (x, y))
    cells = n // FINE + 2
    canvas = np.zeros((cells * FINE, cells * FINE, 4), np.float32)
    canvas[top % FINE : top % FINE + n, left % FINE : left % FINE + n] = sprite
    pixels = canvas.reshape(cells, FINE, cells, FINE, 4).mean(axis=(1, 3))
    rows, columns = ((v // FINE + np.arange(cells)) % size for v in (top, left))
    frame = background.copy()
    at = np.ix_(rows, columns)
    frame[at] = frame[at] * (1 - pixels[..., 3:]) + 255 * pixels[..., :3]
    return frame


def render(scene: Scene, split: str, frames: int, size: int) -> np.ndarray:
    """[frames, size, size, 3] uint8"""
    background = render_background(random_for(scene.seed, split, place_of(split, scene.index), 1), size)
    sprite = render_object(scene, size)
    dx, dy = STEPS.get(scene.direction, (0, 0))
    video = []
    for i in range(frames):
        x, y = (s + d * scene.speed * i for s, d in zip(scene.start, (dx, dy)))
        video.append(paste(background, sprite, x * size / SIZE, y * size / SIZE))
    return np.clip(np.round(video), 0, 255).astype(np.uint8)


# --- files ----------------------------------------------------------------------------------------------------


def write_video(path: pathlib.Path, video: np.ndarray) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"crf": "12", "preset": "medium", "threads": "1"})
        stream.height, stream.width = video.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in video:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())


def make_one(job) -> Scene:
    args, index = job
    scene = make_scene(args.seed, args.split, index)
    held_out = args.split == "held-out"
    video = render(scene, args.split, 1 if held_out and not args.videos else args.frames, args.size)
    if held_out:
        Image.fromarray(video[0]).save(args.out / f"{index:05d}.png")
        if args.videos:
            write_video(args.out / f"{index:05d}.mp4", video)
    else:
        write_video(args.out / scene.shape / f"{index:05d}.mp4", video)
    return scene


def write_lists(args, scenes: list[Scene]) -> None:
    if args.split == "held-out":
        with open(args.out / "scenes.jsonl", "w") as out:
            for s in scenes:
                line = {
                    "picture": f"{s.index:05d}.png",
                    "prompt": s.prompt,
                    "direction": s.direction,
                    "seed": s.index,
                }
                out.write(json.dumps(line) + "\n")
        return
    with open(args.out / "train.jsonl", "w") as out:
        for s in scenes:
            out.write(json.dumps({"path": f"{s.shape}/{s.index:05d}.mp4", "prompt": s.prompt}) + "\n")
    for shape in OBJECTS:
        with open(args.out / shape / f"{shape}.csv", "w", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(["Filename", "Video Description"])
            rows.writerows([f"{s.index:05d}.mp4", s.prompt] for s in scenes if s.shape == shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=49, help="of a video; 1 + 4k")
    parser.add_argument("--size", type=int, default=SIZE, help="of a side, in pixels")
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--videos", action="store_true", help="write the held-out scenes' videos too")
    args = parser.parse_args()
    for folder in [""] if args.split == "held-out" else OBJECTS:
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    with multiprocessing.Pool() as pool:
        scenes = list(pool.imap(make_one, ((args, i) for i in range(args.count)), chunksize=8))
    write_lists(args, scenes)


if __name__ == "__main__":
    main()

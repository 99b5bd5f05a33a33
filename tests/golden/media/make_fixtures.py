#!/usr/bin/env python3
"""Makes the picture fixtures of tests/worker/media with Pillow 13 and numpy 2. Run from this folder; same bytes each time.

Every picture has a plain-text twin NAME.ppm with what it must decode to (upright, over white, 8 bits).
"""
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

WIDTH, HEIGHT = 48, 32


def base():
    """A smooth picture that differs under every flip and rotation."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    red = 255 * x / (WIDTH - 1)
    green = 255 * y / (HEIGHT - 1)
    blue = 127.5 + 127.5 * np.sin(x / 9 + y / 13)
    return Image.fromarray(np.stack([red, green, blue], -1).round().astype(np.uint8), "RGB")


def twin(name, image):
    image.convert("RGB").save(f"{name}.ppm")


def over_white(image):
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(name, depth, colour, rows, extra=b""):
    """PNG kinds that Pillow does not write."""
    height = len(rows)
    width = len(rows[0]) * 8 // (depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour])
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 9)
    with open(name, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def cover(image, width, height):
    """Scaled to cover that size, the centre cut out."""
    scale = max(width / image.width, height / image.height)
    size = (round(image.width * scale), round(image.height * scale))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    scaled = image.resize(size, Image.Resampling.LANCZOS)
    return scaled.crop((left, top, left + width, top + height))


def main():
    image = base()
    pixels = np.asarray(image)
    twin("rgb", image)
    image.save("rgb.jpg", quality=95, subsampling=0)
    image.save("rgb_420.jpg", quality=95, subsampling=2)
    image.save("progressive.jpg", quality=95, subsampling=0, progressive=True)
    image.save("rgb.png", optimize=True)
    image.save("lossless.webp", lossless=True)
    image.save("lossy.webp", quality=95)
    image.convert("CMYK").save("cmyk.jpg", quality=95)

    grey = image.convert("L")
    twin("grey", grey)
    grey.save("grey.jpg", quality=95)
    grey.save("grey.png")

    palette = image.quantize(32)
    twin("palette", palette)
    palette.save("palette.png")

    alpha = image.convert("RGBA")
    mask = np.tile(np.linspace(0, 255, WIDTH).round().astype(np.uint8), (HEIGHT, 1))
    alpha.putalpha(Image.fromarray(mask))
    twin("alpha", over_white(alpha))
    alpha.save("alpha.png")
    alpha.save("alpha.webp", lossless=True, exact=True)

    wide = (pixels.astype(np.uint16) * 257).astype(">u2")
    raw_png("rgb16.png", 16, 2, [row.tobytes() for row in wide])
    raw_png("grey16.png", 16, 0, [row.tobytes() for row in (np.asarray(grey).astype(np.uint16) * 257).astype(">u2")])
    bits = np.asarray(grey) > 127
    raw_png("bits.png", 1, 0, [np.packbits(row).tobytes() for row in bits])
    twin("bits", Image.fromarray((bits * 255).astype(np.uint8)))
    # One transparent colour of an RGB picture: white shows where pixel (0, 0)'s colour was.
    clear = pixels.copy()
    clear[:8, :8] = pixels[0, 0]
    key = b"".join(struct.pack(">H", v) for v in pixels[0, 0])
    raw_png("keyed.png", 8, 2, [row.tobytes() for row in clear], chunk(b"tRNS", key))
    shown = clear.copy()
    shown[(clear == pixels[0, 0]).all(-1)] = 255
    twin("keyed", Image.fromarray(shown))

    for orientation in range(1, 9):
        block = exif(orientation)
        image.save(f"orient{orientation}.jpg", quality=95, subsampling=0, exif=block)
        upright = ImageOps.exif_transpose(Image.open(f"orient{orientation}.jpg"))
        assert upright.size == ((WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH))
        image.save(f"orient{orientation}.png", exif=block)
        twin(f"orient{orientation}", ImageOps.exif_transpose(Image.open(f"orient{orientation}.png")))
    image.save("orient6.webp", lossless=True, exif=exif(6))
    for width, height in ((20, 20), (72, 24)):
        twin(f"cover_{width}x{height}", cover(image, width, height))
    Image.open("rgb.png").save("animated.webp", save_all=True, append_images=[ImageOps.flip(image)], lossless=True)


if __name__ == "__main__":
    main()

"""What Pillow makes of pictures of odd sizes in every mode, for pillow.rs to agree with.

    python pillow.py pictures FOLDER   writes PNGs, and what Pillow makes of each as raw bytes; lists them
    python pillow.py golden            lists hashes of what it makes of pictures that both sides can draw
"""

import hashlib
import math
import struct
import sys
import zlib

import numpy
from PIL import Image

FILTERS = {
    "nearest": Image.NEAREST,
    "bilinear": Image.BILINEAR,
    "bicubic": Image.BICUBIC,
    "lanczos": Image.LANCZOS,
}


def target(width, height, samples):
    """The post's size, or None where a side would vanish."""
    f = math.sqrt(width * height * 3 / samples)
    size = (int(width / f), int(height / f))
    return size if min(size) >= 1 else None


def png(values, bits, kind, chunks=()):
    """A PNG of `bits` a channel, which Pillow itself does not write in every mode. `kind` is PNG's colour type."""
    height, width = values.shape[:2]
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in values]
    else:
        per_byte = 8 // bits
        rows = []
        for row in values.reshape(height, -1):
            row = numpy.append(row, numpy.zeros(-len(row) % per_byte, "uint8"))
            packed = numpy.zeros(len(row) // per_byte, "uint8")
            for place in range(per_byte):
                packed |= row[place::per_byte] << (8 - bits * (place + 1))
            rows.append(packed.tobytes())

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in parts)


def noise(random, *shape, high=256, kind="uint8"):
    return random.integers(0, high, shape).astype(kind)


def write_pictures(folder, random, width, height):
    """Every kind of picture in this size. Returns their names."""
    colour = Image.fromarray(noise(random, height, width, 3))
    by_pillow = {
        "rgb": colour,
        "grey": Image.fromarray(noise(random, height, width)),
        "palette": colour.quantize(37),
        "alpha": Image.fromarray(noise(random, height, width, 4)),
        "greyalpha": Image.fromarray(noise(random, height, width, 2), "LA"),
        "bits": Image.fromarray(noise(random, height, width, high=2) * 255).convert("1"),
    }
    for name, picture in by_pillow.items():
        picture.save(f"{folder}/{name}-{width}x{height}.png")

    def wide(channels):
        return noise(random, height, width, channels, high=65536, kind="uint16")

    palette = noise(random, 48).tobytes()
    by_hand = {
        "grey2": png(noise(random, height, width, 1, high=4), 2, 0),
        "grey4": png(noise(random, height, width, 1, high=16), 4, 0),
        "greyshade": png(noise(random, height, width, 1), 8, 0, [(b"tRNS", struct.pack(">H", 77))]),
        "rgbshade": png(noise(random, height, width, 3), 8, 2, [(b"tRNS", struct.pack(">HHH", 7, 8, 9))]),
        "palette4": png(
            noise(random, height, width, 1, high=16), 4, 3, [(b"PLTE", palette), (b"tRNS", b"\0\x80")]
        ),
        "grey16": png(wide(1), 16, 0),
        "grey16shade": png(wide(1), 16, 0, [(b"tRNS", struct.pack(">H", 777))]),
        "rgb16": png(wide(3), 16, 2),
        "greyalpha16": png(wide(2), 16, 4),
        "alpha16": png(wide(4), 16, 6),
    }
    for name, data in by_hand.items():
        with open(f"{folder}/{name}-{width}x{height}.png", "wb") as file:
            file.write(data)
    return [*by_pillow, *by_hand]


def opened(path):
    """A picture as the post's code had it: grey has one channel, all else is convert("RGB").

    Pillow leaves grey of 16 bits as it is; its upper eight are what it keeps of 16 bits in colour. In 2018 it
    opened them in mode I, for which it finds the nearest pixel as for 8 bits; it does not for today's I;16.
    """
    picture = Image.open(path)
    if picture.mode.startswith("I"):
        return picture.convert("I"), lambda resized: (numpy.asarray(resized) >> 8).astype("uint8").tobytes()
    picture = picture.convert("L") if picture.mode in ("L", "1") else picture.convert("RGB")
    return picture, lambda resized: resized.tobytes()


def pictures(folder):
    random = numpy.random.default_rng(7)
    for width, height in [(1, 1), (7, 5), (31, 17), (150, 223), (223, 150), (101, 257)]:
        for kind in write_pictures(folder, random, width, height):
            name = f"{kind}-{width}x{height}"
            picture, as_bytes = opened(f"{folder}/{name}.png")
            for samples in (3, 100, 1125, 4686, 97656, 200001):
                size = target(width, height, samples)
                if size is None:
                    continue
                # Smooth filters are for 8 bits; on 16 they depend on when the lower eight are dropped.
                filters = ["nearest"] if kind.startswith("grey16") else FILTERS
                for word in filters:
                    resized = picture.resize(size, FILTERS[word])
                    with open(f"{folder}/{name}.{samples}.{word}.raw", "wb") as file:
                        file.write(as_bytes(resized))
                    print(name, word, samples, *size, len(resized.getbands()))


def golden():
    for width, height, channels in [(7, 5, 3), (31, 17, 1), (149, 223, 3), (640, 427, 3), (613, 921, 1)]:
        y, x, c = numpy.mgrid[0:height, 0:width, 0:channels]
        values = ((x * x + 3 * x * y + 7 * y + 85 * c) % 256).astype("uint8")
        picture = Image.fromarray(values if channels == 3 else values[:, :, 0])
        for samples in (100, 4686, 97656):
            size = target(width, height, samples)
            for word, resample in FILTERS.items():
                digest = hashlib.sha256(picture.resize(size, resample).tobytes()).hexdigest()
                print(width, height, channels, samples, word, *size, digest)


if __name__ == "__main__":
    if sys.argv[1] == "golden":
        golden()
    else:
        pictures(sys.argv[2])

"""Damaged pictures by the thousand: `python -m benchmarks.picture_fuzz --count 20000` reads them all and says what came of it.

Each file is a small valid picture of some kind with a few seeded changes. Reading it must give pixels or an InputError,
soon, and nothing else; the files are read in a process of their own, so that a crash in a decoder is seen and told.
"""

import argparse
import io
import json
import multiprocessing
import multiprocessing.connection
import random
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from meshwright.engines.errors import InputError
from meshwright.engines.machine.parent import end_with_parent
from meshwright.runtime.images.pictures import read_picture
from tests.runtime.icc_profiles import P3_PRIMARIES, curve, grey_profile, ink_profile, rgb_profile

LONGEST = 10.0  # seconds for one file; what takes longer hangs
Read = Callable[[Path], str]
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds() -> dict[str, bytes]:
    """Small valid pictures of every kind that is read, by name."""
    colours = np.random.default_rng(0).integers(0, 256, (24, 20, 4), np.uint8)
    rgba = Image.fromarray(colours)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    deep = Image.fromarray(np.arange(480, dtype=np.uint16).reshape(24, 20) * 137)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    turned = rgb.rotate(90)
    return {
        "rgb.png": _saved(rgb, "PNG", exif=exif), "rgba.png": _saved(rgba, "PNG"), "grey.png": _saved(grey, "PNG"),
        "deep.png": _saved(deep, "PNG"), "palette.png": _saved(rgb.convert("P"), "PNG", transparency=3),
        "bits.png": _saved(rgb.convert("1"), "PNG"), "animated.png": _saved(rgb, "PNG", save_all=True, append_images=[turned]),
        "rgb.jpg": _saved(rgb, "JPEG", exif=exif), "progressive.jpg": _saved(rgb, "JPEG", progressive=True),
        "grey.jpg": _saved(grey, "JPEG"), "cmyk.jpg": _saved(rgb.convert("CMYK"), "JPEG"),
        "lossy.webp": _saved(rgb, "WEBP"), "lossless.webp": _saved(rgba, "WEBP", lossless=True, exif=exif),
        "animated.webp": _saved(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(90)]),
        **_with_profiles(rgb, grey, rgba),
        "rgb.bmp": _saved(rgb, "BMP"), "palette.bmp": _saved(rgb.convert("P"), "BMP"), "bits.bmp": _saved(rgb.convert("1"), "BMP"),
        "palette.gif": _saved(rgb.convert("P"), "GIF", transparency=3),
        "animated.gif": _saved(rgb, "GIF", save_all=True, append_images=[turned, rgb]),
    }


def _with_profiles(rgb: Image.Image, grey: Image.Image, rgba: Image.Image) -> dict[str, bytes]:
    """Pictures whose colours are converted: a profile of each kind, in each format that carries one."""
    display, dark, press = rgb_profile(P3_PRIMARIES), grey_profile(curve(1.0)), ink_profile()
    return {
        "display_profile.png": _saved(rgb, "PNG", icc_profile=display), "display_profile.jpg": _saved(rgb, "JPEG", icc_profile=display),
        "display_profile.webp": _saved(rgba, "WEBP", lossless=True, icc_profile=display),
        "grey_profile.png": _saved(grey, "PNG", icc_profile=dark), "grey_profile.jpg": _saved(grey, "JPEG", icc_profile=dark),
        "press_profile.jpg": _saved(rgb.convert("CMYK"), "JPEG", icc_profile=press),
    }


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One to six changes; in a PNG the checksums are put right again more often than not, so that its chunks are looked at."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        rng.choice(CHANGES)(changed, other, rng)
    fix = changed.startswith(b"\x89PNG") and rng.random() < 0.7
    return _with_checksums(bytes(changed)) if fix else bytes(changed)


def judged(path: Path) -> str:
    """"read" or "refused"; anything but InputError is raised."""
    try:
        picture = read_picture(path)
    except InputError:
        return "refused"
    pixels = picture.pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or not pixels.size:
        raise AssertionError(f"no picture: {pixels.dtype} {pixels.shape}")
    return "read"


def files(count: int, seed: int) -> list[tuple[str, bytes]]:
    """`count` damaged files and the kinds they were, the same ones for the same seed."""
    whole, rng = seeds(), random.Random(seed)
    names = sorted(whole)
    kinds = [names[i % len(names)] for i in range(count)]
    return [(kind, mutated(whole[kind], whole[rng.choice(names)], rng)) for kind in kinds]


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _place(data: bytearray, rng: random.Random, size: int = 1) -> int:
    """Where to change something: in the first bytes, which say the most, every other time."""
    end = max(len(data) - size, 0)
    return rng.randint(0, min(end, 80) if rng.random() < 0.5 else end)


def _flip(data: bytearray, other: bytes, rng: random.Random) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _scramble(data: bytearray, other: bytes, rng: random.Random) -> None:
    if data:
        data[_place(data, rng)] = rng.randrange(256)


def _extreme(data: bytearray, other: bytes, rng: random.Random) -> None:
    code = rng.choice(("<B", "<H", ">H", "<I", ">I"))
    size = struct.calcsize(code)
    at = _place(data, rng, size)
    data[at:at + size] = struct.pack(code, rng.choice(EXTREMES) % 256**size)


def _cut(data: bytearray, other: bytes, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at:at + rng.randint(1, 40)]


def _double(data: bytearray, other: bytes, rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = data[at:at + rng.randint(1, 60)]


def _truncate(data: bytearray, other: bytes, rng: random.Random) -> None:
    del data[rng.randint(0, len(data)):]


def _splice(data: bytearray, other: bytes, rng: random.Random) -> None:
    start = rng.randrange(len(other))
    at = _place(data, rng)
    data[at:at + rng.choice((0, 40))] = other[start:start + rng.randint(1, 200)]


# Bits and fields more often than what tears a file apart.
CHANGES: tuple[Callable[[bytearray, bytes, random.Random], None], ...] = (
    _flip, _flip, _flip, _scramble, _scramble, _extreme, _extreme, _extreme, _cut, _double, _truncate, _splice)


def _with_checksums(data: bytes) -> bytes:
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = struct.unpack_from(">I", data, at)[0]
        body = data[at + 4:at + 8 + length]
        if len(body) < 4 + length:
            break
        out += data[at:at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out + data[at:])


def _read_all(count: int, seed: int, read: Read, folder: str, told: multiprocessing.connection.Connection) -> None:
    """In a process of its own: tells of each file before it is read, and afterwards what came of it."""
    end_with_parent(multiprocessing.parent_process().pid)
    for i, (kind, data) in enumerate(files(count, seed)):
        path = Path(folder, f"{i % 2}.{kind.split('.')[1]}")
        path.write_bytes(data)
        told.send((i, kind, None, 0.0))
        started = time.perf_counter()
        try:
            outcome = read(path)
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
        told.send((i, kind, outcome, time.perf_counter() - started))


def run(count: int, seed: int, read: Read = judged, longest: float = LONGEST) -> dict[str, object]:
    """Read `count` damaged files. failures : number of the file, its kind, and what happened instead."""
    outcomes, failures, slowest, latest = Counter(), [], 0.0, None
    with tempfile.TemporaryDirectory() as folder:
        here, there = multiprocessing.Pipe(duplex=False)
        worker = multiprocessing.get_context("spawn").Process(target=_read_all, args=(count, seed, read, folder, there))
        worker.start()
        there.close()
        try:
            while here.poll(60 if latest is None else longest):
                latest = number, kind, outcome, seconds = here.recv()
                if outcome is not None:
                    outcomes[outcome if outcome in ("read", "refused") else "failed"] += 1
                    slowest = max(slowest, seconds)
                    failures += [] if outcome in ("read", "refused") else [(number, kind, outcome)]
            failures.append((*latest[:2], "a hang") if latest else (0, "", "no start"))
            worker.kill()
        except EOFError:
            worker.join()
            if worker.exitcode or sum(outcomes.values()) < count:
                failures.append((*latest[:2], f"the process ended with {worker.exitcode}") if latest else (0, "", "no start"))
        worker.join()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"files": count, "seed": seed, **outcomes, "failures": failures, "slowest_seconds": round(slowest, 3),
            "peak_memory_mib": round(peak)}


def main() -> int:
    """Print the report as JSON; 1 if any file did anything but be read or be refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    report = run(options.count, options.seed)
    print(json.dumps(report, indent=2))
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())

"""Images and odd files for tests, made on the spot: nothing here is read from disk."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from cbir.types import SearchResult

Pixels = npt.NDArray[np.uint8]

ORIENTATION_TAG = 0x0112
TO_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright image is stored for a camera to mark it with that EXIF orientation."""


def picture(width: int = 64, height: int = 48, *, seed: int = 0) -> Image.Image:
    """A smooth picture without any symmetry: RGB, the same for the same seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def plain(colour: str | tuple[int, ...], width: int = 16, height: int = 12) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def encode(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """`format` and `options` as Pillow's `Image.save` takes them."""
    encoded = io.BytesIO()
    image.save(encoded, format, **options)
    return encoded.getvalue()


def turned(image: Image.Image, orientation: int, format: str, **options: Any) -> bytes:
    """An upright image, stored turned and marked with an EXIF orientation from 1 to 8."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    stored = image.transpose(TO_STORED[orientation]) if orientation in TO_STORED else image
    return encode(stored, format, exif=exif, **options)


def huge_png(width: int = 20_000, height: int = 20_000) -> bytes:
    """A PNG of one colour, 1 bit per pixel: a few kilobytes that decode to very many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(height * (1 + (width + 7) // 8)), 1)
    chunks = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def swapped_profile() -> bytes:
    """An ICC profile like sRGB, but with red and green exchanged: its use is easy to see."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(profile[at : at + 4]): at for at in _tag_entries(profile)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _tag_entries(profile: bytearray) -> range:
    (count,) = struct.unpack_from(">I", profile, 128)
    return range(132, 132 + 12 * count, 12)


def folder_of(folder: Path, images: Mapping[str, Image.Image | bytes]) -> Path:
    """A new folder with images by name, saved as their suffix says, or as these bytes."""
    folder.mkdir(parents=True)
    for name, image in images.items():
        if isinstance(image, bytes):
            (folder / name).write_bytes(image)
        else:
            image.save(folder / name)
    return folder


@contextmanager
def folder_for_everyone() -> Iterator[Path]:
    """A temporary folder that an unprivileged user can enter, which pytest's tmp_path is not."""
    path = Path(tempfile.mkdtemp(prefix="cbir-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        for sub in path.rglob("*"):
            if not sub.is_symlink():
                sub.chmod(sub.stat().st_mode | stat.S_IRWXU)
        shutil.rmtree(path)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Permissions are not checked for root: tests that need them step down for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def names(result: SearchResult) -> list[str]:
    """The names of the images found, best first."""
    return [hit.image.name for hit in result.hits]

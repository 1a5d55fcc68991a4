"""The supported image formats: suffixes, signatures, and the Pillow plugin of each."""

from __future__ import annotations

import importlib
import struct
from importlib.util import find_spec
from typing import TYPE_CHECKING

from cbir.errors import ImageError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = [
    "IMAGE_SUFFIXES",
    "KNOWN_FORMATS",
    "SIGNATURE_BYTES",
    "missing_extra",
    "plugin_of",
    "sniff_format",
]

EXTRA_SUFFIXES = {".jxl": ("jxl", "pillow_jxl")}
"""Suffix → extra and its module, of formats whose files count as images only with the extra."""


def missing_extra(suffix: str) -> str | None:
    """The extra that is needed to read files of a suffix and is not installed; None otherwise."""
    extra, module = EXTRA_SUFFIXES.get(suffix, ("", ""))
    return extra if extra and find_spec(module) is None else None


IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
    | {".heic", ".heif", ".hif", ".avif"}
    | {".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"}
    | {suffix for suffix in EXTRA_SUFFIXES if missing_extra(suffix) is None}
)
SIGNATURE_BYTES = 32
"""Bytes at the beginning of a file that `sniff_format` needs."""

# Plugins are called directly, not through Image.open: no other parser can be reached (EPS starts
# Ghostscript), and an image's size is known before its limit is checked.
_PLUGINS = {
    "jpeg": "PIL.JpegImagePlugin:JpegImageFile",  # the first image of an MPO, too
    "png": "PIL.PngImagePlugin:PngImageFile",
    "webp": "PIL.WebPImagePlugin:WebPImageFile",
    "bmp": "PIL.BmpImagePlugin:BmpImageFile",
    "tiff": "PIL.TiffImagePlugin:TiffImageFile",
    "gif": "PIL.GifImagePlugin:GifImageFile",
    "heic": "pillow_heif.as_plugin:HeifImageFile",
    "avif": "PIL.AvifImagePlugin:AvifImageFile",
    "jp2": "PIL.Jpeg2KImagePlugin:Jpeg2KImageFile",
    "jxl": "cbir.images.jpeg_xl:JpegXlFile",
}
KNOWN_FORMATS = tuple(_PLUGINS)

_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_EITHER_BRANDS = frozenset({b"mif1", b"msf1", b"mif2"})


def sniff_format(head: bytes) -> str | None:
    """One of `KNOWN_FORMATS` by a file's first 32 bytes, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "tiff"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _by_brands(head)
    if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "jp2"
    if head.startswith((b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a")):
        return "jxl"
    # Text may begin with "BM", too; in a bitmap the size of one of its known headers follows.
    if head.startswith(b"BM") and len(head) >= 18:
        (header_size,) = struct.unpack_from("<I", head, 14)
        return "bmp" if header_size in {12, 40, 52, 56, 64, 108, 124} else None
    return None


def _by_brands(head: bytes) -> str | None:
    """The format of an ISO media file, possibly a video; the first brand is the main one."""
    main, others = head[8:12], {head[at : at + 4] for at in range(16, len(head), 4)}
    brands = others if main in _EITHER_BRANDS else {main}
    if brands & _AVIF_BRANDS:
        return "avif"
    return "heic" if brands & _HEIC_BRANDS or main in _EITHER_BRANDS else None


def plugin_of(kind: str) -> type[ImageFile]:
    """The Pillow plugin of a format. Raises ImageError, naming the extra, if it is missing."""
    module, _, name = _PLUGINS[kind].partition(":")
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise ImageError(_lacking(kind)) from error
    if not getattr(loaded, "SUPPORTED", True):
        raise ImageError(_lacking(kind))
    plugin: type[ImageFile] = getattr(loaded, name)
    return plugin


def _lacking(kind: str) -> str:
    extra = "jxl" if kind == "jxl" else "heif"
    return (
        f"{kind.upper()} needs an extra: pip install 'cbir[{extra}]', then index with "
        "--retry-failed"
    )

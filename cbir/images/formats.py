"""The image formats that are read: signatures, suffixes, Pillow plugins and the extras they need.

A new format is one line of `FORMATS` and its signature in `sniff_format`.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from cbir.errors import ImageError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = [
    "EXTRA_MODULES",
    "EXTRA_SUFFIXES",
    "FORMATS",
    "IMAGE_SUFFIXES",
    "KNOWN_FORMATS",
    "RAW_SUFFIXES",
    "SIGNATURE_BYTES",
    "ImageFormat",
    "lacking",
    "missing_extra",
    "plugin_of",
    "sniff_format",
]


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """One format: how it is called, its suffixes, and what reads it."""

    label: str
    suffixes: tuple[str, ...]
    media_type: str
    plugin: str = ""
    """Pillow plugin as `module:Class`. Plugins are called directly, not through Image.open: no
    other parser can be reached (EPS starts Ghostscript), and an image's size is known before its
    limit is checked."""
    opener: str = "cbir.images.pillow_file:PillowFile"
    """Callable as `module:name` that opens a file's bytes (see `cbir.images.pixels`)."""
    extra: str = ""
    """The extra of cbir that brings the plugin; empty where Pillow alone reads the format."""
    needs: str = ""
    """The extra's module, of formats whose files count as images only where it is installed."""


# fmt: off
RAW_TIFF_SUFFIXES = (
    ".dng", ".nef", ".nrw", ".cr2", ".arw", ".sr2", ".srf", ".pef", ".srw", ".3fr", ".iiq", ".erf",
)
# fmt: on
"""Of camera RAW that is a TIFF, without those that name other things, too (.mos, .dcr, .gpr)."""

FORMATS: Mapping[str, ImageFormat] = {
    # The first image of an MPO, too.
    "jpeg": ImageFormat(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        "image/jpeg",
        "PIL.JpegImagePlugin:JpegImageFile",
    ),
    "png": ImageFormat("PNG", (".png", ".apng"), "image/png", "PIL.PngImagePlugin:PngImageFile"),
    "webp": ImageFormat("WEBP", (".webp",), "image/webp", "PIL.WebPImagePlugin:WebPImageFile"),
    "bmp": ImageFormat("BMP", (".bmp",), "image/bmp", "PIL.BmpImagePlugin:BmpImageFile"),
    "tiff": ImageFormat(
        "TIFF",
        (".tif", ".tiff", *RAW_TIFF_SUFFIXES),
        "image/tiff",
        "PIL.TiffImagePlugin:TiffImageFile",
        opener="cbir.images.tiff:open_tiff",
    ),
    "gif": ImageFormat("GIF", (".gif",), "image/gif", "PIL.GifImagePlugin:GifImageFile"),
    "heic": ImageFormat(
        "HEIC",
        (".heic", ".heif", ".hif"),
        "image/heic",
        "pillow_heif.as_plugin:HeifImageFile",
        extra="heif",
    ),
    "avif": ImageFormat(
        "AVIF", (".avif",), "image/avif", "PIL.AvifImagePlugin:AvifImageFile", extra="heif"
    ),
    # DNG, NEF and others begin as TIFFs, which are told by their contents; these begin otherwise.
    "raw": ImageFormat(
        "camera RAW",
        (".cr3", ".crw", ".orf", ".rw2", ".rwl", ".raf", ".mrw", ".x3f"),
        "application/octet-stream",
        opener="cbir.images.raw:open_raw",
        extra="raw",
        needs="rawpy",
    ),
    "jp2": ImageFormat(
        "JP2",
        (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
        "image/jp2",
        "PIL.Jpeg2KImagePlugin:Jpeg2KImageFile",
    ),
    "jxl": ImageFormat(
        "JXL",
        (".jxl",),
        "image/jxl",
        "cbir.images.jpeg_xl:JpegXlFile",
        extra="jxl",
        needs="pillow_jxl",
    ),
}
KNOWN_FORMATS = tuple(FORMATS)
RAW_SUFFIXES = frozenset((*RAW_TIFF_SUFFIXES, *FORMATS["raw"].suffixes))
"""Of all camera RAW."""
EXTRA_SUFFIXES = {
    suffix: (known.extra, known.needs)
    for known in FORMATS.values()
    if known.needs
    for suffix in known.suffixes
}
"""Suffix → extra and its module, of formats whose files count as images only with the extra."""

EXTRA_MODULES = {
    "heif": "pillow_heif",
    "jxl": "pillow_jxl",
    "raw": "rawpy",
    "tiff": "imagecodecs",
}
"""Extra that reads images → its module."""


def missing_extra(suffix: str) -> str | None:
    """The extra that is needed to read files of a suffix and is not installed; None otherwise."""
    extra, module = EXTRA_SUFFIXES.get(suffix, ("", ""))
    return extra if extra and find_spec(module) is None else None


IMAGE_SUFFIXES = frozenset(
    suffix
    for known in FORMATS.values()
    if not known.needs or find_spec(known.needs) is not None
    for suffix in known.suffixes
)

SIGNATURE_BYTES = 32
"""Bytes at the beginning of a file that `sniff_format` needs."""

# Of Olympus, Panasonic, Fujifilm, Sigma and Minolta.
_RAW_SIGNATURES = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM")
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
    if head.startswith(_RAW_SIGNATURES) or head[6:14] == b"HEAPCCDR":  # the latter is Canon's CRW
        return "raw"
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
    if main == b"crx ":  # Canon's CR3
        return "raw"
    brands = others if main in _EITHER_BRANDS else {main}
    if brands & _AVIF_BRANDS:
        return "avif"
    return "heic" if brands & _HEIC_BRANDS or main in _EITHER_BRANDS else None


def plugin_of(kind: str) -> type[ImageFile]:
    """The Pillow plugin of a format. Raises ImageError, naming the extra, if it is missing."""
    module, _, name = FORMATS[kind].plugin.partition(":")
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise lacking(FORMATS[kind].label, FORMATS[kind].extra) from error
    if not getattr(loaded, "SUPPORTED", True):
        raise lacking(FORMATS[kind].label, FORMATS[kind].extra)
    plugin: type[ImageFile] = getattr(loaded, name)
    return plugin


def lacking(what: str, extra: str) -> ImageError:
    """The error of a file that an extra of cbir would read."""
    return ImageError(
        f"{what} needs an extra: pip install 'cbir[{extra}]', then index with --retry-failed"
    )

"""Encoded bytes to upright sRGB pixels, safely: formats, decoding, colour, decoder processes."""

from cbir.images.contents import holds_more
from cbir.images.decoding import (
    DecodedImage,
    DecodeOptions,
    decode,
    decode_image,
    decode_views,
    encode_lossless,
    open_rgb,
    thumbnail_jpeg,
)
from cbir.images.formats import (
    FORMATS,
    IMAGE_SUFFIXES,
    RAW_SUFFIXES,
    SIGNATURE_BYTES,
    missing_extra,
    sniff_format,
)
from cbir.images.opening import check_header
from cbir.images.retrying import readable_now

__all__ = [
    "FORMATS",
    "IMAGE_SUFFIXES",
    "RAW_SUFFIXES",
    "SIGNATURE_BYTES",
    "DecodeOptions",
    "DecodedImage",
    "check_header",
    "decode",
    "decode_image",
    "decode_views",
    "encode_lossless",
    "holds_more",
    "missing_extra",
    "open_rgb",
    "readable_now",
    "sniff_format",
    "thumbnail_jpeg",
]

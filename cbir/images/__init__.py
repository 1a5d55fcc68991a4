"""From bytes to upright sRGB pixels, safely: formats, colour, decoding in processes."""

from cbir.images.decoding import (
    DecodedImage,
    decode,
    decode_regions,
    open_rgb,
)

__all__ = ["DecodedImage", "decode", "decode_regions", "open_rgb"]

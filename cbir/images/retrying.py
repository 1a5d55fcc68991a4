"""Whether an image that could not be read before would be read now, by its failure's reason."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import PurePosixPath

from cbir.config import max_pixels
from cbir.images.formats import EXTRA_MODULES, FORMATS
from cbir.images.jpeg import SCALED_FACTOR

__all__ = ["readable_now"]

_TOO_LARGE = re.compile(r"([\d,]+) × ([\d,]+) pixels .*above the limit of")
_LACKING = re.compile(r"pip install 'cbir\[(\w+)\]'")


def readable_now(uri: str, reason: str) -> bool:
    """Whether the limit of pixels has been raised since, or the extra that lacked is installed."""
    if (large := _TOO_LARGE.search(reason)) is not None:
        width, height = (int(side.replace(",", "")) for side in large.groups())
        suffix = PurePosixPath(uri.partition("?")[0]).suffix.casefold()
        factor = SCALED_FACTOR if suffix in FORMATS["jpeg"].suffixes else 1
        return width * height <= factor * max_pixels()
    lacking = _LACKING.search(reason)
    return lacking is not None and _is_installed(lacking[1])


@lru_cache
def _is_installed(extra: str) -> bool:
    module = EXTRA_MODULES.get(extra)
    return module is not None and find_spec(module) is not None

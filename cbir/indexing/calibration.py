"""Calibrates a gallery's int8 network on images of its source."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from os import PathLike

from cbir.arrays import Pixels
from cbir.embedding import find_backbone
from cbir.embedding.openvino.int8 import CALIBRATION_IMAGES, quantised_network
from cbir.errors import reason_of
from cbir.gallery import Gallery
from cbir.images import decode
from cbir.sources import Source, open_source
from cbir.types import FailedImage

__all__ = ["calibrate"]

LISTED = 20 * CALIBRATION_IMAGES
"""Number of first entries from which images are drawn, evenly spread: neighbours are alike."""


def calibrate(source: str | PathLike[str] | Source, gallery: Gallery) -> None:
    """Make `gallery` embed in int8, calibrated on the first images of `source`.

    Does nothing if its int8 network exists already, or its backbone has no weights. Raises
    SourceError when the source cannot be read, MissingExtraError without NNCF, and BackboneError
    when there are too few images or int8 is too inaccurate for the network.
    """
    calibration = gallery.config.calibration
    if not find_backbone(gallery.spec.backbone).weights or (
        calibration is not None and quantised_network(gallery.spec, calibration) is not None
    ):
        return
    opened = open_source(source) if isinstance(source, (str, PathLike)) else source
    gallery.quantise(list(islice(_decoded(opened, gallery), CALIBRATION_IMAGES)))


def _decoded(source: Source, gallery: Gallery) -> Iterator[Pixels]:
    """Decoded images for calibration, evenly spread; unreadable ones are skipped."""
    count = min(source.count() or 0, LISTED)
    for entry in islice(source, 0, None, max(1, count // CALIBRATION_IMAGES)):
        if not isinstance(entry, FailedImage):
            try:
                yield decode(entry.read(), gallery.spec.preprocessing).pixels
            except Exception as error:
                reason_of(error, entry.uri)
                continue

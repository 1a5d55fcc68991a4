"""Local features as stored descriptors: keypoints of an image, each with a descriptor."""

from __future__ import annotations

from functools import partial

from cbir.descriptors.descriptor import Descriptor
from cbir.similarity.keypoints import EXTRACTION_SIDE, LocalFeatures, Method, extract

__all__ = ["orb", "sift"]


def sift() -> Descriptor[LocalFeatures]:
    """SIFT keypoints with RootSIFT descriptors: at most 98 kB per image."""
    return _local_features("sift")


def orb() -> Descriptor[LocalFeatures]:
    """ORB keypoints with binary descriptors: at most 24 kB per image."""
    return _local_features("orb")


def _local_features(method: Method) -> Descriptor[LocalFeatures]:
    return Descriptor(
        name=method,
        extract=partial(extract, method=method),
        encode=LocalFeatures.to_bytes,
        decode=LocalFeatures.from_bytes,
        max_side=EXTRACTION_SIDE,
    )

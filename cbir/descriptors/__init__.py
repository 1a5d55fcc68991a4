"""Descriptors: data stored for each image beside its embedding, computed once.

    sift, orb       local features, for geometric verification
    grey, colour    thumbnails, for structural similarity and for aligning copies
    phash           tiny image that a perceptual hash is computed from, for duplicates

`DESCRIPTORS` describes each of them; `register_descriptor` adds another one.
"""

from cbir.descriptors.descriptor import Descriptor
from cbir.descriptors.registry import (
    DESCRIPTORS,
    DescriptorInfo,
    find_descriptor,
    open_descriptor,
    register_descriptor,
)
from cbir.descriptors.stored import StoredDescriptors, descriptors_of, ensure_descriptors

__all__ = [
    "DESCRIPTORS",
    "Descriptor",
    "DescriptorInfo",
    "StoredDescriptors",
    "descriptors_of",
    "ensure_descriptors",
    "find_descriptor",
    "open_descriptor",
    "register_descriptor",
]

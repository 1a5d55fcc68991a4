"""Local features: keypoints that can be detected again in another view, with descriptors.

SIFT (Lowe 2004) with RootSIFT descriptors (Arandjelović and Zisserman 2012), and ORB (Rublee et al.
2011). Features are compact and can be stored: images are then compared by `cbir.similarity.match`
and `cbir.similarity.verify` without being decoded again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cbir.arrays import Pixels
from cbir.similarity.arrays import to_grey
from cbir.similarity.opencv import opencv

__all__ = ["EXTRACTION_SIDE", "KEYPOINTS", "KeypointMethod", "LocalFeatures", "Method", "extract"]

Method = Literal["sift", "orb"]

EXTRACTION_SIDE = 480
"""Longer side in pixels to which an image is shrunk, never enlarged, before extraction."""


@dataclass(frozen=True, slots=True)
class KeypointMethod:
    """Properties of one kind of local features."""

    name: Method
    code: int
    """Identifies the method in stored features: never changed or given to another method."""
    descriptor_bytes: int
    distance: Literal["euclidean", "hamming"]
    """How two descriptors are compared."""
    cap: int
    """Most keypoints per image; the strongest are kept."""


KEYPOINTS: dict[str, KeypointMethod] = {
    method.name: method
    for method in (
        KeypointMethod("sift", code=0, descriptor_bytes=128, distance="euclidean", cap=680),
        KeypointMethod("orb", code=1, descriptor_bytes=32, distance="hamming", cap=500),
    )
}
"""By name. At most 98 kB per image for SIFT and 24 kB for ORB.

Of the pairs of photographs of one building, by day and by night, SIFT recognises 34 % with 256
keypoints, 43 % with 512 and 46 % with 680; ORB 31 % with 400, 37 % with 500 and 40 % with 680,
which take twice as long to match."""

ORB_THRESHOLD = 10
"""Contrast of a corner; OpenCV's 20 finds fewer in the dark: with 1000 keypoints 28 % of those
pairs, not 33 %."""

MIN_SIDE = 32
"""Shortest side in pixels of an image that can have keypoints: their surroundings must fit."""

_ROOT_SIFT_SCALE = 512  # no component of 140,000 descriptors of photographs exceeded 184 / 512

_HEADER = struct.Struct("<4sBBHHH")  # magic, version, method's code, width, height, count
_MAGIC = b"cblf"
_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """The keypoints of one image and their descriptors."""

    method: Method
    width: int
    height: int
    """Size in pixels of the image after shrinking; `EXTRACTION_SIDE` at most."""
    keypoints: npt.NDArray[np.float32]
    """(N, 4): x, y and diameter in those pixels, angle in degrees."""
    descriptors: npt.NDArray[np.uint8]
    """(N, 128) RootSIFT times 512, or (N, 32) bytes of the 256 bits of ORB."""

    def __len__(self) -> int:
        return len(self.keypoints)

    def to_bytes(self) -> bytes:
        """A 12 byte header, the keypoints and the descriptors, little-endian; at most 100 kB."""
        code = KEYPOINTS[self.method].code
        head = _HEADER.pack(_MAGIC, _VERSION, code, self.width, self.height, len(self))
        return head + self.keypoints.astype("<f4").tobytes() + self.descriptors.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> LocalFeatures:
        """Decode the bytes of `to_bytes`. Raises ValueError for anything else."""
        if len(data) < _HEADER.size or data[:4] != _MAGIC:
            raise ValueError("these bytes are no local features; extract them from the image")
        _, version, code, width, height, count = _HEADER.unpack_from(data)
        method = next((each for each in KEYPOINTS.values() if each.code == code), None)
        if version != _VERSION or method is None:
            raise ValueError(
                f"local features of version {version} (this cbir reads {_VERSION}); "
                "extract them from the image again"
            )
        length = method.descriptor_bytes
        if len(data) != _HEADER.size + count * (16 + length):
            raise ValueError(
                f"local features of {count} keypoints in {len(data)} bytes are cut off or "
                "damaged; extract them from the image again"
            )
        keypoints = np.frombuffer(data, "<f4", 4 * count, _HEADER.size).astype(np.float32)
        descriptors = np.frombuffer(data, np.uint8, offset=_HEADER.size + 16 * count)
        return cls(
            method.name,
            width,
            height,
            keypoints.reshape(count, 4),
            descriptors.reshape(count, length),
        )


def extract(image: Pixels, method: Method = "sift", *, cap: int | None = None) -> LocalFeatures:
    """Extract the local features of an image, uint8 (H, W, 3) RGB or (H, W) grey.

    The image is shrunk so that its longer side is at most 480 pixels, and the `cap` strongest
    keypoints are kept (by default the `cap` of `KEYPOINTS`). An image without structure, or
    with a side below 32 pixels, has none. The same image always gives the same features. Raises
    ValueError for another shape or type, or an unknown method.
    """
    if method not in KEYPOINTS:
        raise ValueError(f"no method {method!r}; choose one of {', '.join(KEYPOINTS)}")
    grey = _shrunk_grey(image)
    height, width = grey.shape
    keypoints = np.empty((0, 4), np.float32)
    descriptors = np.empty((0, KEYPOINTS[method].descriptor_bytes), np.uint8)
    if min(grey.shape) >= MIN_SIDE:
        cap = KEYPOINTS[method].cap if cap is None else cap
        detected, computed = _detector(method, cap).detectAndCompute(grey, None)
        if detected:
            # SIFT returns more than `cap` where several are equally strong.
            strongest = np.argsort([-point.response for point in detected], kind="stable")[:cap]
            rows = [(*point.pt, point.size, point.angle) for point in detected]
            keypoints = np.array(rows, np.float32)[strongest]
            computed = computed[strongest]
            descriptors = root_sift(computed) if method == "sift" else computed
    return LocalFeatures(method, width, height, keypoints, descriptors)


def root_sift(descriptors: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """RootSIFT, (N, 128) SIFT descriptors → (N, 128) uint8: 512 · √(d / Σ d), at most 255.

    The Euclidean distance of two of these compares the histograms d by their Hellinger kernel.
    """
    totals = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-12)
    rooted = np.rint(_ROOT_SIFT_SCALE * np.sqrt(descriptors / totals))
    return np.asarray(np.minimum(rooted, 255), np.uint8)


def _shrunk_grey(image: Pixels) -> Pixels:
    grey = to_grey(image)
    height, width = grey.shape
    scale = EXTRACTION_SIDE / max(height, width)
    if scale >= 1:
        return grey
    size = max(1, round(width * scale)), max(1, round(height * scale))
    cv2 = opencv()
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _detector(method: Method, cap: int) -> Any:
    # Made per call, in under a microsecond: an OpenCV object is not meant for several threads.
    cv2 = opencv()
    if method == "sift":
        return cv2.SIFT_create(nfeatures=cap)
    return cv2.ORB_create(nfeatures=cap, fastThreshold=ORB_THRESHOLD)

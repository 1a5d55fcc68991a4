"""Local features: points of an image that are found again in another view of it.

SIFT (Lowe 2004) with RootSIFT descriptors (Arandjelović and Zisserman 2012), and ORB (Rublee et
al. 2011). What is extracted is compact and can be stored: images are then compared by
`cbir.similarity.match` and `cbir.similarity.verify` without being decoded again.
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
    """Stands for the method in stored features: never changed or given to another method."""
    descriptor_bytes: int
    distance: Literal["euclidean", "hamming"]
    """How two descriptors are compared."""
    cap: int
    """Number of keypoints that are kept, the strongest first."""


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
"""In an image with a shorter side no keypoint is looked for: what surrounds it would not fit."""

_ROOT_SIFT_SCALE = 512  # no component of 140,000 descriptors of photographs exceeded 184 / 512

_HEADER = struct.Struct("<4sBBHHH")  # magic, version, method's code, width, height, count
_MAGIC = b"cblf"
_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """The keypoints of one image and what surrounds each of them."""

    method: Method
    width: int
    height: int
    """Size in pixels of the image as it was searched; `EXTRACTION_SIDE` at most."""
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
        """What `to_bytes` wrote. Raises ValueError for anything else."""
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
    """The local features of an image, uint8 (H, W, 3) RGB or (H, W) grey.

    The image is shrunk so that its longer side is at most 480 pixels, and the `cap` strongest
    keypoints are kept (by default as many as `KEYPOINTS` says). An image without structure, or
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
        found, described = _detector(method, cap).detectAndCompute(grey, None)
        if found:
            # SIFT returns more than asked for where several share the last place.
            kept = np.argsort([-point.response for point in found], kind="stable")[:cap]
            rows = [(*point.pt, point.size, point.angle) for point in found]
            keypoints = np.array(rows, np.float32)[kept]
            described = described[kept]
            descriptors = root_sift(described) if method == "sift" else described
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

"""Extraction of local features, and how they are stored."""

import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import cv2
import numpy as np
import pytest
from similarity.photographs import photograph

from cbir.similarity import LocalFeatures, extract
from cbir.similarity.keypoints import root_sift

Method = Literal["sift", "orb"]
METHODS: list[Method] = ["sift", "orb"]


def equal(a: LocalFeatures, b: LocalFeatures) -> bool:
    return (
        (a.method, a.width, a.height) == (b.method, b.width, b.height)
        and np.array_equal(a.keypoints, b.keypoints)
        and np.array_equal(a.descriptors, b.descriptors)
    )


@pytest.mark.parametrize(("method", "width"), [("sift", 128), ("orb", 32)])
def test_shapes_and_where_keypoints_lie(method: Method, width: int) -> None:
    features = extract(photograph("coffee"), method)  # 600 × 400
    assert (features.width, features.height) == (480, 320)
    assert features.keypoints.shape == (len(features), 4)
    assert features.keypoints.dtype == np.float32
    assert features.descriptors.shape == (len(features), width)
    assert features.descriptors.dtype == np.uint8
    assert len(features) > 300
    assert (features.keypoints[:, :2] >= 0).all()
    assert (features.keypoints[:, :2] < (480, 320)).all()
    assert (features.keypoints[:, 2] > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_strongest_are_kept_and_never_more_than_asked_for(method: Method) -> None:
    assert len(extract(photograph("astronaut"), method)) <= {"sift": 680, "orb": 500}[method]
    assert len(extract(photograph("astronaut"), method, cap=50)) == 50
    board = np.kron(np.indices((30, 30)).sum(axis=0) % 2, np.ones((16, 16))) * 255
    assert len(extract(board.astype(np.uint8), method, cap=20)) <= 20  # all equally strong


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 500, 3), (31, 31), (32, 32, 3), (40, 700), (200, 200, 3)]
)
def test_without_structure_or_room_there_are_none(method: Method, shape: tuple[int, ...]) -> None:
    features = extract(np.full(shape, 127, np.uint8), method)
    assert len(features) == 0
    assert equal(LocalFeatures.from_bytes(features.to_bytes()), features)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_image_gives_the_same_features_on_every_thread(method: Method) -> None:
    images = [photograph(name) for name in ("astronaut", "chelsea", "camera")]
    alone = [extract(image, method) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: extract(image, method), images * 2))
    assert all(equal(a, b) for a, b in zip(alone * 2, together, strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_stored_features_are_small_and_come_back_as_they_were(method: Method) -> None:
    for name in ("astronaut", "coffee", "chelsea", "camera"):
        features = extract(photograph(name), method)
        data = features.to_bytes()
        assert len(data) <= 100_000
        assert equal(LocalFeatures.from_bytes(data), features)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "no local features"),
        (lambda data: b"JFIF" + data[4:], "no local features"),
        (lambda data: data[:4] + b"\x09" + data[5:], "version 9 .this cbir reads 1."),
        (lambda data: data[:5] + b"\x07" + data[6:], "extract them from the image again"),
        (lambda data: data[:-1], "cut off or damaged"),
        (lambda data: data[:10] + struct.pack("<H", 3) + data[12:], "cut off or damaged"),
    ],
    ids=["empty", "foreign", "newer", "method", "cut", "count"],
)
def test_damaged_bytes_are_refused(change: object, message: str) -> None:
    data = extract(photograph("camera"), "orb", cap=20).to_bytes()
    with pytest.raises(ValueError, match=message):
        LocalFeatures.from_bytes(change(data))  # type: ignore[operator]


def test_root_sift_by_hand() -> None:
    descriptors = np.zeros((3, 128), np.float32)
    descriptors[0] = 1  # all equal: √(1/128)
    descriptors[1, :4] = 9  # four components: √(1/4)
    assert root_sift(descriptors)[0].tolist() == [45] * 128
    assert root_sift(descriptors)[1].tolist() == [255] * 4 + [0] * 124
    assert root_sift(descriptors)[2].tolist() == [0] * 128


def test_distances_are_those_of_the_hellinger_kernel() -> None:
    _, described = cv2.SIFT.create(nfeatures=40).detectAndCompute(photograph("camera"), None)
    raw: np.ndarray = np.asarray(described, np.float32)
    shares = raw / raw.sum(axis=1, keepdims=True)
    kernel = np.sqrt(shares) @ np.sqrt(shares).T
    stored = root_sift(raw) / 512.0
    assert np.abs(stored @ stored.T - kernel).max() < 0.01


def test_an_unknown_method_or_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="no method 'surf'; choose one of sift, orb"):
        extract(photograph("camera"), "surf")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not uint8"):
        extract(np.zeros((40, 40, 4), np.uint8))

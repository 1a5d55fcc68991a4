"""Tentative matches and their verification, on photographs whose geometry is known."""

from typing import Literal

import numpy as np
import pytest
from similarity.photographs import (
    Matrix,
    Pixels,
    noisy,
    photograph,
    seen_from_the_side,
    turned_and_scaled,
    warped,
)

from cbir.similarity import LocalFeatures, Verification, extract, match, verify

Method = Literal["sift", "orb"]
Model = Literal["homography", "affine"]
METHODS: list[Method] = ["sift", "orb"]

VIEWS = {
    "turned": lambda image: turned_and_scaled(image, 40, 1.0),
    "upside down": lambda image: turned_and_scaled(image, 180, 1.0),
    "smaller": lambda image: turned_and_scaled(image, -15, 0.6),
    "larger": lambda image: turned_and_scaled(image, 0, 1.7),
    "from the side": seen_from_the_side,
}


def model_of(found: Verification) -> Matrix:
    assert found.model is not None
    return found.model


def both(a: Pixels, b: Pixels, method: Method, model: Model = "homography") -> Verification:
    x, y = extract(a, method), extract(b, method)
    return verify(x, y, match(x, y), model=model)


def features(keypoints: np.ndarray, seed: int = 0) -> LocalFeatures:
    """Places (N, 2) in 480 × 480 pixels, each with a descriptor of its own."""
    count = len(keypoints)
    descriptors = np.random.default_rng(seed).integers(0, 255, (count, 128), dtype=np.uint8)
    rest = np.ones((count, 2))
    return LocalFeatures(
        "sift", 480, 480, np.hstack([keypoints, rest]).astype(np.float32), descriptors
    )


def pairing(count: int) -> np.ndarray:
    return np.repeat(np.arange(count, dtype=np.int32)[:, None], 2, axis=1)


def scattered(count: int = 60, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(20, 460, (count, 2))


def mapped(model: Matrix, places: np.ndarray) -> np.ndarray:
    u, v, w = model @ np.vstack([places.T, np.ones(len(places))])
    return np.stack([u / w, v / w], axis=1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("view", VIEWS)
def test_another_view_is_recognised_and_its_geometry_recovered(view: str, method: Method) -> None:
    image = photograph("astronaut")
    seen, truth = VIEWS[view](image)
    found = both(image, noisy(seen, 5), method)
    assert found.inliers >= 60
    assert found.inlier_ratio > 0.8
    assert len(found.matches) == found.inliers <= found.tentative
    # Features live in the image shrunk from 512 to 480 pixels.
    shrink = np.diag([480 / 512, 480 / 512, 1])
    truth = shrink @ truth @ np.linalg.inv(shrink)
    places = extract(image, method).keypoints[found.matches[:, 0], :2]
    assert np.abs(mapped(model_of(found), places) - mapped(truth, places)).max() < 3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("a", "b"), [("astronaut", "coffee"), ("chelsea", "rocket"), ("camera", "astronaut")]
)
def test_unrelated_photographs_share_next_to_nothing(a: str, b: str, method: Method) -> None:
    found = both(photograph(a), photograph(b), method)
    assert found.inliers <= 6


@pytest.mark.parametrize("method", METHODS)
def test_an_affine_map_is_found_as_such(method: Method) -> None:
    image = photograph("chelsea")
    seen, _ = turned_and_scaled(image, 20, 0.8)
    found = both(image, seen, method, model="affine")
    assert found.inliers >= 60
    assert model_of(found)[2].tolist() == [0, 0, 1]


@pytest.mark.parametrize("method", METHODS)
def test_an_image_matches_itself_everywhere(method: Method) -> None:
    image = photograph("coffee")
    found = both(image, image, method)
    assert found.inliers == found.tentative > 250
    assert np.allclose(model_of(found), np.eye(3), atol=1e-3)
    assert found.spread > 0.4


@pytest.mark.parametrize("method", METHODS)
def test_spread_tells_a_shared_part_from_a_shared_whole(method: Method) -> None:
    image, other = photograph("astronaut"), photograph("coffee")[:400, :512].copy()
    other[200:380, 300:480] = image[0:180, 140:320]  # her face in a cup's place
    part = both(image, other, method)
    assert part.inliers >= 8
    assert part.spread < 0.2


def test_matching_is_symmetric_and_matches_nothing_twice() -> None:
    image = photograph("astronaut")
    seen, _ = seen_from_the_side(image)
    for method in METHODS:
        a, b = extract(image, method), extract(seen, method)
        forward, backward = match(a, b), match(b, a)
        assert len(forward) > 50
        assert sorted(map(tuple, forward)) == sorted(map(tuple, backward[:, ::-1]))
        assert len(set(forward[:, 0])) == len(set(forward[:, 1])) == len(forward)
        assert (match(a, b, mutual=False)[:, 0] == np.sort(match(a, b, mutual=False)[:, 0])).all()


def test_the_ratio_test_by_hand() -> None:
    def sift(*rows: tuple[int, int]) -> LocalFeatures:
        made = features(np.zeros((len(rows), 2)))
        made.descriptors[:] = 0
        made.descriptors[:, :2] = rows
        return made

    # Unit vectors at 0°, 90° and at 5.7°, 84°: the first of b has one near neighbour in a.
    a = sift((200, 0), (0, 200))
    b = sift((200, 20), (20, 200))
    assert match(a, b).tolist() == [[0, 0], [1, 1]]
    assert match(a, b, ratio=0.05).tolist() == []
    ambiguous = sift((200, 20), (200, 21))
    assert match(a, ambiguous, mutual=False).tolist() == []


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 5), (1, 5), (5, 1)])
def test_too_few_features_give_no_match(n: int, m: int) -> None:
    a, b = features(scattered(n)), features(scattered(m), seed=2)
    assert match(a, b).shape == (0, 2)
    found = verify(a, b, match(a, b))
    assert (found.inliers, found.tentative, found.inlier_ratio, found.spread) == (0, 0, 0.0, 0.0)
    assert found.model is None


def test_two_methods_cannot_be_matched() -> None:
    image = photograph("camera")
    with pytest.raises(ValueError, match="sift and orb cannot be matched"):
        match(extract(image, "sift", cap=9), extract(image, "orb", cap=9))


def test_the_same_matches_always_give_the_same_answer() -> None:
    places = scattered(80)
    target = places @ np.array([[0.8, 0.2], [-0.2, 0.8]]) + 40
    target[::2] = scattered(40, seed=5)  # half of them wrong
    a, b = features(places), features(target)
    runs = [verify(a, b, pairing(80)) for _ in range(3)]
    assert runs[0].inliers == pytest.approx(40, abs=2)
    for run in runs[1:]:
        assert np.array_equal(model_of(run), model_of(runs[0]))
        assert np.array_equal(run.matches, runs[0].matches)


@pytest.mark.parametrize("model", ["homography", "affine"])
@pytest.mark.parametrize(
    "impossible",
    [
        np.array([[-1.0, 0, 480], [0, 1, 0], [0, 0, 1]]),
        np.array([[1.0, 0, 0], [0, 0.05, 200], [0, 0, 1]]),
        np.array([[0.05, 0, 200], [0, 0.05, 200], [0, 0, 1]]),
        np.array([[20.0, 0, 0], [0, 20, 0], [0, 0, 1]]),
    ],
    ids=["mirrored", "onto a line", "onto a point", "blown up"],
)
def test_impossible_models_are_rejected(impossible: Matrix, model: Model) -> None:
    places = scattered()
    found = verify(features(places), features(mapped(impossible, places)), pairing(60), model=model)
    assert found.inliers == 0
    assert found.model is None
    assert found.tentative == 60


def test_a_horizon_between_the_inliers_is_rejected() -> None:
    places = scattered()
    torn = np.array([[1.0, 0, 0], [0, 1, 0], [1 / 240, 0, -1]])  # w = 0 at x = 240
    target = mapped(torn, places)
    found = verify(features(places), features(target), pairing(60))
    if found.model is not None:  # one side of the horizon may be kept, never both
        sides = places[found.matches[:, 0], 0] > 240
        assert sides.all() or not sides.any()


def test_matches_between_the_same_two_places_count_once() -> None:
    four = np.array([(50, 60), (400, 80), (390, 400), (60, 380)])
    places = np.repeat(four[:3], 4, axis=0)  # twelve matches, but three places
    found = verify(features(places), features(places + 5), pairing(12))
    assert (found.tentative, found.inliers) == (3, 0)


def test_an_unknown_model_is_refused() -> None:
    a = features(scattered(4))
    with pytest.raises(ValueError, match="no model 'rigid'; choose homography or affine"):
        verify(a, a, pairing(4), model="rigid")  # type: ignore[arg-type]


def test_a_mirrored_photograph_is_not_the_same_view() -> None:
    image = photograph("coffee")
    height, width = image.shape[:2]
    mirror = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    assert both(image, warped(image, mirror), "sift").inliers <= 6
    assert height < width

"""Time of the pairwise measures, on photographs that come with scikit-image.

SSIM stands beside scikit-image's. Local features are extracted at 480 pixels and matched as a
re-ranker does it: stored features of one query against those of 50 candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import Literal

import numpy as np
from PIL import Image
from skimage import data
from skimage.metrics import structural_similarity

from cbir.config import available_cores
from cbir.similarity import LocalFeatures, extract, match, ssim, verify
from scripts.benchmarks.arguments import parser
from scripts.benchmarks.measuring import seconds_of

CANDIDATES = 50


def main(arguments: Sequence[str]) -> None:
    parser("similarity", __doc__).parse_args(arguments)
    print(f"{'':44}{'fastest':>10}{'median':>10}   on {available_cores()} cores")
    time_ssim()
    time_keypoints("sift")
    time_keypoints("orb")


def time_ssim() -> None:
    a = shrunk(data.camera(), 256, 256)
    noise = np.random.default_rng(0).normal(0, 15, a.shape)
    b = np.clip(a + noise, 0, 255).astype(np.uint8)
    scikit_image = partial(structural_similarity, a, b, data_range=255)
    gaussian = partial(scikit_image, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    report("SSIM 256 px, uniform: cbir", lambda: ssim(a, b, window="uniform"), 200)
    report("SSIM 256 px, uniform: scikit-image", scikit_image, 20)
    report("SSIM 256 px, gaussian: cbir", lambda: ssim(a, b, window="gaussian"), 200)
    report("SSIM 256 px, gaussian: scikit-image", gaussian, 20)


def time_keypoints(method: Literal["sift", "orb"]) -> None:
    name = method.upper()
    photographs = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.camera()]
    query = extract(shrunk(photographs[0], 480, 480), method)
    candidates = [extract(view, method) for view in views(photographs)]
    size = sum(len(c.to_bytes()) for c in candidates) / len(candidates)
    image = shrunk(photographs[0], 480, 480)
    report(f"{name} extraction, 480 × 480", lambda: extract(image, method), 10)
    report(f"{name} match and verify, same scene", lambda: inliers(query, candidates[0]), 20)
    report(f"{name} match and verify, other scene", lambda: inliers(query, candidates[1]), 20)
    for threads in {1, available_cores()}:
        with ThreadPoolExecutor(threads) as pool:
            report(
                f"{name} match and verify {CANDIDATES}, {threads} at once",
                partial(verify_all, pool, query, candidates),
                5,
            )
    print(f"{name} stored features{size / 1000:>{53 - len(name) - 16}.0f} kB per image")


def views(photographs: list[np.ndarray]) -> list[np.ndarray]:
    """One candidate in five shows the query's scene, each cut out elsewhere."""
    rng = np.random.default_rng(0)
    cut = []
    for number in range(CANDIDATES):
        image = photographs[number % len(photographs)]
        top, left = rng.integers(0, 60, 2)
        cut.append(shrunk(image[top : top + 360, left : left + 450], 480, 384))
    return cut


def verify_all(
    pool: ThreadPoolExecutor, query: LocalFeatures, candidates: Sequence[LocalFeatures]
) -> list[int]:
    return list(pool.map(lambda candidate: inliers(query, candidate), candidates))


def inliers(a: LocalFeatures, b: LocalFeatures) -> int:
    return verify(a, b, match(a, b)).inliers


def shrunk(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def report(what: str, work: Callable[[], object], runs: int) -> None:
    work()
    times = [1000 * seconds_of(work) for _ in range(runs)]
    print(f"{what:<44}{min(times):>7.2f} ms{median(times):>7.2f} ms")

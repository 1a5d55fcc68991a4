"""Real photographs, an export cache for the session, and small checkpoints made on the spot."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import DATA, dataset

from cbir.embedding import Embedder, find_backbone, load_embedder, resolve_spec
from cbir.images import decode

PACKAGED = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "motorcycle_left", "rocket")
"""Photographs that scikit-image's wheel carries; nothing is downloaded."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Vectors = np.ndarray[Any, np.dtype[np.float32]]


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks are exported once per session, to here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def folders(session_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user's is read or written; returns the test's own weights folder."""
    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setenv("CBIR_CACHE_DIR", str(session_cache))
    monkeypatch.setenv("CBIR_WEIGHTS_DIR", str(weights))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return weights


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Saves a random network in torchvision's own file layout, as `resnet18-<hash>.pth`."""

    def save(name: str, *, wrap: Callable[[dict[str, Any]], Any] | None = None) -> Path:
        import torch

        from cbir.embedding.pytorch.architecture import build_architecture

        torch.manual_seed(7)
        backbone = find_backbone(name)
        state = build_architecture(backbone, backbone.preprocessing.crop).net.state_dict()
        path = tmp_path / "random.pth"
        torch.save(wrap(dict(state)) if wrap else state, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return path.rename(tmp_path / f"{name}-{digest[:8]}.pth")

    return save


@pytest.fixture(scope="session")
def lite0(session_cache: Path) -> Iterator[Embedder]:
    """The default backbone in OpenVINO, exact."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_CACHE_DIR", str(session_cache))
        yield load_embedder(resolve_spec()[0], device="cpu", precision="fp32")


@pytest.fixture(scope="session")
def photos() -> list[Pixels]:
    """Photographs as efficientnet_lite0 takes them: packaged ones, and 50 more where they are."""
    skimage = pytest.importorskip("skimage", reason="pip install 'cbir[demo]' brings photographs")
    folder = Path(skimage.__file__).parent / "data"
    files = [file for file in sorted(folder.iterdir()) if file.stem in PACKAGED]
    files += sorted((DATA / "photos").glob("*.jpg"))[::4]
    preprocessing = find_backbone("efficientnet_lite0").preprocessing
    return [decode(file.read_bytes(), preprocessing).pixels for file in files]


@pytest.fixture(scope="session")
def corel1k() -> tuple[list[bytes], list[str]]:
    """1000 photographs in 10 classes and their labels; skips the test where they are absent."""
    folder = dataset("corel1k")
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(folder / row["path"]).read_bytes() for row in rows], [row["label"] for row in rows]

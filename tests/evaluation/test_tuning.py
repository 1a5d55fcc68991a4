import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from factories import picture
from PIL import Image
from terminal import cbir

from cbir.config import View, Whitening
from cbir.embedding import load_embedder, resolve_spec
from cbir.errors import BackboneError, CbirError
from cbir.evaluation.tuning import Setting, Trial, Tuning, tune
from cbir.evaluation.tuning.embed_sample import embed_sample, poolings_of
from cbir.evaluation.tuning.sample import draw
from cbir.evaluation.tuning.trial import Measured, Scores, decide

TINY = ("tiny_image",)
LITE = "efficientnet_lite0"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures and, for every other one, its mirror image under the same label."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = ["path,label"]
    for number in range(60):
        image = picture(48, 48, seed=number)
        image.save(folder / f"{number}.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"{number}-mirrored.png")
        rows += [f"{number}.png,{number}", f"{number}-mirrored.png,{number}"]
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder / "labels.csv"


@pytest.fixture(scope="module")
def tuning(pairs: Path) -> Tuning:
    return tune(pairs, label="label", backbones=TINY, sample=60, rerankers=("ssim", "sift"))


def stage(tuning: Tuning, name: str) -> list[Trial]:
    return [trial for trial in tuning.trials if trial.stage == name]


def test_what_the_labels_ask_for_wins(tuning: Tuning) -> None:
    assert tuning.setting.spec.flip
    views = stage(tuning, "views")
    assert len(views) == 8
    plain, chosen = views[0], next(trial for trial in views if trial.chosen)
    assert plain.map.value < 0.6
    assert plain.map.low <= plain.map.value <= plain.map.high
    assert chosen.map.value == pytest.approx(1)
    assert chosen.gain.value == pytest.approx(chosen.map.value - plain.map.value)
    assert chosen.gain.low > 0


def test_the_cheapest_of_equals_is_recommended(tuning: Tuning) -> None:
    assert tuning.setting.passes == 2
    assert tuning.setting.rerank is None
    assert tuning.setting.whitening in (None, Whitening())
    assert all(
        trial.map.value >= 0.99 for trial in stage(tuning, "views") if trial.setting.spec.flip
    )


def test_every_stage_chooses_one_and_the_next_goes_on_from_there(tuning: Tuning) -> None:
    names = list(dict.fromkeys(trial.stage for trial in tuning.trials))
    assert names == ["network", "input", "views", "comparison", "reranking"]
    for name in names:
        assert sum(trial.chosen for trial in stage(tuning, name)) == 1
    assert {trial.setting.spec.flip for trial in stage(tuning, "comparison")} == {True}
    methods = [trial.setting.rerank for trial in stage(tuning, "reranking")]
    assert methods == [None, "ssim", "sift"]


def test_without_labels_altered_versions_are_the_queries(pairs: Path) -> None:
    tuning = tune(pairs.parent, backbones=TINY, sample=50, rerankers=("ssim",))
    assert tuning.images == 50
    (network,) = stage(tuning, "network")
    assert 0.2 < network.map.value < 1
    # One query per image at every stage: also where they are files beside a gallery.
    plain = next(trial for trial in stage(tuning, "reranking") if trial.setting.rerank is None)
    before = next(trial for trial in stage(tuning, "comparison") if trial.chosen)
    assert plain.map.value == pytest.approx(before.map.value, abs=0.01)
    assert tune(pairs.parent, backbones=TINY, sample=50, rerankers=("ssim",)) == tuning


def test_a_budget_ends_what_takes_too_long_and_keeps_a_recommendation(pairs: Path) -> None:
    tuning = tune(pairs, label="label", backbones=TINY, sample=60, budget=0)
    assert len(stage(tuning, "network")) == 1
    assert not stage(tuning, "views")
    assert any("no time" in reason for reason in tuning.left_out)
    assert tuning.setting.commands("photos")[0] == "cbir index photos --backbone tiny_image"


def test_too_few_images_to_whiten_are_compared_as_they_are(pairs: Path) -> None:
    tuning = tune(pairs, label="label", backbones=TINY, sample=20, rerankers=())
    assert tuning.setting.whitening is None
    assert tuning.setting.spec.flip
    assert not stage(tuning, "comparison")


def test_progress_names_what_is_going_on(pairs: Path) -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    tune(
        pairs,
        label="label",
        backbones=TINY,
        sample=20,
        rerankers=("sift",),
        progress=lambda what, done, total: told.setdefault(what, []).append((done, total)),
    )
    assert {"reading", "embedding, tiny_image at 32", "reranking, sift"} <= told.keys()
    assert all(steps[-1][0] == steps[-1][1] for steps in told.values())


def test_an_unreadable_image_is_left_out(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    text = pairs.read_text().replace("\n0.png", f"\n{tmp_path / 'broken.png'}", 1)
    labels = pairs.with_name("broken.csv")
    labels.write_text(text)
    tuning = tune(labels, label="label", backbones=TINY, sample=120, rerankers=(), budget=0)
    assert tuning.images == 119


def test_labels_that_say_nothing_are_an_error(pairs: Path) -> None:
    with pytest.raises(CbirError, match="no two images have the same 'colour'"):
        tune(pairs, label="colour", backbones=TINY)


def test_an_unknown_backbone_is_an_error(pairs: Path) -> None:
    with pytest.raises(BackboneError, match="did you mean 'resnet50'"):
        tune(pairs, label="label", backbones=("resnet5",))


def judged(*precisions: float) -> Scores:
    return Scores(np.array(precisions), np.array(precisions) == 1)


@pytest.mark.parametrize(
    ("cheap", "costly", "chosen"),
    [
        ((0.5,) * 40, (0.9,) * 40, "costly"),
        ((0.5,) * 40, (0.502,) * 40, "cheap"),  # certain, and not worth it
        ((0.5,) * 40, (1.0, *[0.5] * 39), "cheap"),  # one query of forty is chance
        ((0.9,) * 40, (0.5,) * 40, "cheap"),
    ],
)
def test_a_costlier_setting_must_be_better_beyond_chance(
    cheap: tuple[float, ...], costly: tuple[float, ...], chosen: str
) -> None:
    spec, _ = resolve_spec("tiny_image")
    measured = [
        Measured(Setting(spec, rerank="cheap"), (1,), judged(*cheap)),
        Measured(Setting(spec, rerank="costly"), (2,), judged(*costly)),
    ]
    trials = decide("any", measured)
    assert [trial.setting.rerank for trial in trials if trial.chosen] == [chosen]


def test_of_equally_cheap_settings_the_best_is_chosen() -> None:
    spec, _ = resolve_spec("tiny_image")
    values = {"worse": 0.50, "better": 0.51, "worst": 0.40}
    measured = [
        Measured(Setting(spec, rerank=name), (1,), judged(*[value] * 9, 1.0))
        for name, value in values.items()
    ]
    (chosen,) = (trial for trial in decide("any", measured) if trial.chosen)
    assert chosen.setting.rerank == "better"


@pytest.mark.usefixtures("plain_processor")
def test_poolings_of_the_flattened_map_are_those_of_the_network(pairs: Path) -> None:
    sample = draw(pairs, "label", 2)
    spec, origin = resolve_spec(LITE)
    poolings = poolings_of(LITE)
    assert poolings == ("avg", "gem", "rmac", "max")
    squares: list[tuple[View, bool]] = [("crop", False), ("whole", True)]
    seen = embed_sample(
        sample, spec, squares, poolings, weights_from=origin, progress=lambda done: None
    )
    own, origin = resolve_spec(LITE, pooling="rmac")
    alone = embed_sample(
        sample, own, squares, ["rmac"], weights_from=origin, progress=lambda done: None
    )
    assert seen["rmac"].shape == (2, 1, 2, 1280)
    assert np.allclose(seen["rmac"], alone["rmac"], atol=2e-3)


def test_a_flattened_map_of_another_input_has_its_true_size() -> None:
    spec, origin = resolve_spec(LITE, pooling="flatten", input_size=230)
    assert spec.dim == 1280 * 8 * 8
    pixels = np.zeros((230, 230, 3), np.uint8)
    assert load_embedder(spec, weights_from=origin).embed([pixels]).shape == (1, spec.dim)


def test_a_setting_says_its_commands() -> None:
    spec, _ = resolve_spec(
        LITE, pooling="gem", input_size=320, views=("crop", "whole", "zoom"), flip=True
    )
    setting = Setting(spec, Whitening(power=0.5, shrink=0.5, dims=256), "sift")
    assert setting.commands("my photos") == [
        "cbir index 'my photos' --backbone efficientnet_lite0 --pooling gem --input-size 320 "
        "--whole --zoom --flip",
        "cbir whiten --power 0.5 --shrink 0.5 --dims 256",
        "cbir search IMAGE --rerank sift",
    ]
    assert Setting(resolve_spec(LITE)[0], Whitening()).commands("photos") == [
        "cbir index photos --backbone efficientnet_lite0",
        "cbir whiten",
    ]


def test_the_command_prints_what_can_be_run(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("tune", pairs, "--label", "label", "--backbone", "tiny_image", "--sample", "50")
    run = cbir(*args)
    assert run.code == 0, run.err
    lines = run.out.splitlines()
    assert lines[0].split()[:2] == ["stage", "mAP"]
    assert sum("→" in line for line in lines) == 5
    assert "recommended, by 50 images:" in lines
    monkeypatch.chdir(tmp_path)
    for line in lines[lines.index("recommended, by 50 images:") + 1 :]:
        assert cbir(*shlex.split(line)[1:]).code == 0


def test_the_command_in_json(pairs: Path) -> None:
    args = ("--label", "label", "--backbone", "tiny_image", "--sample", "60", "--minutes", "0")
    told = json.loads(cbir("tune", pairs, *args, "--json").out)
    assert told["images"] == 60
    assert told["recommended"]["commands"][0] == f"cbir index {pairs} --backbone tiny_image"
    assert told["trials"][0]["chosen"] is True
    assert any("no time" in reason for reason in told["left_out"])


def test_an_image_that_vanishes_meanwhile_ends_no_more_than_a_stage(
    pairs: Path, tmp_path: Path
) -> None:
    for file in pairs.parent.glob("*.png"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "labels.csv").write_text(pairs.read_text())
    gone: list[str] = []

    def lose_one(what: str, done: int, total: int) -> None:
        if what.startswith("embedding") and done == total and not gone:
            (tmp_path / "7.png").unlink()
            gone.append(what)

    feed = tmp_path / "labels.csv"
    tuning = tune(feed, label="label", backbones=TINY, sample=120, progress=lose_one)
    assert gone
    assert any(reason.startswith("views: ") for reason in tuning.left_out)
    assert tuning.setting.commands("photos")

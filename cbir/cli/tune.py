"""`cbir tune`: tries settings on a sample of images and recommends the best."""

from __future__ import annotations

from itertools import chain, count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cbir.cli.options import DEFAULT_GALLERY, JsonOption
from cbir.registry import one_of
from cbir.reranking.registry import RERANKERS

if TYPE_CHECKING:
    from cbir.evaluation.tuning import Setting, Trial, Tuning


def register(app: typer.Typer) -> None:
    app.command()(tune)


def tune(
    source: Annotated[str, typer.Argument(help="A folder of images, or a CSV with a path column.")],
    label: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Column of metadata: images of one value are relevant to each other.",
            metavar="NAME",
        ),
    ] = None,
    backbone: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A network to try, the cheapest first; may be repeated.", metavar="NAME"),
    ] = None,
    sample: Annotated[int, typer.Option(min=50, help="Number of images in the sample.")] = 500,
    minutes: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="Time limit: leave out trials that would exceed it.", metavar="N"),
    ] = None,
    rerank: Annotated[
        bool,
        typer.Option("--rerank/--no-rerank", help=f"Try reranking by {one_of(RERANKERS)}, too."),
    ] = True,
    json: JsonOption = False,
) -> None:
    """Try networks, inputs, views, whitening and reranking on a sample of SOURCE, stage by stage.

    Without --label the queries are altered versions of the images, which should find them. A
    costlier setting is chosen only where the gain is statistically significant.
    """
    from cbir.cli.console import print_json, stage_lines
    from cbir.evaluation.tuning import BACKBONES
    from cbir.evaluation.tuning import tune as run

    with stage_lines() as progress:
        tuning = run(
            source,
            label=label,
            backbones=tuple(backbone) if backbone else BACKBONES,
            sample=sample,
            rerankers=None if rerank else (),
            budget=None if minutes is None else 60 * minutes,
            progress=progress,
        )
    if json:
        print_json(_as_json(tuning, source))
    else:
        _print(tuning, source)


def _print(tuning: Tuning, source: str) -> None:
    """Print a table of all trials; the chosen one of each stage is marked."""
    from cbir.cli.console import out, print_columns

    rows = []
    for stage, trials in groupby(tuning.trials, key=lambda trial: trial.stage):
        for number, trial in enumerate(trials):
            gain = trial.gain
            rows.append(
                (
                    stage if number == 0 else "",
                    "→" if trial.chosen else "",
                    f"{trial.map.value:.3f}",
                    f"{trial.map.low:.3f} – {trial.map.high:.3f}",
                    f"{gain.value:+.3f}  {gain.low:+.3f} – {gain.high:+.3f}",
                    f"{trial.precision_at_1:.3f}",
                    _tried(trial),
                )
            )
    header = ("stage", "", "mAP", "95 % interval", "gain by query", "P@1", "tried")
    print_columns(header, rows, align="<<>>>><")
    console = out()
    for reason in tuning.left_out:
        console.print(f"left out: {reason}", style="dim")
    console.print(f"\nrecommended, by {tuning.images:,} images:")
    for line in tuning.setting.commands(source, _new_gallery()):
        console.print(f"  {line}")


def _new_gallery() -> Path:
    """The default gallery or, where it exists with other settings, a new one beside it."""
    from cbir.catalog.location import is_gallery

    choices = (DEFAULT_GALLERY.with_name(f"tuned{n or ''}") for n in count())
    return next(path for path in chain([DEFAULT_GALLERY], choices) if not is_gallery(path))


def _tried(trial: Trial) -> str:
    """The name of a setting within its stage."""
    from cbir.cli.gallery import describe_whitening

    spec = trial.setting.spec
    match trial.stage:
        case "network":
            return spec.backbone
        case "input":
            return f"{spec.preprocessing.crop} px, {spec.pooling}"
        case "views":
            return " + ".join(spec.views) + (", mirrored, too" if spec.flip else "")
        case "comparison":
            return describe_whitening(trial.setting.whitening)
        case _:
            return trial.setting.rerank or "none"


def _as_json(tuning: Tuning, source: str) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "recommended": _setting_as_json(tuning.setting, source),
        "images": tuning.images,
        "left_out": list(tuning.left_out),
        "trials": [
            {
                "stage": trial.stage,
                "chosen": trial.chosen,
                "mAP": asdict(trial.map),
                "gain": asdict(trial.gain),
                "P@1": trial.precision_at_1,
                **_setting_as_json(trial.setting, source),
            }
            for trial in tuning.trials
        ],
    }


def _setting_as_json(setting: Setting, source: str) -> dict[str, Any]:
    from dataclasses import asdict

    spec, whitening = setting.spec, setting.whitening
    return {
        "backbone": spec.backbone,
        "input_size": spec.preprocessing.crop,
        "pooling": spec.pooling,
        "views": list(spec.views),
        "flip": spec.flip,
        "passes": setting.passes,
        "whitening": None if whitening is None else asdict(whitening),
        "rerank": setting.rerank,
        "commands": setting.commands(source, _new_gallery()),
    }

"""`cbir tune`: which flags suit these images best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from cbir.cli.options import JsonOption

if TYPE_CHECKING:
    from cbir.config import Whitening
    from cbir.evaluation.tuning import Trial

ROWS_SHOWN = 12


def register(app: typer.Typer) -> None:
    app.command()(tune)


def tune(
    source: Annotated[str, typer.Argument(help="A folder of images, or a CSV with a path column.")],
    label: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Images of one value of this column belong together.", metavar="NAME"),
    ] = None,
    backbone: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A network to try; may be repeated.", metavar="NAME"),
    ] = None,
    sample: Annotated[int, typer.Option(min=50, help="How many images to try them on.")] = 500,
    json: JsonOption = False,
) -> None:
    """Try networks, views and whitening on a sample of SOURCE and name the flags that win.

    Without --label each image should be found by an altered version of itself.
    """
    from cbir.cli.console import out, print_columns, print_json, progress_line
    from cbir.evaluation.tuning import BACKBONES
    from cbir.evaluation.tuning import tune as run

    backbones = tuple(backbone) if backbone else BACKBONES
    with progress_line("embedding", sample * len(backbones)) as progress:
        trials = run(source, label=label, backbones=backbones, sample=sample, progress=progress)
    if json:
        print_json([_as_json(trial, source) for trial in trials])
        return
    print_columns(
        ("mAP", "95 % interval", "P@1", "passes", "network", "views", "compared"),
        [
            (
                f"{trial.map.value:.3f}",
                f"{trial.map.low:.3f} – {trial.map.high:.3f}",
                f"{trial.precision_at_1:.3f}",
                str(trial.passes),
                trial.spec.backbone,
                " + ".join(trial.spec.views) + (", mirrored" if trial.spec.flip else ""),
                _whitening(trial.whitening),
            )
            for trial in trials[:ROWS_SHOWN]
        ],
        align="><>><<<",
    )
    out().print("\nthe first is recommended:")
    for line in trials[0].commands(source):
        out().print(f"  {line}")


def _whitening(whitening: Whitening | None) -> str:
    if whitening is None:
        return "plain"
    if whitening.power == 0:
        return "centred"
    return f"power {whitening.power:g}, shrink {whitening.shrink:g}"


def _as_json(trial: Trial, source: str) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "mAP": asdict(trial.map),
        "P@1": trial.precision_at_1,
        "passes": trial.passes,
        "backbone": trial.spec.backbone,
        "views": list(trial.spec.views),
        "flip": trial.spec.flip,
        "whitening": None if trial.whitening is None else asdict(trial.whitening),
        "commands": trial.commands(source),
    }

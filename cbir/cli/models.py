"""`cbir models`: all backbones, and whether their weights are on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cbir.cli.options import JsonOption

if TYPE_CHECKING:
    from cbir.embedding import Backbone


def register(app: typer.Typer) -> None:
    app.command()(models)


def models(
    present: Annotated[
        bool, typer.Option("--present", help="Only those whose weights are on this machine.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List the backbones: dimension, input size, origin of the weights, and if present."""
    from cbir.cli.console import print_columns, print_json
    from cbir.embedding import BACKBONES, weights_present

    rows = [
        {
            "name": backbone.name,
            "dim": backbone.dim,
            "input": backbone.preprocessing.crop,
            "poolings": list(backbone.poolings),
            "weights": [weights.name for weights in backbone.weights],
            "from": _origin(backbone),
            "present": weights_present(backbone),
        }
        for backbone in BACKBONES.values()
    ]
    if present:
        rows = [row for row in rows if row["present"]]
    if json:
        print_json(rows)
        return
    print_columns(
        ("name", "dim", "input", "weights", "present"),
        [
            (
                str(row["name"]),
                f"{row['dim']:,}",
                f"{row['input']} px",
                str(row["from"]),
                "yes" if row["present"] else "–",
            )
            for row in rows
        ],
        align="<>><<",
    )


def _origin(backbone: Backbone) -> str:
    """Where the default weights come from, in a few words."""
    if not backbone.weights:
        return "none needed"
    weights = backbone.weights[0]
    if weights.package is not None:
        return f"package {weights.package}"
    origin = "torchvision " if weights.url and "pytorch.org" in weights.url else ""
    return f"{origin}{weights.name}, {weights.file}"

"""`cbir compare`: compares two images by every measure."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cbir.cli.options import (
    DEFAULT_GALLERY,
    BackboneOption,
    JsonOption,
    PoolingOption,
    WeightsOption,
)

if TYPE_CHECKING:
    from cbir.embedding import Embedder
    from cbir.gallery import Gallery
    from cbir.similarity import Comparison, Measure

PLOT_SIDE = 1024


def register(app: typer.Typer) -> None:
    app.command()(compare)


def compare(
    a: Annotated[
        str,
        typer.Argument(
            help="A file, - for standard input, or id:N for an image of the gallery.", metavar="A"
        ),
    ],
    b: Annotated[str, typer.Argument(help="The image to compare it with.", metavar="B")],
    gallery: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--gallery",
            "-g",
            help="Gallery that id:N refers to; its backbone embeds both images.",
            metavar="DIR",
        ),
    ] = None,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    pooling: PoolingOption = None,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="Write a picture of both with their verified matches: .png or .jpg.",
            metavar="FILE",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare image A with image B: pixels, colours, keypoints and embeddings.

    Images of different sizes are compared pixel by pixel at the smaller width and the smaller
    height of the two; the other measures take each as it is.
    """
    from cbir.similarity import save_plot

    with ExitStack() as stack:
        opened = _open(stack, gallery, a, b)
        images = _read(a, opened), _read(b, opened)
        comparison = _compare(images, (a, b), opened, backbone, weights, pooling)
    if plot is not None:
        save_plot(plot, _match_plot(images, (a, b), comparison))
    if json:
        from cbir.cli.console import print_json

        print_json({"a": a, "b": b, "measures": [_as_json(m) for m in comparison.measures]})
    else:
        _print_table(comparison)
        if plot is not None:
            typer.echo(f"plot: {plot}")


def _open(stack: ExitStack, path: Path | None, *references: str) -> Gallery | None:
    """The given gallery, or the default one if an image is given by id; else None."""
    if path is None and not any(reference.startswith("id:") for reference in references):
        return None
    from cbir.gallery import Gallery

    return stack.enter_context(Gallery.open(path or DEFAULT_GALLERY))


def _read(reference: str, gallery: Gallery | None) -> bytes:
    """The encoded image. Raises ImageError, or NotFoundError for an id that is not there."""
    from cbir.errors import ImageError
    from cbir.sources.paths import path_to_uri
    from cbir.sources.reading import read_uri

    if reference == "-":
        return sys.stdin.buffer.read()
    by_id = gallery is not None and reference.startswith("id:")
    uri = gallery.find(reference).uri if gallery and by_id else path_to_uri(reference)
    try:
        return read_uri(uri)
    except ImageError as error:
        name = f"{reference} ({uri})" if by_id else reference
        raise type(error)(f"{name}: {error}") from error


def _compare(
    images: tuple[bytes, bytes],
    names: tuple[str, str],
    gallery: Gallery | None,
    backbone: str | None,
    weights: str | None,
    pooling: str | None,
) -> Comparison:
    """All measures. Missing weights of the default network only leave one without a value."""
    from cbir.errors import BackboneError
    from cbir.images import decode
    from cbir.similarity import Measure, compare

    try:
        embedder = _embedder(gallery, backbone, weights, pooling)
    except BackboneError as error:
        if gallery or backbone or weights or pooling:
            raise
        row = Measure("embedding_cosine", None, "higher", str(error))
        comparison = compare(*images, names=names)
        return replace(comparison, measures=(*comparison.measures, row))
    spec = embedder.spec
    return compare(
        *images,
        names=names,
        embed=lambda data: embedder.embed([decode(data, spec.preprocessing).pixels])[0],
        embed_name=f"{spec.backbone}, {spec.pooling} pooling",
    )


def _embedder(
    gallery: Gallery | None, backbone: str | None, weights: str | None, pooling: str | None
) -> Embedder:
    from cbir.config import DEFAULT_BACKBONE
    from cbir.embedding import load_embedder, resolve_spec

    if gallery is not None and not (backbone or weights or pooling):
        return gallery.embedder()
    spec, weights_from = resolve_spec(
        backbone or DEFAULT_BACKBONE, weights=weights, pooling=pooling
    )
    return load_embedder(spec, weights_from=weights_from)


def _match_plot(images: tuple[bytes, bytes], names: tuple[str, str], comparison: Comparison) -> Any:
    from cbir.cli.console import printable
    from cbir.images import open_rgb
    from cbir.similarity import draw_matches

    a, b = (open_rgb(image, max_side=PLOT_SIDE) for image in images)
    sift = comparison["sift_inliers"]
    return draw_matches(
        a,
        b,
        comparison.matches,
        names=(printable(names[0]), printable(names[1])),
        caption=f"SIFT: {sift.value} {sift.meaning}",
    )


def _as_json(measure: Measure) -> dict[str, Any]:
    return {
        "name": measure.name,
        "value": measure.value,
        "better": measure.better,
        "meaning": measure.meaning,
        **measure.details,
    }


def _print_table(comparison: Comparison) -> None:
    """Print a row per measure; the meaning of the value is dimmed."""
    from rich.text import Text

    from cbir.cli.console import out, printable

    rows = [(m.name, _value_text(m), printable(m.meaning)) for m in comparison.measures]
    left = max(len(name) for name, _, _ in rows)
    middle = max(len(value) for _, value, _ in rows)
    console = out()
    for name, value, meaning in rows:
        console.print(Text.assemble(f"{name:<{left}}  {value:>{middle}}  ", (meaning, "dim")))


def _value_text(measure: Measure) -> str:
    if measure.value is None:
        return "–"
    if isinstance(measure.value, int):
        return f"{measure.value:,}"
    return f"{measure.value:,.1f}" if measure.name == "mse" else f"{measure.value:.4f}"

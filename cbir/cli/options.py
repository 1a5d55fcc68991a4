"""Options that several commands share, defined once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from cbir.config import DEFAULT_GALLERY
from cbir.descriptors.registry import DESCRIPTORS, find_descriptor
from cbir.errors import CbirError
from cbir.indexes.registry import INDEXES, check_choice, choices
from cbir.registry import one_of
from cbir.reranking.registry import RERANKERS

EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130


class UsageError(CbirError):
    """Options that are invalid, or that cannot be combined."""


GalleryOption = Annotated[
    Path, typer.Option("--gallery", "-g", help="Folder of the gallery.", metavar="DIR")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="Where the network runs: auto, cpu, cuda, cuda:N, mps, xpu or openvino:GPU.",
        metavar="DEVICE",
    ),
]
RuntimeOption = Annotated[
    Literal["auto", "openvino", "torch"], typer.Option(help="Library that runs the network.")
]
PrecisionOption = Annotated[
    Literal["auto", "fp32", "bf16", "fp16", "int8"],
    typer.Option(help="Number format of the network; a gallery stays with int8."),
]
BackboneOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Network that embeds images; 'cbir models' lists them.", metavar="NAME"),
]
WeightsOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Weights of the network: a name or a checkpoint file.", metavar="NAME|FILE"),
]
PoolingOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Pooling: avg, max, gem, rmac, flatten or cls.", metavar="POOLING"),
]
RerankOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help=f"Rerank the first candidates by {one_of(RERANKERS)}.", metavar="METHOD"),
]
DESCRIPTORS_HELP = "Store descriptors of all images now: " + ", ".join(
    f"{info.name} (for {info.used_by})" for info in DESCRIPTORS.values()
)


def _index_kind(name: str | None) -> str | None:
    try:
        return None if name is None else check_choice(name)
    except CbirError as error:
        raise typer.BadParameter(str(error)) from None


IndexKindOption = Annotated[
    Optional[str],  # noqa: UP045  Python 3.10 evaluates it
    typer.Option(
        "--index",
        callback=_index_kind,
        metavar=f"[{'|'.join(choices())}]",
        help="Kind of vector index; auto chooses by size. "
        + " ".join(f"{info.name}: {info.help}." for info in INDEXES.values()),
    ),
]

__all__ = [
    "DEFAULT_GALLERY",
    "DESCRIPTORS_HELP",
    "EXIT_INTERRUPTED",
    "EXIT_SOME_FAILED",
    "BackboneOption",
    "DeviceOption",
    "GalleryOption",
    "IndexKindOption",
    "JsonOption",
    "PoolingOption",
    "PrecisionOption",
    "RerankOption",
    "RuntimeOption",
    "UsageError",
    "WeightsOption",
    "check_descriptor",
    "interruptible",
]


@contextmanager
def interruptible(result: str = "committed") -> Iterator[None]:
    """Ends work that can be resumed with one line and exit code 130 when it is interrupted.

    Of a signal other than Ctrl-C the command has that signal's code instead.
    """
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"interrupted; what was {result} stays, run it again to go on", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def check_descriptor(name: str) -> None:
    """Check the name of a kind of descriptor. Raises UsageError for an unknown one."""
    try:
        find_descriptor(name)
    except CbirError as error:
        raise UsageError(str(error)) from error

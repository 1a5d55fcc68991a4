"""Command-line arguments that several benchmarks share."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """For `scripts/benchmark NAME`; the description is the module's docstring."""
    return argparse.ArgumentParser(
        prog=f"scripts/benchmark {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", type=Path, help="a folder of photographs")


def add_sets(command: argparse.ArgumentParser) -> None:
    """Add the arguments for a folder of labelled sets and a selection of them."""
    command.add_argument(
        "data", type=Path, help="a folder of sets, each with a labels.csv (path,label)"
    )
    command.add_argument("sets", nargs="*", metavar="SET", help="by default all of them")


def add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", type=Path, metavar="FILE", help="the figures as JSON")


def add_plot(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--plot", type=Path, metavar="PNG", help=what)

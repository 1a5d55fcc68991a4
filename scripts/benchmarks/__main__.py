"""`scripts/benchmark`: runs one benchmark by its name, or all."""

from __future__ import annotations

import os
import sys

from scripts.benchmarks import BENCHMARKS


def main(arguments: list[str]) -> None:
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(listing())
    elif name == "all":
        from scripts.benchmarks.everything import main as run_all

        run_all(rest)
    elif name in BENCHMARKS:
        benchmark = BENCHMARKS[name]
        benchmark.load()([*rest, *benchmark.options])
    else:
        sys.exit(f"no benchmark {name!r}; 'scripts/benchmark' lists them")


def listing() -> str:
    """The list of benchmarks, each with its usage and a line of description."""
    lines = ["usage: scripts/benchmark NAME [ARGUMENTS]", ""]
    for name, benchmark in BENCHMARKS.items():
        lines.append(f"  {name:<11} {benchmark.help}")
        if benchmark.usage:
            lines.append(f"  {'':<11}   {benchmark.usage}")
    usual = "DATA [--only NAME]... [--quick] [--json FILE] [--plots DIR]"
    lines += [f"  {'all':<11} those that need no more than a folder of photographs, DATA",
              f"  {'':<11}   {usual}", "",
              "'scripts/benchmark NAME --help' says more."]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # read by `head`, say, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

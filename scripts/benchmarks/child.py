"""Runs a function of the benchmarks in a new process: see `measuring.call_in_process`."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Calls `module:function` with a JSON list of arguments; prints the result as JSON."""
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(module), name)
    print(json.dumps(function(*json.loads(sys.argv[2]))))


if __name__ == "__main__":
    main()

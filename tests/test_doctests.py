"""The examples in the package's docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

import cbir

PACKAGE = Path(cbir.__file__).parent
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if any(line.lstrip().startswith(">>> ") for line in path.read_text("utf-8").splitlines())
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_docstring_are_true(name: str) -> None:
    module = importlib.import_module(name)
    examples = [x for test in doctest.DocTestFinder().find(module) for x in test.examples]
    assert examples, f"{name} has examples where doctest does not look for them"
    # Those that need a gallery or a server are marked to be skipped: they are documentation.
    assert doctest.testmod(module).failed == 0


def test_there_are_examples() -> None:
    assert {"cbir", "cbir.filters", "cbir.recommendation"} <= set(MODULES)

"""Layers import downwards only, and nothing heavy is imported where it is not needed."""

import ast
from pathlib import Path

import pytest

import cbir

PACKAGE = Path(cbir.__file__).parent

# Lowest first; what stands on one line may not import one another.
LAYERS = [
    ["errors"],
    ["types", "config", "colour", "metadata", "files"],
    ["formats"],
    ["images", "filters"],
    ["decoders"],
    ["sources", "embedding", "similarity", "storage"],
    ["gallery"],
    ["indexing", "retrieval", "integrity", "transfer"],
    ["reranking"],
    ["duplicates", "recommendation", "evaluation", "distributed"],
    ["pages"],
    ["server", "client"],
    ["cli"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports_of(path: Path) -> set[str]:
    """The parts of cbir that a file imports, also inside functions and under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "cbir":
                found |= {f"cbir.{alias.name}" for alias in node.names}
            elif node.module:
                found.add(node.module)
    return {name.split(".")[1] for name in found if name.startswith("cbir.")}


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    own = layer_of(path)
    assert own in LEVEL, f"{own} has no place in the order of layers"
    for other in imports_of(path) - {own, "__version__"}:
        assert LEVEL[other] < LEVEL[own], f"{own} imports {other}, which does not lie below it"


def test_an_arrow_that_points_up_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text("def f():\n    from cbir.cli import app\n    import cbir.gallery\n")
    assert imports_of(file) == {"cli", "gallery"}
    assert LEVEL["cli"] > LEVEL["storage"]

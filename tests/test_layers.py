"""Layers import downwards only, without circles; what is heavy is imported when needed."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import cbir

PACKAGE = Path(cbir.__file__).parent
ROOT = PACKAGE.parent

# Lowest first; what stands on one line may not import one another.
LAYERS = [
    ["errors"],
    ["types", "arrays", "config", "metadata", "files", "registry"],
    ["messages"],
    ["filters"],
    ["images"],
    ["sources", "embedding", "similarity"],
    ["descriptors"],
    ["catalog"],
    ["indexes"],
    ["gallery"],
    ["indexing", "reranking", "integrity", "transfer"],
    ["retrieval"],
    ["duplicates", "recommendation", "evaluation", "distributed"],
    ["pages"],
    ["server", "client"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def names_imported(path: Path) -> Iterator[str]:
    """Every module or name that a file imports, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of(path: Path) -> set[str]:
    """The parts of cbir that a file imports."""
    return {name.split(".")[1] for name in names_imported(path) if name.startswith("cbir.")}


def module_name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def import_graph(files: list[Path], root: Path) -> dict[str, set[str]]:
    """Which of these modules each of them imports; `from package import module` is the module."""
    modules = {module_name(path, root): path for path in files}
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        found = set()
        for imported in names_imported(path):
            while imported and imported not in modules:
                imported = imported.rpartition(".")[0]
            if imported and imported != name:
                found.add(imported)
        graph[name] = found
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Sets of modules each of which reaches all others (strongly connected, Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            circle: list[str] = []
            while not circle or circle[-1] != node:
                circle.append(stack.pop())
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")
SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    own = layer_of(path)
    assert own in LEVEL, f"{own} has no place in the order of layers"
    for other in imports_of(path) - {own, "__version__"}:
        assert LEVEL[other] < LEVEL[own], f"{own} imports {other}, which does not lie below it"


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circles(import_graph(MODULES, ROOT)) == []


def test_no_script_imports_itself_by_way_of_others() -> None:
    assert circles(import_graph(SCRIPTS, ROOT)) == []


def test_an_arrow_that_points_up_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text("def f():\n    from cbir.cli import app\n    import cbir.gallery\n")
    assert imports_of(file) == {"cli", "gallery"}
    assert LEVEL["cli"] > LEVEL["catalog"]


def test_a_circle_is_seen_also_where_only_types_are_imported(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from house import b\n")
    (package / "b.py").write_text("def f():\n    from house.c import C\n")
    (package / "c.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.a import A\n"
    )
    (package / "d.py").write_text("from house.a import A\n")
    graph = import_graph(sorted(package.glob("*.py")), tmp_path)
    assert circles(graph) == [["house.a", "house.b", "house.c"]]

"""The package as others get it: a wheel, used outside the checkout; its public names."""

import ast
import inspect
import os
import re
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from factories import picture

import cbir

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_holds_the_package_its_types_and_the_page(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        (head,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(packed.read(head).decode())
    tracked = subprocess.run(
        ["git", "ls-files", "cbir"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert set(tracked) <= names
    assert "cbir/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "scripts/")) for name in names)
    assert metadata["Version"] == cbir.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_an_installed_wheel_indexes_and_searches_outside_the_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    site, work = tmp_path / "site", tmp_path / "work"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(wheel)], check=True, timeout=120)
    (work / "photos").mkdir(parents=True)
    for seed in range(3):
        picture(seed=seed).save(work / "photos" / f"{seed}.png")

    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=work,
            env={**os.environ, "PYTHONPATH": str(site)},
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout

    assert run("-c", "import cbir; print(cbir.__file__)").startswith(str(site))
    assert run("-m", "cbir", "--version") == f"cbir {cbir.__version__}\n"
    run("-m", "cbir", "index", "photos", "--backbone", "tiny_image")
    assert "1.000" in run("-m", "cbir", "search", "photos/1.png", "-k", "1")


def test_the_version_is_stated_once() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in project
    newest = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n## ")[2]
    assert newest.startswith(cbir.__version__)


def test_the_public_names_are_stated_alike_for_python_and_for_type_checkers() -> None:
    tree = ast.parse((ROOT / "cbir" / "__init__.py").read_text(encoding="utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    homes = {
        alias.name: node.module
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes == cbir._HOMES
    assert sorted(homes) == sorted(cbir.__all__)


def test_the_public_names_are_documented() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    table = page.partition("## Public names")[2]
    assert set(re.findall(r"`(\w+)`", table)) == set(cbir.__all__) | {"cbir"}


@pytest.mark.parametrize("name", cbir.__all__)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(cbir, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value), f"{name} has no docstring"


def test_public_names_are_typed() -> None:
    for name in cbir.__all__:
        value = getattr(cbir, name)
        if inspect.isfunction(value):
            signature = inspect.signature(value)
            untyped = [
                parameter.name
                for parameter in signature.parameters.values()
                if parameter.annotation is inspect.Parameter.empty
            ]
            assert not untyped, f"{name}: {untyped}"
            assert signature.return_annotation is not inspect.Signature.empty, name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Galery'"):
        _ = cbir.Galery

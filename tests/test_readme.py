"""The README says what is true: its example runs, its commands and folders are there."""

import re
from pathlib import Path

import pytest
from factories import picture
from terminal import cbir

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^  (\w+)  ", cbir("--help").out.partition("Commands:")[2], re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(
    example: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("cat", "dog", "cow")):
        picture(320, 280, seed=number).save(tmp_path / "photos" / f"{name}.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "3 images, 0 could not be read"
    assert printed[1].startswith("1 1.000 cat.jpg")
    assert printed[-1].startswith("like ")


def test_the_example_is_short() -> None:
    assert len(EXAMPLES) >= 1
    assert len([line for line in EXAMPLES[0].splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"`cbir {command}" in README


def test_there_are_commands() -> None:
    assert {"index", "search", "info", "models", "remove", "rebuild", "verify"} <= set(COMMANDS)


def test_every_part_of_the_package_is_in_the_tree() -> None:
    tree = README.partition("## The house")[2].partition("```\n")[2].partition("```")[0]
    for path in (ROOT / "cbir").iterdir():
        if path.name not in ("__init__.py", "__pycache__"):
            assert path.name in tree, f"{path.name} is missing from the README's tree"


def test_placeholders_are_filled() -> None:
    assert "<!--" not in README

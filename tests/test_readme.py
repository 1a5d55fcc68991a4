"""README and docs say what is true: examples run, commands, folders and links are there."""

import re
from pathlib import Path

import pytest
from factories import picture
from terminal import cbir

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = {
    f"{page.name}-{number}": example
    for page in PAGES
    for number, example in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    )
}
COMMANDS = re.findall(r"^  (\w+)  ", cbir("--help").out.partition("Commands:")[2], re.MULTILINE)
LINKS = [
    (page, target)
    for page in PAGES
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    if not target.startswith("https://")
]


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
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
    exec(compile(example, "example", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "3 images, 0 could not be read"
    assert printed[1].startswith("1 1.000 cat.jpg")
    assert printed[-1].startswith("like ")


def test_the_readme_has_a_short_example() -> None:
    assert len([line for line in EXAMPLES["README.md-0"].splitlines() if line.strip()]) <= 15


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `cbir (\w+)", page, re.MULTILINE))
    assert documented == set(COMMANDS)
    assert len(COMMANDS) == 16


def test_every_part_of_the_package_is_in_the_tree() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = re.search(r"^cbir/\n((?:  .*\n)+)", page, re.MULTILINE)
    assert tree is not None
    named = set()
    for line in tree[1].splitlines():
        entries, _, description = line.strip().partition("   ")
        assert description.strip(), f"{entries} has no description"
        named |= {entry.strip().rstrip("/") for entry in entries.split(",")}
    present = {
        path.name
        for path in (ROOT / "cbir").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert named == present - {"__init__.py", "__main__.py"}


@pytest.mark.parametrize(("page", "target"), LINKS, ids=lambda value: str(value)[-40:])
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    file, _, section = target.partition("#")
    path = (page.parent / file).resolve() if file else page
    assert path.exists(), f"{page.name} links to {target}"
    if section:
        titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert section in {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles}


def test_placeholders_are_filled() -> None:
    assert "<!--" not in README

"""What a message advises can be done: commands run as they stand, options and extras exist."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from factories import encode, picture
from terminal import Run, cbir

import cbir as package
from cbir.cli import app
from cbir.messages import advised, command, shell_word, shortened

ROOT = Path(package.__file__).parent
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
OPTIONS = {
    option
    for each in COMMANDS.values()
    for parameter in each.params
    for option in (*parameter.opts, *parameter.secondary_opts)
} | {"--help", "--version", "--verbose"}
FOREIGN = {"--text", "--quiet", "--line", "--accent", "--aspect", "--bg"}
"""Variables of style sheets."""


# Every text of the package


def texts() -> Iterator[tuple[str, str]]:
    """Every string of the package with its file; what an f-string fills in is `X`."""
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
        parts = {id(value) for node in joined for value in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield (
                    path.name,
                    "".join(
                        str(value.value) if isinstance(value, ast.Constant) else "X"
                        for value in node.values
                    ),
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from [(path.name, node.value)] * (id(node) not in parts)


def advising_calls() -> Iterator[tuple[str, list[str]]]:
    """The constant words of every call of `command` and `advised`."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if called in ("command", "advised") and path.name != "messages.py":
                assert isinstance(node, ast.Call)
                words = [a.value for a in node.args if isinstance(a, ast.Constant)]
                yield path.name, [word for word in words if isinstance(word, str)]


def test_every_option_that_a_text_names_exists() -> None:
    for file, text in texts():
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text):
            assert option in OPTIONS | FOREIGN, f"{file}: {text!r} names {option}"


def test_every_command_that_a_text_names_exists_with_its_options() -> None:
    named = 0
    for file, text in texts():
        for line in re.findall(r"['`(]cbir ([a-z]+(?: [^'`)]*)?)['`)]", text):
            words = line.split()
            assert words[0] in COMMANDS, f"{file}: {text!r}"
            check_options(file, words)
            named += 1
    for file, words in advising_calls():
        check_options(file, words)
        named += 1
    assert named > 20


def check_options(file: str, words: list[str]) -> None:
    known = {option for parameter in COMMANDS[words[0]].params for option in parameter.opts}
    for word in words[1:]:
        if word.startswith("--"):
            assert word.partition("=")[0] in known, f"{file}: cbir {' '.join(words)}"


def test_every_extra_that_a_text_names_exists() -> None:
    extras = (ROOT.parent / "pyproject.toml").read_text(encoding="utf-8")
    for file, text in texts():
        for extra in re.findall(r"pip install 'cbir\[([a-z0-9]{2,})\]'", text):
            assert f"\n{extra} = [" in extras, f"{file}: {text!r}"


# Followed, with a gallery and a folder whose names need quotes


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "her photos, $new"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(encode(picture(seed=seed)))
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return tmp_path / "it's a shop"


def lines_in(text: str) -> list[list[str]]:
    """The commands in a message, split as a shell does."""
    found = re.findall(r"`(cbir [^`]*)`|'(cbir [^']*)'|next: (cbir .*)|\((cbir .*) lists", text)
    return [shlex.split(next(filter(None, groups))) for groups in found]


def follow(text: str, **filled: object) -> Run:
    """Run the one command in a message, its placeholders filled in."""
    (words,) = lines_in(text)
    return cbir(*(filled.get(word, word) for word in words[1:]))


def index(shelf: Path, shop: Path, *options: str) -> Run:
    return cbir("index", shelf, "-g", shop, "--backbone", "tiny_image", *options)


def test_a_gallery_that_is_not_there_can_be_made(shelf: Path, shop: Path) -> None:
    run = follow(cbir("info", "-g", shop).err, FOLDER=shelf)
    assert run.code == 0
    assert shop.is_dir()


def test_after_indexing_comes_a_search(shelf: Path, shop: Path) -> None:
    run = index(shelf, shop)
    assert "0.png" in follow(run.out, PHOTO=shelf / "0.png").out


def test_failures_are_listed(shelf: Path, shop: Path) -> None:
    (shelf / "no image.png").write_bytes(b"no image")
    run = index(shelf, shop)
    listing = next(line for line in run.out.splitlines() if "lists them" in line)
    assert "no image.png" in follow(listing).out
    listing = next(line for line in cbir("info", "-g", shop).out.splitlines() if "lists" in line)
    assert "no image.png" in follow(listing).out


def test_regions_and_another_index_are_added(shelf: Path, shop: Path) -> None:
    index(shelf, shop)
    lacking = cbir("search", shelf / "0.png", "-g", shop, "--multi-crop")
    assert follow(lacking.err, SOURCE=shelf).code == 0
    assert cbir("search", shelf / "0.png", "-g", shop, "--multi-crop").code == 0
    other = index(shelf, shop, "--index", "pq")
    assert follow(other.err).code == 0
    assert index(shelf, shop, "--index", "pq").code == 0


def test_changed_files_are_embedded_again(shelf: Path, shop: Path) -> None:
    index(shelf, shop)
    (shelf / "0.png").write_bytes(encode(picture(seed=9)))
    assert "updated 1" in follow(cbir("verify", "-g", shop).out, SOURCE=shelf).out


def test_a_file_of_embeddings_that_is_not_there_is_written(
    shelf: Path, shop: Path, tmp_path: Path
) -> None:
    index(shelf, shop)
    missing = cbir("import", tmp_path / "my embeddings.npy", "-g", tmp_path / "other")
    assert follow(missing.err, DIR=shop).code == 0
    assert cbir("import", tmp_path / "my embeddings.npy", "-g", tmp_path / "other").code == 0


def test_the_column_that_a_message_names_is_one(shelf: Path, shop: Path) -> None:
    feed = shelf / "feed.csv"
    feed.write_text("sku,the photo\nA,0.png\n")
    option = re.findall(r"--image-column .*", index(feed, shop).err)[0]
    assert index(feed, shop, *shlex.split(option)).code == 0
    feed.write_text("0.png,A\n1.png,B\n")
    line = re.findall(r"as (path,\S*)", index(feed, shop).err)[0]
    feed.write_text(f"{line}\n{feed.read_text()}")
    assert "added 1" in index(feed, shop).out  # the other is there


# How words are shown


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("plain", "plain"),
        ("with space", "'with space'"),
        ("it's", """'it'"'"'s'"""),
        ("$HOME;*", "'$HOME;*'"),
        ("", "''"),
        ("two\nlines", r"$'two\x0alines'"),
        ("\udcff'.png", r"$'\xff\x27.png'"),
    ],
)
def test_a_word_is_quoted_as_a_shell_needs_it(word: str, shown: str) -> None:
    assert shell_word(word) == shown


def test_a_command_names_a_gallery_other_than_the_default() -> None:
    assert command("info", gallery="index_data/default") == command("info") == "cbir info"
    assert advised("info", gallery="shop") == "'cbir info --gallery shop'"
    assert advised("info", gallery="my shop") == "`cbir info --gallery 'my shop'`"


def test_a_long_value_is_cut() -> None:
    assert shortened("a" * 100) == "a" * 100
    assert shortened("a" * 101) == "a" * 99 + "…"

"""The benchmarks are found by their names, and their common parts measure what they say."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.benchmarks import BENCHMARKS
from scripts.benchmarks.__main__ import main
from scripts.benchmarks.data import draw_pictures, labelled_sets, link, photographs
from scripts.benchmarks.measuring import call_in_process, run_cbir, run_process, stopwatch
from scripts.benchmarks.tables import Table
from scripts.examples.copies import ALTERATIONS, write_copies

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))


def test_the_names_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    listed = re.findall(r"^  (\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert listed == [*BENCHMARKS, "all"]


def test_a_name_that_is_none_is_an_error() -> None:
    with pytest.raises(SystemExit, match="no benchmark 'serch'; 'scripts/benchmark' lists them"):
        main(["serch"])


@pytest.mark.parametrize("name", [*BENCHMARKS, "all"])
def test_every_benchmark_says_what_it_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("usage: scripts/benchmark ")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_a_documented_function(name: str) -> None:
    function = BENCHMARKS[name].load()
    module = inspect.getmodule(function)
    assert module is not None
    assert module.__doc__
    assert next(iter(inspect.signature(function).parameters)) == "arguments"


def test_every_benchmark_named_in_the_documentation_is_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "cbir").rglob("*.py")]
    named = {
        name
        for page in pages
        for name in re.findall(r"scripts/benchmark (\w+)", page.read_text(encoding="utf-8"))
    }
    assert len(named) > 10
    assert named <= {*BENCHMARKS, "all"}


def test_one_runs(capsys: pytest.CaptureFixture[str]) -> None:
    main(["catalog", "1000", "16"])
    assert "1,000 images, 16-d embeddings" in capsys.readouterr().out


def test_no_script_uses_what_is_private_to_cbir() -> None:
    uses = {
        (path.name, node.attr)
        for path in SCRIPTS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and re.match(r"_[a-z]", node.attr)
        and ast.unparse(node.value) not in ("self", "cls")
    }
    # torchvision's own: a peer's downloads are replaced there.
    assert uses == {("peer_libraries.py", "_api")}


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table({"index": "<8", "p50": "7.2f ms", "images": "9,d", "of alone": "8.0%"})
    table.print_header()
    table.print_row("flat", 1.234, 12345, 0.5)
    table.print_row("pq", None, 7, "")
    assert capsys.readouterr().out.splitlines() == [
        "index           p50    images of alone",
        "flat        1.23 ms    12,345      50%",
        "pq                –         7",
    ]


def test_a_process_is_measured(tmp_path: Path) -> None:
    code = "import time; data = bytearray(64_000_000); time.sleep(0.2); print(len(data))"
    run = run_process([sys.executable, "-c", code])
    assert run.output == "64000000\n"
    assert run.seconds >= 0.2
    assert run.peak_mb > 61
    with pytest.raises(SystemExit, match="no gallery"):
        run_cbir("info", "-g", tmp_path / "nowhere")


def test_a_function_runs_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # which is not where the package lies
    assert call_in_process(labelled_sets, tmp_path, ["b", "a"]) == ["b", "a"]
    with pytest.raises(subprocess.CalledProcessError):
        call_in_process(labelled_sets)


def test_a_block_is_timed() -> None:
    with stopwatch() as watch:
        sum(range(1_000_000))
    assert watch.seconds > 0
    assert watch.cpu_seconds > 0


def test_photographs_are_spread_over_the_folder(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.jpg").touch()
    (tmp_path / "notes.txt").touch()
    assert [path.stem for path in photographs(tmp_path, 4)] == ["0", "3", "6", "9"]
    assert len(photographs(tmp_path, 25)) == 25
    linked = link(photographs(tmp_path, 25), tmp_path / "linked")
    assert len(list(linked.iterdir())) == 25
    with pytest.raises(SystemExit, match="no photographs"):
        photographs(tmp_path / "none", 4)


def test_drawn_pictures_differ(tmp_path: Path) -> None:
    draw_pictures(tmp_path, 998, 1003)
    files = sorted(tmp_path.rglob("*.png"))
    assert [file.parent.name for file in files] == ["0", "0", "1", "1", "1"]
    assert len({file.read_bytes() for file in files}) == 5


def test_copies_are_the_same_every_time(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "photos", 0, 1)
    for name in ("one", "two"):
        (groups,) = write_copies(tmp_path / "photos", tmp_path / name).values()
        assert [alteration for alteration, _ in groups] == ["original", *ALTERATIONS]
    for _, file in groups:
        twin = tmp_path / "one" / file.relative_to(tmp_path / "two")
        assert twin.read_bytes() == file.read_bytes()

"""A command as a process: terminals of any encoding, pipes, full disks, and signals."""

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cbir
from cbir import Gallery, index_images, resolve_spec
from cbir.cli.process import PLAIN, Signals, signals

RUN = [sys.executable, "-m", "cbir"]
NAME = "Häuser – 日本.png"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `photos` with a name that few encodings have, and its gallery `g`."""
    from factories import picture

    root = tmp_path_factory.mktemp("process")
    (root / "photos").mkdir()
    for number in range(40):
        picture(32, 24, seed=number).save(root / "photos" / f"{number}.png")
    (root / "photos" / "0.png").rename(root / "photos" / NAME)
    with Gallery.create(root / "g", resolve_spec("tiny_image")[0]) as gallery:
        index_images(root / "photos", gallery)
    return root


def environment(**changes: str) -> dict[str, str]:
    return {name: value for name, value in {**os.environ, **changes}.items() if value}


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "utf-16", "LC_ALL=C"])
def test_a_terminal_of_another_encoding(root: Path, encoding: str) -> None:
    c = encoding == "LC_ALL=C"
    changes = {"LC_ALL": "C", "PYTHONIOENCODING": ""} if c else {"PYTHONIOENCODING": encoding}
    command = [*RUN, "search", f"photos/{NAME}", "-g", "g", "-k", "40"]
    run = subprocess.run(command, cwd=root, capture_output=True, env=environment(**changes))
    out = run.stdout.decode("ascii" if c else encoding)
    assert (run.returncode, run.stderr) == (0, b"")
    assert "embedded" in out
    assert "#####" in out or "━━━━━" in out
    # What the encoding lacks is an escape; the rest of the name stays.
    assert re.search(r"H(ä|\\xe4)user (–|-) (日本|\\u65e5\\u672c)\.png", out)


def test_signs_in_messages_have_a_plain_form() -> None:
    signs = set()
    for file in (Path(cbir.__file__).parent / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                signs |= set(node.value) - set(map(chr, range(128)))
    assert signs - {"é"} <= PLAIN.keys()  # a name in an example
    assert "".join(PLAIN.values()).isascii()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is full")
@pytest.mark.parametrize(
    "arguments", [["info", "-g", "g"], ["search", "id:1", "-g", "g", "--json"], ["--help"]]
)
def test_output_that_cannot_be_written(root: Path, arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        run = subprocess.run([*RUN, *arguments], cwd=root, stdout=full, stderr=subprocess.PIPE)
        assert run.returncode == 1
        assert run.stderr == b"error: the output cannot be written: No space left on device\n"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        run = subprocess.run([*RUN, *arguments], cwd=root, stdout=closed, stderr=subprocess.PIPE)
        assert (run.returncode, run.stderr) == (141, b"")


def test_no_streams_at_all(root: Path) -> None:
    command = f"{' '.join(RUN)} search photos/1.png -g g --json <&- >&- 2>&-"
    assert subprocess.run(command, cwd=root, shell=True).returncode == 0
    with Gallery.open(root / "g") as gallery:
        assert gallery.catalog.check() == []


# Sends itself a signal when a module is about to be imported.
AT_IMPORT = """
import os, signal, sys
module, number = sys.argv[1], int(sys.argv[2])
class Finder:
    def find_spec(self, name, *_):
        if name == module:
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Finder())
sys.argv = ["cbir", *sys.argv[3:]]
from cbir.__main__ import run
run()
"""


@pytest.mark.parametrize("module", ["cbir.cli", "typer", "cbir.indexing"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_first_moments(root: Path, module: str, number: signal.Signals) -> None:
    arguments = [module, str(int(number)), "index", "photos", "-g", "never"]
    run = subprocess.run(
        [sys.executable, "-c", AT_IMPORT, *arguments], cwd=root, capture_output=True, text=True
    )
    assert run.returncode == 128 + number
    assert "Traceback" not in run.stderr
    assert run.stderr.count("\n") <= 1
    assert not (root / "never").exists()


# Is terminated while it waits for the second chunk of images; nothing has been committed yet.
AT_WORK = """
import os, sys
from cbir.indexing.catalog_sink import CatalogSink
number, write = int(sys.argv[1]), CatalogSink.write
def terminating(sink, changes):
    write(sink, changes)
    if len([c for c in changes if c.kind == "added"]):
        os.kill(os.getpid(), number)
CatalogSink.write = terminating
sys.argv = ["cbir", *sys.argv[2:]]
from cbir.__main__ import run
run()
"""


@pytest.mark.parametrize(
    ("number", "first"),
    [
        (signal.SIGTERM, False),
        (signal.SIGTERM, True),  # process 1 of a container has no default actions
        (signal.SIGINT, False),
        (signal.SIGHUP, False),
    ],
)
def test_a_terminated_run_commits_what_it_has(
    root: Path, tmp_path: Path, number: signal.Signals, first: bool
) -> None:
    alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    if first and subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        pytest.skip("no namespace of processes for this user")
    gallery = tmp_path / "g"
    Gallery.create(gallery, resolve_spec("tiny_image")[0]).close()
    command = [
        sys.executable,
        "-c",
        AT_WORK,
        str(int(number)),
        "index",
        "photos",
        "-g",
        str(gallery),
    ]
    run = subprocess.run(
        [*(alone if first else []), *command], cwd=root, capture_output=True, text=True
    )
    assert run.returncode == 128 + number
    assert run.stderr == "interrupted; what was committed stays, run it again to go on\n"
    with Gallery.open(gallery) as opened:
        assert 0 < opened.count() < 40
        done = opened.count()
        again = index_images(root / "photos", opened)
        assert (again.added, again.unchanged) == (40 - done, done)


def test_a_signal_that_the_caller_ignores_stays_ignored(root: Path, tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does

    number = str(int(signal.SIGHUP))
    command = [sys.executable, "-c", AT_WORK, number, "index", "photos", "-g", f"{tmp_path}/g"]
    run = subprocess.run(
        [*command, "--backbone", "tiny_image"], cwd=root, capture_output=True, preexec_fn=ignore
    )
    assert (run.returncode, run.stderr) == (0, b"")


@pytest.fixture
def received() -> Iterator[Signals]:
    with signals() as received:
        yield received


def test_a_repeated_signal_interrupts_once(
    received: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)  # a wrapper that passes it on, too
    assert exits == []
    monkeypatch.setattr("cbir.cli.process.IMPATIENT_S", -1.0)
    os.kill(os.getpid(), signal.SIGINT)
    assert exits == [143]
    assert received.exit_code == 143

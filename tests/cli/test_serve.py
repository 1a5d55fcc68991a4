"""`cbir serve` as its users start and end it."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from terminal import cbir

from cbir import Gallery, index_images, resolve_spec

PROGRAM = "from cbir.cli import main; main()"


@pytest.fixture
def gallery_path(folder: Path, tmp_path: Path) -> Path:
    with Gallery.create(tmp_path / "g", resolve_spec("tiny_image")[0]) as gallery:
        index_images(folder, gallery)
    return tmp_path / "g"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_quietly(gallery_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-c", PROGRAM, "serve", "-g", str(gallery_path), "--port", "0"]
    with subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        said = json.loads(server.stdout.readline())
        assert (said["gallery"], said["images"]) == ("g", 6)
        assert said["url"].startswith("http://127.0.0.1:")
        answer = httpx.get(said["url"] + "api/v1/images/1/similar")
        assert len(answer.json()["hits"]) == 5
        server.send_signal(end)
        server.wait(timeout=30)
        assert server.returncode == (0 if end == signal.SIGINT else -signal.SIGTERM)
        assert server.stderr.read() == ""
        assert server.stdout.read() == ""


def test_what_keeps_it_from_starting_is_one_line(gallery_path: Path, tmp_path: Path) -> None:
    missing = cbir("serve", "-g", tmp_path / "nothing")
    assert (missing.code, missing.err.count("\n")) == (1, 1)
    assert "no gallery at" in missing.err
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = cbir("serve", "-g", gallery_path, "--port", str(port))
    assert taken.code == 1
    assert f"127.0.0.1:{port}" in taken.err
    assert taken.err.count("\n") == 1

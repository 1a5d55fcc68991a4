"""Decoding in processes of their own: the same pixels, and no end of a process ends the run."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import encode, picture
from terminal import cbir

from cbir.config import MULTI_CROP, Preprocessing
from cbir.embedding import resolve_spec
from cbir.errors import ImageError, ImageTooLargeError
from cbir.gallery import Gallery
from cbir.images import DecodedImage, DecodeOptions, decode_image, processes
from cbir.images.processes import Decoders
from cbir.indexing import index_images

SHAPE = Preprocessing(resize=72, crop=64, mean=(0.5,) * 3, std=(0.5,) * 3)
CROP = DecodeOptions(SHAPE)
DIES = b"dies"

posix = pytest.mark.skipif(os.name != "posix", reason="sends a signal to a process")


@pytest.fixture
def two() -> Iterator[Decoders]:
    with Decoders(2) as opened:
        yield opened


def decode(with_: Decoders, data: bytes) -> DecodedImage:
    return with_.decode(data, CROP)


def workers_of(opened: Decoders) -> list[subprocess.Popen[bytes]]:
    """The idle ones."""
    found = []
    while not opened._idle.empty():
        found.append(opened._idle.get())
    for one in found:
        opened._idle.put(one)
    return [one._popen for one in found]


def test_a_process_decodes_the_same_pixels(two: Decoders) -> None:
    data = encode(picture(seed=1, width=300, height=200))
    options = DecodeOptions(SHAPE, ("crop", "whole"), MULTI_CROP)
    found = two.decode(data, options)
    expected = decode_image(data, options)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert (found.width, found.height) == (expected.width, expected.height) == (300, 200)


def test_threads_share_no_more_processes_than_they_were_given(two: Decoders) -> None:
    images = [encode(picture(seed=seed)) for seed in range(40)]
    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(lambda data: decode(two, data).pixels, images))
    for pixels, data in zip(found, images, strict=True):
        np.testing.assert_array_equal(pixels, decode_image(data, CROP).pixels[:])
    assert 1 <= len(workers_of(two)) <= 2


def test_errors_are_those_of_decoding_here(two: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (b"", b"no image", encode(picture(seed=1), "JPEG")[:200]):
        with pytest.raises(ImageError) as here:
            decode_image(data, CROP)
        with pytest.raises(ImageError) as there:
            decode(two, data)
        assert str(there.value) == str(here.value)
    assert len(workers_of(two)) == 1
    monkeypatch.setenv("CBIR_MAX_PIXELS", "100")
    with Decoders(1) as strict, pytest.raises(ImageTooLargeError, match="above the limit"):
        decode(strict, encode(picture(seed=1)))


def test_closing_ends_the_processes(two: Decoders) -> None:
    decode(two, encode(picture(seed=1)))
    (worker,) = workers_of(two)
    two.close()
    assert worker.returncode == 0


@posix
def test_an_idle_process_that_was_killed_is_replaced(two: Decoders) -> None:
    data = encode(picture(seed=1))
    decode(two, data)
    (worker,) = workers_of(two)
    worker.kill()
    worker.wait()
    assert decode(two, data).width > 0
    assert [one.pid for one in workers_of(two)] != [worker.pid]


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[tuple[Decoders, Path]]:
    """Decoders that die of an image that holds DIES, and the file in which they say so."""
    said = tmp_path / "died"
    code = (
        "import os, sys\n"
        "sys.path[:] = {path!r}\n"
        "from cbir.images import decoding_process\n"
        "decode = decoding_process.decode_image\n"
        "def fragile(data, *rest):\n"
        f"    if {DIES!r} in data:\n"
        f"        open({str(said)!r}, 'a').write('x')\n"
        "        os._exit(9)\n"
        "    return decode(data, *rest)\n"
        "decoding_process.decode_image = fragile\n"
        "decoding_process.main({memory!r})\n"
    )
    with Decoders(2, worker=code) as opened:
        yield opened, said


def test_an_image_that_kills_its_decoder_is_one_failure_and_no_more(
    fragile: tuple[Decoders, Path], tmp_path: Path, gallery: Gallery
) -> None:
    decoders, died = fragile
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(30):
        (photos / f"{number:02d}.png").write_bytes(encode(picture(seed=number)))
    (photos / "17.png").write_bytes(encode(picture(seed=17)) + DIES)
    report = index_images(photos, gallery, decoders=decoders)
    assert (report.added, len(report.failed)) == (29, 1)
    assert report.failed[0].key.endswith("17.png")
    assert report.failed[0].reason == "the decoding process died, probably on this image"
    assert died.read_text() == "xxx"  # once among others, twice alone


@pytest.mark.parametrize("trouble", ["ends at once", "/no/such/python", ""])
def test_where_no_process_can_be_started_threads_decode(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    caplog.set_level(logging.WARNING)
    data = encode(picture(seed=1))
    ends_at_once = trouble == "ends at once"
    decoders = Decoders(2, worker="raise SystemExit(3)") if ends_at_once else Decoders(2)
    if not ends_at_once:
        monkeypatch.setattr(sys, "executable", trouble)
    for number in range(5):
        assert decode(decoders, data).width > 0
        assert caplog.text.count("no process for decoding can be started") == (number >= 2)


def test_one_process_that_cannot_be_started_is_no_reason_to_give_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, two: Decoders
) -> None:
    caplog.set_level(logging.WARNING)
    data = encode(picture(seed=1))
    right = sys.executable
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert decode(two, data).width > 0
    monkeypatch.setattr(sys, "executable", right)
    assert decode(two, data).width > 0
    assert len(workers_of(two)) == 1
    assert caplog.text == ""


def test_what_killed_a_process_is_not_decoded_here(
    fragile: tuple[Decoders, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders, died = fragile
    decode(decoders, encode(picture(seed=1)))
    monkeypatch.setattr(sys, "executable", "/no/such/python")  # no second one for another attempt
    monkeypatch.setattr(processes, "decode_image", lambda *_: pytest.fail("decoded here"))
    with pytest.raises(ImageError, match="died"):
        decode(decoders, encode(picture(seed=2)) + DIES)
    assert died.read_text() == "x"


def test_a_worker_imports_what_its_caller_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two: Decoders
) -> None:
    for name in ("pickle", "queue", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not meant')")
    monkeypatch.chdir(tmp_path)
    decode(two, encode(picture(seed=1)))
    assert len(workers_of(two)) == 1


def test_indexing_with_processes_stores_what_threads_store(folder: Path, tmp_path: Path) -> None:
    spec, _ = resolve_spec("tiny_image")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    rows: list[dict[str, Any]] = []
    for count in (0, 2):
        with Gallery.create(tmp_path / str(count), spec, regions=MULTI_CROP) as gallery:
            report = index_images(folder, gallery, decoders=count)
            assert (report.added, len(report.failed)) == (6, 1)
            rows.append(
                {
                    record.name: (
                        *gallery.catalog.embeddings([record.id]).values(),
                        gallery.catalog.region_embeddings(record.id),
                    )
                    for record, _ in gallery.catalog.scan()
                }
            )
    for name, parts in rows[0].items():
        for one, other in zip(parts, rows[1][name], strict=True):
            np.testing.assert_array_equal(one, other)


@posix
def test_workers_end_when_their_caller_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    # No main guard: a worker must not run the caller's program again.
    program.write_text(
        "import sys, time\n"
        "from cbir.config import Preprocessing\n"
        "from cbir.images import DecodeOptions\n"
        "from cbir.images.processes import Decoders\n"
        "shape = Preprocessing(resize=8, crop=8, mean=(.5,) * 3, std=(.5,) * 3)\n"
        "opened = Decoders(1)\n"
        "opened.decode(open(sys.argv[1], 'rb').read(), DecodeOptions(shape))\n"
        "print(opened._idle.get()._popen.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    image = tmp_path / "image.png"
    image.write_bytes(encode(picture(seed=1)))
    caller = subprocess.Popen([sys.executable, program, image], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    worker = int(caller.stdout.readline())
    os.kill(worker, signal.SIGINT)  # as Ctrl-C sends it to all of them
    time.sleep(0.2)
    assert alive(worker)
    caller.kill()
    caller.wait()
    caller.stdout.close()
    until = time.monotonic() + 10
    while alive(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(worker)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_the_command_line_indexes_with_processes(folder: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    done = cbir("index", folder, "-g", gallery, "--backbone", "tiny_image", "--decoders", "2")
    assert (done.code, "added 6" in done.out) == (0, True)
    refused = cbir("index", folder, "-g", gallery, "--decoders", "-1")
    assert refused.code == 2

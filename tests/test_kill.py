"""A run that is killed again and again ends in the same gallery as one that was left alone."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from factories import picture

from cbir import Gallery, index_images, resolve_spec, verify_gallery

KILLS = 20
IMAGES = 400

# Slow enough to be killed in every part of a run, and commits every few images.
SLOW_INDEX = """
import sys, time
import cbir.indexing as indexing
from cbir import Gallery, index_images, resolve_spec
from cbir.errors import GalleryNotFoundError

indexing.CHUNK, indexing.COMMIT_ROWS = 2, 8
settle = indexing._settle
def slowly(pending, embedder):
    time.sleep(0.004)
    return settle(pending, embedder)
indexing._settle = slowly
folder, path = sys.argv[1:]
print("started", flush=True)
try:
    gallery = Gallery.open(path)
except GalleryNotFoundError:
    gallery = Gallery.create(path, resolve_spec("tiny_image")[0])
index_images(folder, gallery)
"""


def contents(path: Path) -> list[tuple[object, ...]]:
    """Everything a gallery says of its images, the embeddings included."""
    with Gallery.open(path) as gallery:
        assert verify_gallery(gallery).ok
        rows = list(gallery.catalog.scan())
        vectors = gallery.catalog.embeddings([record.id for record, _ in rows])
        return [(record, known, vectors[record.id].tobytes()) for record, known in rows]


def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(IMAGES):
        picture(40, 30, seed=number).save(folder / f"{number:03d}.png")
    (folder / "bad.png").write_text("text")
    script = tmp_path / "slow_index.py"
    script.write_text(SLOW_INDEX)

    rng = random.Random(20)
    killed, counts = 0, []
    while killed < KILLS:
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder), str(tmp_path / "killed")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()  # the imports are over: what follows is worth interrupting
        time.sleep(rng.uniform(0.0, 0.12))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        assert process.returncode in (-signal.SIGKILL, 0)
        if (tmp_path / "killed" / "catalog.sqlite").exists():
            counts.append(_committed(tmp_path / "killed"))
    # Nothing committed is ever lost, and the kills came at many points of the work.
    assert counts == sorted(counts)
    assert len(set(counts)) > 5

    spec, _ = resolve_spec("tiny_image")
    for path in (tmp_path / "killed", tmp_path / "undisturbed"):
        gallery = Gallery.open(path) if path.exists() else Gallery.create(path, spec)
        with gallery:
            index_images(folder, gallery)
            assert [failure.uri for failure in gallery.catalog.failures()] == [
                str(folder / "bad.png")
            ]
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")


def _committed(path: Path) -> int:
    from cbir.errors import GalleryNotFoundError

    try:
        with Gallery.open(path) as gallery:
            return gallery.count()
    except GalleryNotFoundError:
        return 0

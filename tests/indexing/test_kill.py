"""A run that is killed again and again ends in the same gallery as one that was left alone."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from factories import picture

from cbir import Gallery, index_images, resolve_spec, verify_gallery

KILLS = 20
STEPS = 12
"""At most so many before a kill: the work, some 200 of them, lasts for all kills."""
PRUNE_STEPS = 80
"""What was moved is written last, and looked at again by every run: 50 steps of 150."""
IMAGES = 400

# Waits for leave before each step, so that kills meet every part of a run however fast the machine
# is, and commits every few images.
SLOW_INDEX = """
import sys
from cbir import Gallery, index_images, resolve_spec
from cbir.errors import GalleryNotFoundError
from cbir.indexing import Limits, LocalExecutor, local_executor
from cbir.catalog.catalog import Catalog

process_chunk, remove = local_executor.process_chunk, Catalog.remove
def step():
    sys.stdin.readline()
    print("step", flush=True)
def process_slowly(*arguments, **options):
    step()
    return process_chunk(*arguments, **options)
def remove_slowly(catalog, ids, **options):
    step()
    return remove(catalog, ids, **options)
local_executor.process_chunk, Catalog.remove = process_slowly, remove_slowly
folder, path, *prune = sys.argv[1:]
step()
try:
    gallery = Gallery.open(path)
except GalleryNotFoundError:
    gallery = Gallery.create(path, resolve_spec("tiny_image")[0])
limits = Limits(commit_rows=8, remove_rows=2)
executor = LocalExecutor(chunk=2)
index_images(folder, gallery, prune=bool(prune), executor=executor, limits=limits)
"""


def contents(path: Path) -> list[tuple[Any, ...]]:
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
        killed += _killed(rng, STEPS, script, folder, tmp_path / "killed")
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


def test_a_prune_run_that_is_killed_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    spec, _ = resolve_spec("tiny_image")
    for number in range(IMAGES):
        picture(40, 30, seed=number).save(folder / f"{number:03d}.png")
    with Gallery.create(tmp_path / "killed", spec) as gallery:
        index_images(folder, gallery)
        before = {known.content_hash: record.id for record, known in gallery.catalog.scan()}
    _stir(folder)

    script = tmp_path / "slow_index.py"
    script.write_text(SLOW_INDEX)
    rng = random.Random(21)
    killed, generations = 0, set()
    for _ in range(KILLS):
        killed += _killed(rng, PRUNE_STEPS, script, folder, tmp_path / "killed", "prune")
        with Gallery.open(tmp_path / "killed") as gallery:
            generations.add(gallery.catalog.generation())
    assert killed > 3, killed
    assert len(generations) > 3  # the kills came at several points of the work

    with Gallery.open(tmp_path / "killed") as gallery:
        index_images(folder, gallery, prune=True)
        report = index_images(folder, gallery, prune=True)
        assert (report.unchanged, report.removed, report.moved) == (IMAGES, 0, 0)
        by_key = {record.key: known for record, known in gallery.catalog.scan()}
        # Every image that was only moved is the one it was.
        for known in by_key.values():
            assert before.get(known.content_hash, known.id) == known.id
        assert gallery.image_index().count() == IMAGES
    with Gallery.create(tmp_path / "undisturbed", spec) as gallery:
        index_images(folder, gallery)
    assert _by_key(tmp_path / "killed") == _by_key(tmp_path / "undisturbed")


def _stir(folder: Path) -> None:
    """100 files removed, 100 added, 100 moved, 40 of which exchange their names."""
    files = sorted(folder.iterdir())
    for file in files[:100]:
        file.unlink()
    for file in files[100:160]:
        file.rename(folder / f"moved-{file.name}")
    for one, other in zip(files[160:180], files[180:200], strict=True):
        one.rename(folder / "between")
        other.rename(one)
        (folder / "between").rename(other)
    for number in range(100):
        picture(40, 30, seed=1000 + number).save(folder / f"new-{number}.png")


def _by_key(path: Path) -> dict[str, tuple[object, ...]]:
    return {record.key: (known.content_hash, vector) for record, known, vector in contents(path)}


def _killed(rng: random.Random, most: int, script: Path, *arguments: str | Path) -> bool:
    """Run the script for up to so many steps and kill it; False when it has ended before."""
    process = subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    steps = rng.randint(1, most)
    process.stdin.write(b"\n" * steps)
    process.stdin.flush()
    # Imports are over with the first step: what follows is worth interrupting.
    for _ in range(steps):
        process.stdout.readline()
    time.sleep(rng.uniform(0.0, 0.01))
    process.send_signal(signal.SIGKILL)
    _, error = process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0), error.decode()
    return process.returncode == -signal.SIGKILL


def _committed(path: Path) -> int:
    from cbir.errors import GalleryNotFoundError

    try:
        with Gallery.open(path) as gallery:
            return gallery.count()
    except GalleryNotFoundError:
        return 0

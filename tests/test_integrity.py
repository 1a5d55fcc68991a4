import os
from pathlib import Path
from typing import Any

import numpy as np
from factories import encode, picture
from sqlalchemy import text

from cbir import Gallery, index_images, verify_gallery


def test_a_fresh_gallery_is_sound(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    report = verify_gallery(gallery, content=True)
    assert report.ok
    assert report.images == 6
    assert report.missing_files == report.changed_files == ()


def test_files_that_are_gone_or_changed_are_named(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    (folder / "odd" / "1.png").unlink()
    changed = folder / "odd" / "3.png"
    changed.write_bytes(encode(picture(seed=40)))
    report = verify_gallery(gallery)
    assert report.ok
    assert report.missing_files == (str(folder / "odd" / "1.png"),)
    assert report.changed_files == (str(changed),)


def test_content_tells_what_a_time_stamp_hides(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    file = folder / "odd" / "3.png"
    before = file.stat()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verify_gallery(gallery).changed_files == ()
    assert verify_gallery(gallery, content=True).changed_files == (str(file),)


def test_an_index_that_disagrees_is_found(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    vectors: Any = gallery.image_index()
    index = vectors._structure
    index._ids = np.where(index._ids == 2, 99, index._ids)
    index._clear_order()
    (file,) = (gallery.path / "vectors").glob("rows-*")
    with file.open("r+b") as stored:  # the sign of every number of the first image
        first = np.frombuffer(stored.read(2 * index.dim), np.float16)
        stored.seek(0)
        stored.write((-first).tobytes())
    problems = verify_gallery(gallery).index_problems
    assert problems == (
        "image 1: its vector in the index is not the catalogue's",
        "image 99 is in the index, not in the catalogue",
        "image 2 is in the catalogue, not in the index",
    )
    gallery.rebuild_index()
    assert verify_gallery(gallery).ok


def test_a_damaged_catalogue_is_found(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    with gallery.catalog._engine.begin() as connection:
        connection.execute(text("UPDATE embeddings SET vector = x'00' WHERE image_id = 3"))
    problems = gallery.catalog.check()
    assert problems == ["image 3 has no embedding of the gallery's dimension"]

import os
from pathlib import Path

import faiss
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
    inner = gallery.vectors()._index._index
    inner.remove_ids(np.array([2]))
    flat = faiss.downcast_index(inner.index)
    rows = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d)
    rows[0] *= -1
    inner.add_with_ids(rows[:1].copy(), np.array([99]))
    problems = verify_gallery(gallery).index_problems
    assert problems == (
        "image 1: its vector in the index is not the catalogue's",
        "image 99 is in the index, not in the catalogue",
        "image 2 is in the catalogue, not in the index",
    )
    gallery.rebuild()
    assert verify_gallery(gallery).ok


def test_a_damaged_catalogue_is_found(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    with gallery.catalog._engine.begin() as connection:
        connection.execute(text("UPDATE embeddings SET vector = x'00' WHERE image_id = 3"))
    problems = gallery.catalog.check()
    assert problems == ["image 3 has no embedding of the gallery's dimension"]

"""A gallery that follows its source: what has moved is found again, what has gone is removed."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from factories import encode, folder_for_everyone, picture, unprivileged
from indexing.test_index_images import CountingEmbedder

from cbir import Gallery, IndexReport, index_images, verify_gallery
from cbir.embedding import load_embedder
from cbir.errors import SourceShrunkError
from cbir.indexes.local import LocalIndex
from cbir.sources import SourceImage
from cbir.types import DescriptorRow, FailedImage


def counts(report: IndexReport) -> tuple[int, int, int, int, int]:
    """Added, updated, moved, removed, unchanged."""
    return report.added, report.updated, report.moved, report.removed, report.unchanged


def ids(gallery: Gallery) -> dict[str, int]:
    return {record.name: record.id for record, _ in gallery.catalog.scan()}


@pytest.fixture
def embedder(gallery: Gallery) -> CountingEmbedder:
    return CountingEmbedder(load_embedder(gallery.spec))


@pytest.fixture
def photos(tmp_path: Path, gallery: Gallery) -> Path:
    """Six pictures, `a.png` to `f.png`, with the ids 1 to 6, in the gallery."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate("abcdef"):
        picture(seed=number).save(folder / f"{name}.png")
    index_images(folder, gallery)
    return folder


def rename(folder: Path, names: Mapping[str, str]) -> None:
    """Rename files at once, as if each went to its new name at the same moment."""
    contents = {old: (folder / f"{old}.png").read_bytes() for old in names}
    times = {old: (folder / f"{old}.png").stat().st_mtime_ns for old in names}
    for old in names:
        (folder / f"{old}.png").unlink()
    for old, new in names.items():
        (folder / f"{new}.png").write_bytes(contents[old])
        os.utime(folder / f"{new}.png", ns=(times[old], times[old]))


def test_what_is_gone_is_removed(photos: Path, gallery: Gallery) -> None:
    (photos / "b.png").unlink()
    assert counts(index_images(photos, gallery)) == (0, 0, 0, 0, 5)
    assert gallery.count() == 6
    assert counts(index_images(photos, gallery, prune=True)) == (0, 0, 0, 1, 5)
    assert "b.png" not in ids(gallery)
    assert gallery.image_index().count() == 5
    assert verify_gallery(gallery).ok


def test_added_changed_and_removed_in_one_run(
    photos: Path, gallery: Gallery, embedder: CountingEmbedder
) -> None:
    picture(seed=90).save(photos / "new.png")
    picture(seed=91).save(photos / "c.png")
    (photos / "f.png").unlink()
    report = index_images(photos, gallery, prune=True, embedder=embedder)
    assert counts(report) == (1, 1, 0, 1, 4)
    assert embedder.images == 2
    assert counts(index_images(photos, gallery, prune=True)) == (0, 0, 0, 0, 6)


def test_images_of_other_sources_stay(tmp_path: Path, photos: Path, gallery: Gallery) -> None:
    other = tmp_path / "other"
    other.mkdir()
    picture(seed=0).save(other / "a.png")
    index_images(other, gallery)
    (photos / "a.png").unlink()
    assert counts(index_images(photos, gallery, prune=True)) == (0, 0, 0, 1, 5)
    assert [r.uri for r, _ in gallery.catalog.scan()].count(str(other / "a.png")) == 1


def test_a_moved_file_is_the_same_image(
    photos: Path, gallery: Gallery, embedder: CountingEmbedder
) -> None:
    _, known = list(gallery.catalog.scan())[1]
    gallery.catalog.write_descriptors("sift", [DescriptorRow(2, known.content_hash, b"points")])
    before, generation = gallery.embedding(2), gallery.catalog.generation()
    (photos / "deep").mkdir()
    (photos / "b.png").rename(photos / "deep" / "z.png")
    report = index_images(photos, gallery, prune=True, embedder=embedder)
    assert counts(report) == (0, 0, 1, 0, 5)
    assert embedder.images == 0
    moved = gallery.image(2)
    assert (moved.name, moved.uri) == ("deep/z.png", str(photos / "deep" / "z.png"))
    assert (before == gallery.embedding(2)).all()
    assert gallery.catalog.descriptors([2], "sift") == {2: b"points"}
    # No vector has changed, so no vector index has anything to catch up with.
    assert gallery.catalog.generation() == generation
    assert counts(index_images(photos, gallery, prune=True)) == (0, 0, 0, 0, 6)


def test_without_prune_a_moved_file_is_a_new_image(photos: Path, gallery: Gallery) -> None:
    (photos / "b.png").rename(photos / "z.png")
    assert counts(index_images(photos, gallery)) == (1, 0, 0, 0, 5)
    assert gallery.count() == 7


@pytest.mark.parametrize(
    "names",
    [
        {"a": "b", "b": "a"},
        {"a": "b", "b": "c", "c": "a"},
        {"a": "b", "b": "g"},  # a chain whose last name is new
        {"b": "a0", "a": "b"},  # the same, with the new name listed before the old ones
        {"a": "b", "b": "c", "c": "g", "e": "f", "f": "e"},
        {"a": "g", "b": "h", "c": "i", "d": "j", "e": "k", "f": "l"},  # all of them
    ],
    ids=lambda names: " ".join(f"{old}→{new}" for old, new in names.items()),
)
def test_images_may_change_places(
    names: dict[str, str], photos: Path, gallery: Gallery, embedder: CountingEmbedder
) -> None:
    before = ids(gallery)
    times = {path: path.stat().st_mtime_ns for path in photos.iterdir()}
    for path, time in times.items():  # as a camera would: no two of the same moment
        os.utime(path, ns=(time, time + int(path.stem.encode().hex(), 16) * 10**6))
    index_images(photos, gallery)
    rename(photos, names)
    report = index_images(photos, gallery, prune=True, embedder=embedder)
    assert counts(report) == (0, 0, len(names), 0, 6 - len(names))
    assert embedder.images == 0
    expected = {f"{names.get(n[0], n[0])}.png": i for n, i in before.items()}
    assert ids(gallery) == expected
    assert verify_gallery(gallery).ok
    assert counts(index_images(photos, gallery, prune=True)) == (0, 0, 0, 0, 6)


def test_a_copy_is_a_new_image(photos: Path, gallery: Gallery, embedder: CountingEmbedder) -> None:
    data = (photos / "c.png").read_bytes()
    (photos / "0.png").write_bytes(data)  # listed before the original
    (photos / "z.png").write_bytes(data)  # and after it
    report = index_images(photos, gallery, prune=True, embedder=embedder)
    assert counts(report) == (2, 0, 0, 0, 6)
    assert ids(gallery)["c.png"] == 3
    assert embedder.images == 2


def test_of_two_copies_of_a_lost_file_the_first_is_it(photos: Path, gallery: Gallery) -> None:
    data = (photos / "c.png").read_bytes()
    (photos / "c.png").unlink()
    (photos / "y.png").write_bytes(data)
    (photos / "z.png").write_bytes(data)
    assert counts(index_images(photos, gallery, prune=True)) == (1, 0, 1, 0, 5)
    assert ids(gallery)["y.png"] == 3


def test_a_file_moved_over_another_one_takes_its_place(photos: Path, gallery: Gallery) -> None:
    os.utime(photos / "a.png", ns=(1, 1))
    (photos / "a.png").rename(photos / "b.png")
    assert counts(index_images(photos, gallery, prune=True)) == (0, 0, 1, 1, 4)
    assert ids(gallery)["b.png"] == 1
    assert gallery.count() == 5
    assert verify_gallery(gallery).ok


def test_a_new_version_beside_a_backup_of_the_old_one(photos: Path, gallery: Gallery) -> None:
    (photos / "c-old.png").write_bytes((photos / "c.png").read_bytes())
    picture(seed=77).save(photos / "c.png")
    assert counts(index_images(photos, gallery, prune=True)) == (1, 1, 0, 0, 5)
    assert ids(gallery)["c.png"] == 3


def test_a_place_of_another_source_is_not_taken(
    tmp_path: Path, photos: Path, gallery: Gallery
) -> None:
    manifest = tmp_path / "feed.csv"
    manifest.write_text("path,label\nphotos/a.png,cup\n")
    index_images(manifest, gallery)  # the feed's image now, since it describes it
    swapped = (photos / "b.png").read_bytes()
    (photos / "b.png").write_bytes((photos / "a.png").read_bytes())
    (photos / "a.png").write_bytes(swapped)
    index_images(photos, gallery, prune=True)
    assert ids(gallery)["a.png"] == 1
    assert gallery.count() == 6


def test_manifest_rows_that_go_and_that_fail(
    photos: Path, gallery: Gallery, embedder: CountingEmbedder
) -> None:
    manifest = photos / "feed.csv"
    rows = [f"{name}.png,{name}\n" for name in "abcdef"]
    manifest.write_text("path,label\n" + "".join(rows))
    index_images(manifest, gallery)
    (photos / "b.png").unlink()
    manifest.write_text("path,label\n" + "".join(rows[:3]) + "d.png,vase\n" + rows[4])
    report = index_images(manifest, gallery, prune=True, embedder=embedder)
    assert counts(report) == (0, 1, 0, 1, 3)
    assert [failure.uri for failure in report.failed] == [str(photos / "b.png")]
    assert set(ids(gallery)) == {"a.png", "b.png", "c.png", "d.png", "e.png"}
    assert gallery.image(4).metadata == {"label": "vase"}
    assert embedder.images == 0


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_source_that_has_shrunk_is_not_followed_unasked(
    left: int, photos: Path, gallery: Gallery
) -> None:
    for path in sorted(photos.iterdir())[left:]:
        path.unlink()
    with pytest.raises(SourceShrunkError, match=rf"only {left} of the 6 images .*--force"):
        index_images(photos, gallery, prune=True)
    assert gallery.count() == 6
    assert index_images(photos, gallery, prune=True, force=True).removed == 6 - left
    assert gallery.count() == left


def test_half_may_go(photos: Path, gallery: Gallery) -> None:
    for name in "abc":
        (photos / f"{name}.png").unlink()
    assert index_images(photos, gallery, prune=True).removed == 3


def test_other_images_in_place_of_all_are_added_before_removal_is_refused(
    photos: Path, gallery: Gallery
) -> None:
    for number, path in enumerate(sorted(photos.iterdir())):
        path.unlink()
        picture(seed=100 + number).save(photos / f"new-{number}.png")
    with pytest.raises(SourceShrunkError, match="only 0 of the 6"):
        index_images(photos, gallery, prune=True)
    assert gallery.count() == gallery.image_index().count() == 12
    assert counts(index_images(photos, gallery, prune=True)) == (0, 0, 0, 6, 6)


def test_what_is_below_a_closed_folder_stays(gallery: Gallery) -> None:
    with folder_for_everyone() as root:
        for name in ("open", "closed", "closed/deep"):
            (root / name).mkdir()
        paths = ["open/a.png", "open/b.png", "closed/c.png", "closed/deep/d.png"]
        for number, path in enumerate([*paths, os.fsdecode(b"closed/\xe9.png")]):
            (root / path).write_bytes(encode(picture(seed=number)))
        index_images(root, gallery)
        (root / "open" / "a.png").unlink()
        (root / "closed").chmod(0)
        with unprivileged():
            report = index_images(root, gallery, prune=True)
        assert counts(report) == (0, 0, 0, 1, 1)
        assert [failure.uri for failure in report.failed] == [str(root / "closed")]
        assert len(ids(gallery)) == 4
        (root / "closed").chmod(0o755)
        assert counts(index_images(root, gallery, prune=True)) == (0, 0, 0, 0, 4)


def test_what_is_behind_a_link_that_leads_nowhere_stays(
    tmp_path: Path, photos: Path, gallery: Gallery
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    picture(seed=40).save(share / "s.png")
    (photos / "link").symlink_to(share)
    index_images(photos, gallery)
    share.rename(tmp_path / "unmounted")
    (photos / "a.png").unlink()
    report = index_images(photos, gallery, prune=True)
    assert counts(report) == (0, 0, 0, 1, 5)
    assert report.failed == ()
    assert "link/s.png" in ids(gallery)


def test_an_image_that_breaks_is_not_removed(photos: Path, gallery: Gallery) -> None:
    (photos / "a.png").write_bytes(b"half written")
    report = index_images(photos, gallery, prune=True)
    assert counts(report) == (0, 0, 0, 0, 5)
    assert len(report.failed) == 1
    assert gallery.count() == 6


class KeyedSource:
    """Images under keys of their own, each with or without a file."""

    uri = root = "/keyed"

    def __init__(self, images: dict[str, Path | None]) -> None:
        self._images = images

    def count(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        for key, path in self._images.items():
            if path is None:
                yield FailedImage("/keyed/none", "no such file", key)
            else:
                yield SourceImage(str(path), path.name, {"sku": key}, key=key)


def test_keys_decide_what_is_listed(photos: Path, gallery: Gallery) -> None:
    files = {name: photos / f"{name}.png" for name in "abcd"}
    index_images(KeyedSource({f"sku-{n}": path for n, path in files.items()}), gallery)
    changed = {"sku-a": files["a"], "sku-b": None, "sku-x": files["c"]}
    report = index_images(KeyedSource(changed), gallery, prune=True)
    assert counts(report) == (0, 0, 1, 1, 1)
    by_key = {record.key: record for record, _ in gallery.catalog.scan() if record.id > 6}
    assert set(by_key) == {"sku-a", "sku-b", "sku-x"}
    assert by_key["sku-x"].id == 9
    assert by_key["sku-x"].metadata == {"sku": "sku-x"}


def test_statements_do_not_grow_with_unchanged_images(
    tmp_path: Path, gallery: Gallery, statements: list[str]
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1200):
        picture(8, 8, seed=number).save(folder / f"{number}.png")
    index_images(folder, gallery)
    for prune in (False, True):
        statements.clear()
        report = index_images(folder, gallery, prune=prune)
        assert report.unchanged == 1200
        # One reads all rows of the source; none is asked for page by page.
        assert sum("FROM images" in statement for statement in statements) == 1
        assert len(statements) <= 12


def test_an_unchanged_gallery_s_vectors_are_not_read(
    photos: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gallery.open(gallery.path) as again, monkeypatch.context() as patch:
        patch.setattr(LocalIndex, "_load", None)  # loading would fail
        index_images(photos, again, prune=True)
    next(gallery.path.glob("vectors/rows-*")).unlink()
    with Gallery.open(gallery.path) as again:
        index_images(photos, again)
        assert again.image_index().count() == 6

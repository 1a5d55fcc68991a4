"""Into a gallery that is there, on another machine, and killed on the way."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rows import batch, row, spec, unit
from transfer.shop import changed, everything, images, make_gallery

from cbir import Gallery, export_gallery, import_gallery, index_images, parse_where
from cbir.catalog.catalog_image import CatalogImage
from cbir.errors import GalleryError, SpecMismatchError
from cbir.transfer import Root
from cbir.types import DescriptorRow


def by_key(gallery: Gallery) -> dict[str, CatalogImage]:
    return {image.key: replace(image, id=0) for image in everything(gallery)}


def test_rows_go_by_their_keys(shop: Gallery, tmp_path: Path) -> None:
    export_gallery(shop, tmp_path / "shop.npy")
    with make_gallery(tmp_path / "there", *images(), row("/own.png", unit(30))) as there:
        own = there.find("/own.png").id
        touched = row("/shop/a b.png", unit(0), metadata={"price": 1})
        there.write("/shop", batch(touched, changed(row("/shop/1.png", unit(31)), key="sku-1")))
        there.remove([3, 4])
        there.catalog.write_descriptors("sift", [DescriptorRow(1, touched.content_hash, b"x")])
        generation = there.catalog.generation()
        report = import_gallery(tmp_path / "shop.npy", tmp_path / "there")
        assert (report.added, report.updated, report.unchanged) == (2, 2, 3)
        assert (report.created, report.images) == (False, 8)

        known = by_key(there)
        assert known.pop("/own.png").id == 0
        assert known == by_key(shop)
        ids = {image.key: image.id for image in everything(there)}
        assert (ids["/shop/a b.png"], ids["sku-1"], ids["/own.png"]) == (1, 2, own)
        assert min(ids["file:///shop/%E9.png"], ids["https://host/3.png"]) > own
        # Only the metadata differed: what was made of the pixels stays.
        assert there.catalog.descriptors([1], "sift") == {1: b"x"}
        assert there.catalog.generation() > generation
        assert there.count(parse_where(["day=2026-11-23"])) == 1
        level = there.catalog.generation()
        again = import_gallery(tmp_path / "shop.npy", tmp_path / "there")
        assert (again.unchanged, there.catalog.generation()) == (7, level)


def test_another_spec_is_refused(shop: Gallery, tmp_path: Path) -> None:
    export_gallery(shop, tmp_path / "shop.npy")
    make_gallery(tmp_path / "there", dim=8).close()
    with pytest.raises(SpecMismatchError, match="dim: 8 against 16"):
        import_gallery(tmp_path / "shop.npy", tmp_path / "there")
    other = replace(spec(), backbone="resnet50")
    with pytest.raises(SpecMismatchError, match="tiny_image against resnet50"):
        import_gallery(tmp_path / "shop.npy", tmp_path / "new", spec=other)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("root", "uri", "moved"),
    [
        ("/a=/b", "/a/1.png", "/b/1.png"),
        ("/a/=/b/", "/a/1.png", "/b/1.png"),
        ("/a=/b", "/ab/1.png", "/ab/1.png"),
        ("/a/1.png=/b/2.png", "/a/1.png", "/b/2.png"),
        ("/=/b", "/a/1.png", "/b/a/1.png"),
        ("/a=/b", "file:///a/%E9.png", "file:///b/%E9.png"),
        ("file:///a=/b", "/a/1.png", "/b/1.png"),
        ("/a=https://host/x", "/a/1.png", "https://host/x/1.png"),
        ("s3://old/x=s3://new", "s3://old/x/y/1.png", "s3://new/y/1.png"),
        ("/a=/b=c", "/a/1.png", "/b=c/1.png"),
    ],
)
def test_roots(root: str, uri: str, moved: str) -> None:
    assert (Root.parse(root).moved(uri) or uri) == moved


def test_a_gallery_moves_with_its_files(folder: Path, gallery: Gallery, tmp_path: Path) -> None:
    index_images(folder, gallery)
    export_gallery(gallery, tmp_path / "shop.npy")
    new = tmp_path / "elsewhere" / "pictures"
    new.parent.mkdir()
    folder.rename(new)
    import_gallery(tmp_path / "shop.npy", tmp_path / "new", roots=[Root(str(folder), str(new))])
    with Gallery.open(tmp_path / "new") as moved:
        assert [image.name for image in everything(moved)] == [
            image.name for image in everything(gallery)
        ]
        generation = moved.catalog.generation()
        report = index_images(new, moved, prune=True)
        assert (report.unchanged, report.added, report.updated, report.removed) == (6, 0, 0, 0)
        assert moved.catalog.generation() == generation
        # Other time stamps, as after a copy: told by their content.
        for file in new.rglob("*.png"):
            file.touch()
        assert index_images(new, moved).unchanged == 6
        assert everything(moved)[0].vector == everything(gallery)[0].vector


def test_a_root_of_no_image_is_said(
    shop: Gallery, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export_gallery(shop, tmp_path / "shop.npy")
    roots = [Root("/shop", "/here"), Root("/shap", "/there")]
    import_gallery(tmp_path / "shop.npy", tmp_path / "new", roots=roots)
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'shop.npy'}: no image is below /shap"
    ]


def test_roots_that_run_together(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "shop", row("/a/1", unit(1)), row("/b/1", unit(2))) as shop:
        export_gallery(shop, tmp_path / "shop.npy")
    report = import_gallery(tmp_path / "shop.npy", tmp_path / "new", roots=[Root("/a", "/b")])
    assert (report.added, len(report.failed)) == (1, 1)
    assert "row 2" in report.failed[0].uri


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_place_that_is_taken(shop: Gallery, tmp_path: Path, what: str) -> None:
    export_gallery(shop, tmp_path / "shop.npy")
    place = tmp_path / "place"
    if what == "folder":
        place.mkdir()
        assert import_gallery(tmp_path / "shop.npy", place).created  # an empty one is none
        place = tmp_path / "other"
        place.mkdir()
        (place / "notes.txt").write_text("mine")
    else:
        place.write_text("mine")
    with pytest.raises(GalleryError, match="not a gallery; choose another path"):
        import_gallery(tmp_path / "shop.npy", place)


def test_somebody_s_folder_is_not_taken(shop: Gallery, tmp_path: Path) -> None:
    export_gallery(shop, tmp_path / "shop.npy")
    mine = tmp_path / "new.importing" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(GalleryError, match="not an unfinished import"):
        import_gallery(tmp_path / "shop.npy", tmp_path / "new")
    assert mine.read_text() == "mine"


# Kills itself the n-th time that it has come to some point.
DEADLY_IMPORT = """
import os, signal, sys
from cbir import import_gallery
from cbir.gallery import Gallery
from cbir.catalog import writes
from cbir.catalog.catalog import Catalog
from cbir.transfer import npy_file

npy_file.COMMIT_ROWS = 10
point, times, *arguments = sys.argv[1:]
home, name = {
    "making": (Catalog, "reserve_ids"),
    "transaction": (writes, "remove_failures"),
    "commit": (Gallery, "write"),
    "indexed": (Gallery, "update_indexes"),
}[point]
function, calls = getattr(home, name), 0
def deadly(*given, **options):
    global calls
    result = function(*given, **options)
    calls += 1
    if calls == int(times):
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(home, name, deadly)
import_gallery(*arguments)
"""


@pytest.mark.parametrize(
    ("there", "points", "counts"),
    [
        (False, ["making 1", "transaction 4", "indexed 1"], [None, 30, 298]),
        (True, ["transaction 4", "commit 9"], [70 + 30, 70 + 120]),
    ],
)
def test_killed_again_and_again(
    tmp_path: Path, there: bool, points: list[str], counts: list[int | None]
) -> None:
    file = tmp_path / "shop.npy"
    rows = [row(f"/shop/{n}.png", unit(n), metadata={"n": n}) for n in range(300)]
    with make_gallery(tmp_path / "shop", *rows) as shop:
        shop.remove([1, 77])
        export_gallery(shop, file)
        wanted = by_key(shop)
        ids = [image.id for image in everything(shop)]
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    if there:
        for path in (killed, undisturbed):
            own = [row(f"/shop/{n}.png", unit(500 + n)) for n in range(250, 320)]
            make_gallery(path, *own).close()
    script = tmp_path / "deadly_import.py"
    script.write_text(DEADLY_IMPORT)
    place = killed if there else tmp_path / "killed.importing"
    seen: list[int | None] = []
    for point in points:
        command = [sys.executable, *map(str, (script, *point.split(), file, killed))]
        run = subprocess.run(command, capture_output=True, check=False)
        assert run.returncode == -signal.SIGKILL, run.stderr.decode()
        assert there or not killed.exists()
        if there or (place / "import.json").exists():
            with Gallery.open(place) as partial:
                seen.append(partial.count())
        else:
            seen.append(None)
    assert seen == counts
    for path in (killed, undisturbed):
        import_gallery(file, path)
    with Gallery.open(killed) as one, Gallery.open(undisturbed) as other:
        assert everything(one) == everything(other)
        assert wanted.items() <= by_key(one).items()
        if not there:
            assert [image.id for image in everything(one)] == ids
    assert not list(tmp_path.glob("*.importing"))


def test_another_file_begins_anew(shop: Gallery, tmp_path: Path) -> None:
    export_gallery(shop, tmp_path / "shop.npy")

    def stop(done: int) -> None:
        if done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_gallery(tmp_path / "shop.npy", tmp_path / "new", progress=stop)
    assert (tmp_path / "new.importing").exists()
    shop.remove([1])
    export_gallery(shop, tmp_path / "shop.npy")
    assert import_gallery(tmp_path / "shop.npy", tmp_path / "new").added == 6
    with Gallery.open(tmp_path / "new") as new:
        assert everything(new) == everything(shop)

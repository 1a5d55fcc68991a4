"""What is exported and imported again is the same gallery, to the bit."""

from pathlib import Path

import numpy as np
import pytest
from rows import batch, rounded, row, unit
from transfer.shop import everything, images, make_gallery

from cbir import Gallery, Retriever, export_gallery, import_gallery, parse_where, verify_gallery
from cbir.config import Whitening
from cbir.errors import FilterError, TransferError
from cbir.transfer import Root

pytest.importorskip("pyarrow")
ENDINGS = pytest.mark.parametrize("ending", ["parquet", "npy"])


@ENDINGS
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_every_row_is_the_same(shop: Gallery, tmp_path: Path, ending: str, dtype: str) -> None:
    done: list[int] = []
    file = tmp_path / f"file.{ending}"
    report = export_gallery(shop, file, dtype=dtype, progress=done.append)  # type: ignore[arg-type]
    assert (report.images, report.dim, report.dtype) == (7, 16, dtype or "float16")
    assert report.generation == shop.catalog.generation()
    assert report.bytes == sum(Path(name).stat().st_size for name in report.files)
    assert done == [3, 6, 7]

    imported = import_gallery(file, tmp_path / "copy")
    assert (imported.added, imported.failed, imported.created) == (7, (), True)
    with Gallery.open(tmp_path / "copy") as copy:
        assert everything(copy) == everything(shop)
        assert copy.config == shop.config
        assert copy.catalog.field_summaries() == shop.catalog.field_summaries()
        assert verify_gallery(copy).ok
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith((".", "copy"))) == [
        "copy"
    ]


@ENDINGS
def test_there_and_back_is_the_same_file(shop: Gallery, tmp_path: Path, ending: str) -> None:
    """Every image by its own words again: no shape, type or order is lost on the way."""
    export_gallery(shop, tmp_path / f"a.{ending}")
    import_gallery(tmp_path / f"a.{ending}", tmp_path / "copy")
    again = import_gallery(tmp_path / f"a.{ending}", tmp_path / "copy")
    assert (again.unchanged, again.added, again.updated, again.created) == (7, 0, 0, False)


@ENDINGS
@pytest.mark.parametrize(
    "condition",
    ["day<2000", "at>=2026-01-02", "when=2026-01-01", "sold=true", "tags has red", "price<12.2"],
)
def test_filters_find_the_same(shop: Gallery, tmp_path: Path, ending: str, condition: str) -> None:
    export_gallery(shop, tmp_path / f"file.{ending}")
    import_gallery(tmp_path / f"file.{ending}", tmp_path / "copy")
    where = parse_where([condition])
    with Gallery.open(tmp_path / "copy") as copy:
        found = copy.catalog.matching(where).tolist()
        assert found == shop.catalog.matching(where).tolist()
        assert found


@ENDINGS
def test_whitening_and_ids_travel(tmp_path: Path, ending: str) -> None:
    rows = [row(f"/shop/{n}.png", unit(n)) for n in range(60)]
    with make_gallery(tmp_path / "shop", *rows) as shop:
        shop.whiten(Whitening(power=0.5, dims=8))
        shop.remove([2, 60])
        export_gallery(shop, tmp_path / f"file.{ending}")
        import_gallery(tmp_path / f"file.{ending}", tmp_path / "copy")
        with Gallery.open(tmp_path / "copy") as copy:
            assert copy.config == shop.config
            ours, theirs = Retriever(shop).search(7, k=5), Retriever(copy).search(7, k=5)
            assert rounded(ours.hits) == rounded(theirs.hits)
            # An id is never used twice, wherever the gallery is.
            copy.write("/shop", batch(row("/shop/new.png", unit(99))))
            assert copy.find("/shop/new.png").id == 61


@ENDINGS
def test_as_compared(tmp_path: Path, ending: str) -> None:
    rows = [row(f"/shop/{n}.png", unit(n)) for n in range(60)]
    with make_gallery(tmp_path / "shop", *rows) as shop:
        shop.whiten(Whitening(power=1, dims=5))
        file = tmp_path / f"file.{ending}"
        report = export_gallery(shop, file, projected=True)
        assert (report.dim, report.dtype) == (5, "float32")
        plain = np.stack([shop.embedding(n) for n in range(1, 61)])
        assert np.allclose(_vectors(file), shop.project(plain), atol=1e-6)
        with pytest.raises(TransferError, match="without --projected"):
            import_gallery(file, tmp_path / "copy")


@ENDINGS
def test_a_part(shop: Gallery, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"file.{ending}"
    report = export_gallery(shop, file, where=parse_where(["price>0"]))
    assert report.images == 2
    import_gallery(file, tmp_path / "copy")
    with Gallery.open(tmp_path / "copy") as copy:
        assert everything(copy) == everything(shop)[:2]
    with pytest.raises(FilterError, match="known fields"):
        export_gallery(shop, tmp_path / f"other.{ending}", where=parse_where(["prize>0"]))
    assert not list(tmp_path.glob("*other*"))


@ENDINGS
def test_an_empty_gallery(tmp_path: Path, ending: str) -> None:
    with make_gallery(tmp_path / "shop") as shop:
        assert export_gallery(shop, tmp_path / f"file.{ending}").images == 0
    report = import_gallery(tmp_path / f"file.{ending}", tmp_path / "copy")
    assert (report.images, report.created) == (0, True)


@ENDINGS
def test_one_state_of_the_gallery(shop: Gallery, tmp_path: Path, ending: str) -> None:
    """What others write during an export is not half in."""
    before = everything(shop)

    def write(done: int) -> None:
        with Gallery.open(tmp_path / "shop") as other:
            other.write("/shop", batch(row(f"/shop/late-{done}.png", unit(50 + done))))
            other.remove([7])

    export_gallery(shop, tmp_path / f"file.{ending}", progress=write)
    assert shop.count() == 9
    import_gallery(tmp_path / f"file.{ending}", tmp_path / "copy")
    with Gallery.open(tmp_path / "copy") as copy:
        assert everything(copy) == before


@ENDINGS
def test_a_file_is_whole_or_not_there(shop: Gallery, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"file.{ending}"
    export_gallery(shop, file)
    before = file.read_bytes()

    def stop(done: int) -> None:
        if done > 3:
            raise KeyboardInterrupt

    names = sorted(tmp_path.iterdir())
    shop.write("/shop", batch(row("/shop/new.png", unit(9))))
    with pytest.raises(KeyboardInterrupt):
        export_gallery(shop, file, progress=stop)
    assert file.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == names


def test_what_cannot_be_written(shop: Gallery, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"\.parquet or \.npy"):
        export_gallery(shop, tmp_path / "file.csv")
    for ending in ("parquet", "npy"):
        with pytest.raises(TransferError, match="there is no folder"):
            export_gallery(shop, tmp_path / "nowhere" / f"file.{ending}")


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_other_files_are_not_replaced(shop: Gallery, tmp_path: Path, ending: str) -> None:
    mine = tmp_path / f"file.{ending}"
    mine.write_text("mine")
    with pytest.raises(TransferError, match="choose another name"):
        export_gallery(shop, tmp_path / "file.npy")
    assert mine.read_text() == "mine"
    assert not (tmp_path / "file.npy").exists()


def test_the_rows_of_the_shop_differ(shop: Gallery) -> None:
    """The tests above compare what they mean to."""
    stored = everything(shop)
    assert [image.key for image in stored] == [image.key for image in images()]
    assert {image.source for image in stored} == {"/shop", "/elsewhere/feed.csv"}
    assert [image.dates for image in stored] == [
        ("day",), ("day",), ("at",), ("at",), ("mixed", "when"), (), ()
    ]  # fmt: skip


def _vectors(file: Path) -> np.ndarray:
    if file.suffix == ".npy":
        return np.asarray(np.load(file))
    import pyarrow.parquet

    column = pyarrow.parquet.read_table(file)["embedding"]
    return np.array(column.to_pylist(), np.float32)


@ENDINGS
def test_what_people_decided_travels(shop: Gallery, tmp_path: Path, ending: str) -> None:
    """Dismissed pairs: into a new gallery, into one with other ids, and of a part of the images."""
    shop.catalog.dismiss([(1, 2), (3, 5)])
    export_gallery(shop, tmp_path / f"file.{ending}")
    export_gallery(shop, tmp_path / f"part.{ending}", where=parse_where(["price exists"]))
    import_gallery(tmp_path / f"file.{ending}", tmp_path / "copy")
    import_gallery(tmp_path / f"part.{ending}", tmp_path / "part")
    with Gallery.open(tmp_path / "copy") as copy, Gallery.open(tmp_path / "part") as part:
        assert copy.catalog.dismissed() == [(1, 2), (3, 5)]
        assert part.catalog.dismissed() == [(1, 2)]

    roots = [Root("/shop", "/moved")]
    with make_gallery(tmp_path / "there", row("/own.png", unit(30))) as there:
        import_gallery(tmp_path / f"file.{ending}", there.path, roots=roots)
        names = {image.id: image.key for image in everything(there)}
        found = [(names[a], names[b]) for a, b in there.catalog.dismissed()]
    assert found == [
        ("/moved/a b.png", "sku-1"),
        ("file:///moved/%E9.png", "/moved/4.png"),
    ]

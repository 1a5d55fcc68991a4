from __future__ import annotations

from pathlib import Path

import pytest
from factories import encode, folder_for_everyone, plain, unprivileged

from cbir.errors import SourceError
from cbir.sources import ManifestSource, SourceImage, distinct
from cbir.types import FailedImage, ImageVersion

PNG = encode(plain("red", 2, 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    for name in ("red.png", "blue.png", "img/pink.png"):
        (tmp_path / name).write_bytes(PNG)
    return tmp_path


def manifest(folder: Path, content: str | bytes, **options: str) -> ManifestSource:
    path = folder / "feed.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return ManifestSource(path, **options)


def images(source: ManifestSource) -> list[SourceImage]:
    found = list(distinct(source))
    assert source.count() == len(found)
    return [image for image in found if isinstance(image, SourceImage)]


def failures(source: ManifestSource) -> list[tuple[str, str]]:
    found = list(distinct(source))
    assert source.count() == len(found)
    return [(f.uri, f.reason) for f in found if isinstance(f, FailedImage)]


def test_a_row_is_an_image_with_metadata(folder: Path) -> None:
    source = manifest(folder, "sku,path,price\nA1,red.png,9.90\nB2,img/pink.png,\n")
    red, pink = images(source)
    status = (folder / "red.png").stat()
    assert red == SourceImage(
        f"{folder}/red.png",
        "red.png",
        {"sku": "A1", "price": 9.9},
        ImageVersion(status.st_size, status.st_mtime_ns),
    )
    assert red.read() == PNG
    assert (pink.name, pink.metadata) == ("img/pink.png", {"sku": "B2"})
    assert (source.uri, source.root) == (f"{folder}/feed.csv", str(folder))


def test_paths_may_be_absolute_or_file_urls(folder: Path) -> None:
    shop = folder / "shop"
    shop.mkdir()
    odd = folder / "\udcff.png"
    odd.write_bytes(PNG)
    rows = [f"{folder}/red.png", "../blue.png", odd.as_uri()]
    found = images(manifest(shop, "path\n" + "\n".join(rows)))
    assert [image.uri for image in found] == [f"{folder}/red.png", f"{folder}/blue.png", rows[2]]
    assert [image.name for image in found] == [
        f"{folder}/red.png", f"{shop}/../blue.png", rf"{folder}/\xff.png",
    ]  # fmt: skip
    assert found[2].read() == PNG


@pytest.mark.parametrize(
    "content",
    [
        "path;sku\nred.png;A1",
        "path\tsku\nred.png\tA1",
        "\ufeffpath,sku\r\nred.png,A1\r\n",
        "path,sku\rred.png,A1\r",
        "\n\npath,sku\n\n\nred.png,A1\n,\n\n",
        '"path","sku"\n"red.png","A1"\n',
        " path , sku\nred.png, A1\n",
        "path,sku,,\nred.png,A1,,\n",
        "path,sku\nred.png,A1,,,\n",
    ],
    ids=["semicolon", "tab", "BOM and CRLF", "CR", "blank lines", "quotes", "spaces",
         "columns without a name", "empty cells too many"],
)  # fmt: skip
def test_the_dialects_of_spreadsheets_are_understood(folder: Path, content: str) -> None:
    (image,) = images(manifest(folder, content))
    assert image.uri == f"{folder}/red.png"
    assert image.metadata == {"sku": "A1"}


def test_another_column_can_hold_the_path(folder: Path) -> None:
    source = manifest(folder, "path,img\nshelf 3,red.png\n", image_column="img")
    (image,) = images(source)
    assert image.metadata == {"path": "shelf 3"}


def test_a_text_may_run_over_several_lines(folder: Path) -> None:
    source = manifest(folder, 'path,text\nred.png,"1\n2 ""and"" 3"\nblue.png,4\ngone.png,5\n')
    assert [image.metadata["text"] for image in images(source)] == ['1\n2 "and" 3', "4"]
    assert failures(source) == [(f"{folder}/gone.png", "no such file (line 5)")]


def test_a_header_alone_lists_no_images(folder: Path) -> None:
    assert images(manifest(folder, "path,sku\n")) == []


# Rows that fail


@pytest.mark.parametrize(
    ("row", "uri", "reason"),
    [
        ("gone.png,A", "{folder}/gone.png", "no such file (line 3)"),
        ("red.png/x.png,A", "{folder}/red.png/x.png", "no such file (line 3)"),
        ("img,A", "{folder}/img", "a folder (line 3)"),
        ("/dev/zero,A", "/dev/zero", "not a regular file (line 3)"),
        (",A", "{folder}/feed.csv:3", "row has no path"),
        ("blue.png,A,B", "{folder}/feed.csv:3", "row has 3 cells, the header 2"),
        (
            "./red.png,A",
            "{folder}/feed.csv:3",
            "the same path stands in line 2 with other metadata; line 2 was taken, "
            "--key COLUMN (key=...) keeps both",
        ),
        (
            "n" * 300 + ".png,A",
            "{folder}/" + "n" * 300 + ".png",
            "cannot be read: File name too long (line 3)",
        ),
    ],
)
def test_a_row_that_fails_says_why_and_the_rest_goes_on(
    folder: Path, row: str, uri: str, reason: str
) -> None:
    source = manifest(folder, f"path,sku\nred.png,first\n{row}\nimg/pink.png,last\n")
    assert failures(source) == [(uri.format(folder=folder), reason)]
    assert [image.metadata["sku"] for image in images(source)] == ["first", "last"]


def test_a_nul_byte_is_no_crash(folder: Path) -> None:
    source = manifest(folder, "path,sku\nre\0d.png,A\nred.png,B\n")
    try:
        assert failures(source) == [(f"{folder}/feed.csv:2", "path contains a NUL character")]
    except SourceError as error:  # Python 3.10 refuses to read the row at all
        assert "feed.csv: the row in line 2" in str(error)  # noqa: PT017


def test_a_file_behind_a_closed_folder_is_reported() -> None:
    with folder_for_everyone() as folder:
        (folder / "closed").mkdir(mode=0o000)
        source = manifest(folder, "path\nclosed/a.png\n")
        (folder / "feed.csv").chmod(0o644)
        with unprivileged():
            assert failures(source) == [
                (f"{folder}/closed/a.png", "cannot be read: Permission denied (line 2)")
            ]


# Files that cannot be read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "{feed}: empty; its first line should name columns"),
        ("\n\n", "{feed}: empty; its first line should name columns"),
        (
            "sku,img,price\nA,red.png,1\n",
            "{feed}: no column 'path' (columns: sku, img, price); name one: --image-column img",
        ),
        (
            "sku;Path\nA;red.png\n",
            "{feed}: no column 'path' (columns: sku, Path); name one: --image-column Path",
        ),
        (
            "sku,price\nA,1\n",
            "{feed}: no column 'path' (columns: sku, price); name one: --image-column NAME",
        ),
        ("path,sku,sku\n", "{feed}: two columns are called 'sku'; rename one"),
        (
            "path,sku\nred.png,A\nblue.png,\xe9\n".encode("latin-1"),
            "{feed}: line 3 is not UTF-8 text; save the file as UTF-8 "
            "('CSV UTF-8' in a spreadsheet)",
        ),
        (
            "path\nred.png\n".encode("utf-16"),
            "{feed}: line 1 is not UTF-8 text; save the file as UTF-8 "
            "('CSV UTF-8' in a spreadsheet)",
        ),
        (
            'path,text\nred.png,A\nblue.png,"open\nimg/pink.png,B\n',
            "{feed}: the row in line 3 cannot be read: a quote is opened and never closed",
        ),
        (
            'path,text\nblue.png,"open\nred.png,"B"\nimg/pink.png,C\n',
            "{feed}: the row in line 2 cannot be read: a quote is opened and never closed",
        ),
        (
            "path,text\nred.png,A\nblue.png," + "x" * 200_000 + "\n",
            "{feed}: the row in line 3 cannot be read: field larger than field limit (131072)",
        ),
        (
            'path,text\nred.png,A\nblue.png,"open\n' + "a.png,B\n" * 30_000,
            "{feed}: the row in line 3 cannot be read: field larger than field limit (131072)",
        ),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    folder: Path, content: str | bytes, message: str
) -> None:
    source = manifest(folder, content)
    for use in (source.count, lambda: list(source)):
        with pytest.raises(SourceError) as caught:
            use()
        assert str(caught.value) == message.format(feed=folder / "feed.csv")


def test_a_file_that_may_not_be_read_is_an_error_of_the_source() -> None:
    with folder_for_everyone() as folder:
        source = manifest(folder, "path\n")
        (folder / "feed.csv").chmod(0o000)
        with unprivileged(), pytest.raises(SourceError, match="cannot be read: Permission denied"):
            source.count()

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

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
        "path|sku\nred.png|A1\n",
        "sep=;\r\npath;sku\r\nred.png;A1\r\n",
        '"sep=,"\npath,sku\nred.png,A1\n',
        "\ufeffSEP=\t\npath\tsku\nred.png\tA1\n",
        "path\tsku\r\nred.png\tA1\r\n".encode("utf-16"),
        "path,sku\nred.png,A1\n".encode("utf-16-le"),
        "path,sku\nred.png,A1\n".encode("utf-16-be"),
        "path,sku\nred.png,A1\n".encode("utf-32"),
        "PATH,sku\nred.png,A1\n",
        ",Path,sku,rating\n0,red.png,A1,nan\n",
    ],
    ids=["semicolon", "tab", "BOM and CRLF", "CR", "blank lines", "quotes", "spaces",
         "columns without a name", "empty cells too many", "pipe", "sep=;", "quoted sep=",
         "BOM and sep=tab", "Unicode text", "UTF-16-LE", "UTF-16-BE", "UTF-32", "another case",
         "pandas"],
)  # fmt: skip
def test_the_dialects_of_spreadsheets_are_understood(folder: Path, content: str | bytes) -> None:
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


def test_a_cell_may_be_long(folder: Path) -> None:
    source = manifest(folder, f"path,text\nred.png,{'x' * 200_000}\nblue.png,y\n")
    assert [len(image.metadata["text"]) for image in images(source)] == [200_000, 1]


@pytest.mark.parametrize("key", ["sku", None])
def test_numbers_that_pandas_made_floats_are_whole_again(folder: Path, key: str | None) -> None:
    source = manifest(
        folder, ",path,sku,stock\n0,red.png,1001.0,3.0\n1,blue.png,1002.0,\n", key=key or ""
    )
    red, blue = images(source)
    assert [red.key, blue.key] == (["1001", "1002"] if key else ["", ""])
    assert red.metadata == {"sku": "1001" if key else 1001, "stock": 3}
    assert blue.metadata == {"sku": "1002" if key else 1002}


def test_a_key_that_pandas_had_not_is_missing(folder: Path) -> None:
    source = manifest(folder, "path,sku\nred.png,1001.0\nblue.png,nan\n", key="sku")
    assert failures(source) == [(f"{folder}/feed.csv:3", "row has no 'sku', which --key names")]


# Paths as other systems spell them


@pytest.mark.parametrize(
    "written",
    [
        r"img\pink.png",
        r".\img\pink.png",
        "IMG/Pink.PNG",
        r"Img\PINK.png",
        "img/pink.png ",
        '" img/pink.png"',
        "img%2Fpink.png",
    ],
)
def test_a_path_of_another_system_means_the_one_file_that_it_can_mean(
    folder: Path, written: str
) -> None:
    (image,) = images(manifest(folder, f"path\n{written}\n"))
    assert (image.uri, image.name) == (f"{folder}/img/pink.png", "img/pink.png")
    assert image.read() == PNG


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_is_taken_in_either_unicode_form(
    folder: Path, form: Literal["NFC", "NFD"], other: Literal["NFC", "NFD"]
) -> None:
    (folder / unicodedata.normalize(other, "Café")).mkdir()
    present = folder / unicodedata.normalize(other, "Café/Müller.png")
    present.write_bytes(PNG)
    (image,) = images(manifest(folder, "path\n" + unicodedata.normalize(form, "Café/Müller.png")))
    assert image.uri == str(present)


def test_a_path_as_it_stands_comes_first(folder: Path) -> None:
    for name in (r"img\pink.png", "IMG.png", "img.png", "a%20b.png"):
        (folder / name).write_bytes(PNG)
    rows = [r"img\pink.png", "IMG.png", "img.png", "a%20b.png"]
    assert [i.name for i in images(manifest(folder, "path\n" + "\n".join(rows)))] == rows
    assert failures(manifest(folder, "path\nImg.PNG\n")) == [
        (f"{folder}/Img.PNG", "no such file (line 2)")
    ]


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        (r"C:\shop\img\pink.png", r"leave out 'C:\\shop\\', 'img/pink.png' lies here"),
        (r"\\nas\share\gone.png", "write paths relative to this file, as 'gone.png'"),
    ],
)
def test_a_drive_of_windows_is_named_with_the_way_out(folder: Path, path: str, advice: str) -> None:
    source = manifest(folder, f"path\n{path}\n")
    reason = f"{path!r} is a path on Windows: {advice}"
    assert failures(source) == [(f"{folder}/feed.csv:2", reason)]


def test_a_long_text_is_cut_where_a_message_shows_it(folder: Path) -> None:
    source = manifest(folder, f"path,sku\n{'a' * 200_000},1\nred.png,{'k' * 200_000}\n", key="sku")
    assert all(len(uri) + len(reason) < 500 for uri, reason in failures(source))
    assert len(failures(source)) == 2


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
            "path\nred.png\n".encode("utf-16") + b"\0\xd8",
            "{feed}: line 3 is not UTF-16 text; save the file as UTF-8 "
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
            'path,text\nred.png,A\nblue.png,"open\n' + "a.png,B\n" * 30_000,
            "{feed}: the row in line 3 cannot be read: a quote is opened and never closed",
        ),
        (
            "path,text\nred.png,A\nblue.png," + "x" * 10_000_001 + "\n",
            "{feed}: the row in line 3 cannot be read: a cell of more than 10,000,000 characters; "
            "is a quote opened there that is never closed?",
        ),
        (
            "img/red.png,9.50\nimg/blue.png,7\n",
            "{feed}: its first line should name the columns, but 'img/red.png' stands in it, an "
            "image; put a line above it, as path,column2",
        ),
        (
            "sku,my picture\nA,red.png\n",
            "{feed}: no column 'path' (columns: sku, my picture); name one: "
            "--image-column 'my picture'",
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

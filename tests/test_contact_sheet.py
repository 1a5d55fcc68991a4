import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from factories import encode, picture

from cbir import Gallery, Retriever, index_images, write_contact_sheet
from cbir.errors import CbirError
from cbir.pages.contact_sheet import Sheet


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in ("img", "br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_needs_nothing_but_itself(folder: Path, gallery: Gallery, tmp_path: Path) -> None:
    index_images(folder, gallery)
    retriever = Retriever(gallery)
    sheet = Sheet(retriever.search(1), retriever.query_image(1), note="a note")
    write_contact_sheet(tmp_path / "sheet.html", [sheet, sheet], title="two queries")
    text = (tmp_path / "sheet.html").read_text()
    page = Page(text)
    assert page.open == []
    assert len(page.images) == 2 * (1 + 5)
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in page.images)
    assert all(image["alt"] for image in page.images)
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import", text)
    assert "a note" in text


def test_names_and_metadata_are_escaped(tmp_path: Path, gallery: Gallery) -> None:
    nasty = tmp_path / '<script>alert(1)</script>"&.png'.replace("/", "_")
    nasty.write_bytes(encode(picture()))
    manifest = tmp_path / "feed.csv"
    quoted = nasty.name.replace('"', '""')
    manifest.write_text(f'path,title\n"{quoted}",<b>bold</b>\n')
    index_images(manifest, gallery)
    write_contact_sheet(tmp_path / "s.html", [Sheet(Retriever(gallery).search(nasty))])
    text = (tmp_path / "s.html").read_text()
    assert "<script" not in text
    assert "<b>bold" not in text
    assert "&lt;b&gt;bold" in text


def test_an_image_that_is_gone_leaves_a_blank(
    folder: Path, gallery: Gallery, tmp_path: Path
) -> None:
    index_images(folder, gallery)
    (folder / "odd" / "1.png").unlink()
    write_contact_sheet(tmp_path / "s.html", [Sheet(Retriever(gallery).search(1))])
    text = (tmp_path / "s.html").read_text()
    assert 'class="gone"' in text
    assert len(Page(text).images) == 4


def test_an_empty_result_says_so(gallery: Gallery, tmp_path: Path) -> None:
    result = Retriever(gallery).search(encode(picture()))
    write_contact_sheet(tmp_path / "s.html", [Sheet(result)])
    assert "nothing found" in (tmp_path / "s.html").read_text()


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CbirError, match="cannot be written: No such file or directory"):
        write_contact_sheet(tmp_path / "no" / "s.html", [])


def test_verified_matches_are_drawn(tmp_path: Path, gallery: Gallery) -> None:
    from cbir.reranking import open_reranker

    skimage = pytest.importorskip("skimage")
    photographs = Path(skimage.__file__).parent / "data"
    (tmp_path / "photos").mkdir()
    for name in ("chelsea.png", "coffee.png"):
        (tmp_path / "photos" / name).write_bytes((photographs / name).read_bytes())
    index_images(tmp_path / "photos", gallery)
    retriever = Retriever(gallery)
    query = photographs / "chelsea.png"
    result = retriever.search(query, rerank=open_reranker("sift", gallery))
    write_contact_sheet(tmp_path / "s.html", [Sheet(result, query.read_bytes())])
    text = (tmp_path / "s.html").read_text()
    assert text.count('alt="verified matches"') == 1
    assert "why they match" in text
    assert Page(text).open == []

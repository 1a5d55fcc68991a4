"""Galleries of images that lie behind URLs."""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import encode, picture
from terminal import Run, cbir
from web import Web, serve

from cbir import Gallery, index_images
from cbir.indexing import Limits
from cbir.sources import ManifestSource, retry


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.01)
    with serve() as web:
        for number in range(6):
            web.files[f"/img/{number}.png"] = encode(picture(seed=number))
        yield web


@pytest.fixture
def feed(web: Web, tmp_path: Path) -> Path:
    path = tmp_path / "feed.jsonl"
    write(path, [{"url": f"{web.url}/img/{n}.png", "sku": f"A{n}"} for n in range(6)])
    return path


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def index(feed: Path, *options: str) -> Run:
    gallery = feed.parent / "g"
    args = feed, "-g", gallery, "--backbone", "tiny_image", "--image-column", "url", *options
    return cbir("index", *args)


def counts(run: Run) -> dict[str, int]:
    said = json.loads(run.out)
    found = {k: said[k] for k in ("added", "updated", "moved", "removed", "unchanged") if said[k]}
    return found | ({"failed": len(said["failed"])} if said["failed"] else {})


def test_urls_are_indexed_and_stay_readable(web: Web, feed: Path) -> None:
    assert counts(index(feed, "--json")) == {"added": 6}
    gallery, sheet = feed.parent / "g", feed.parent / "sheet.html"
    url = f"{web.url}/img/3.png"
    run = cbir("search", url, "-g", gallery, "--rerank", "sift", "--html", sheet, "--json")
    first = json.loads(run.out)["hits"][0]
    assert (first["uri"], first["metadata"]) == (url, {"sku": "A3"})
    assert sheet.read_text().count("data:image/jpeg") >= 7
    for options in ((), ("--content",)):
        assert cbir("verify", "-g", gallery, *options).out.endswith("6 images, sound\n")
    web.files["/img/3.png"] = encode(picture(seed=30))
    del web.files["/img/4.png"]
    said = json.loads(cbir("verify", "-g", gallery, "--json").out)
    assert said["changed_files"] == [url]
    assert said["missing_files"] == [f"{web.url}/img/4.png"]
    assert said["unread_files"] == []


def test_verify_does_not_take_an_unreachable_server_for_missing_files(
    web: Web, feed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(feed)
    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    web.heads = False
    web.scripts["/img/2.png"] = [(503, {})] * 9
    run = cbir("verify", "-g", feed.parent / "g")
    assert run.code == 0
    assert f"file cannot be read: {web.url}/img/2.png: the server says 503" in run.out
    assert "gone" not in run.out


VALIDATORS = [("etag",), ("last-modified",), ("etag", "last-modified")]


@pytest.mark.parametrize("validators", VALIDATORS)
@pytest.mark.parametrize("prune", [(), ("--prune",)])
def test_a_second_run_downloads_nothing_that_is_as_it_was(
    web: Web, feed: Path, validators: tuple[str, ...], prune: tuple[str, ...]
) -> None:
    web.validators = validators
    index(feed)
    assert (web.asked("GET"), len(web.sent)) == (6, 6)
    assert counts(index(feed, "--json", *prune)) == {"unchanged": 6}
    assert (web.asked("GET"), len(web.sent)) == (12, 6)
    web.files["/img/2.png"] = encode(picture(seed=20))
    web.modified = "Tue, 24 Nov 2026 08:00:00 GMT" if "etag" not in validators else web.modified
    assert counts(index(feed, "--json", *prune)) == {"updated": 1, "unchanged": 5}
    assert len(web.sent) == (7 if "etag" in validators else 12)
    # One request for each image, whether it has changed or not.
    assert (web.asked("GET"), web.asked("HEAD")) == (18, 0)


@pytest.mark.parametrize("validators", VALIDATORS)
def test_a_server_that_ignores_conditions_is_not_read_to_the_end(
    web: Web, feed: Path, validators: tuple[str, ...]
) -> None:
    web.validators, web.conditional = validators, False
    index(feed)
    assert counts(index(feed, "--json")) == {"unchanged": 6}
    web.files["/img/2.png"] = encode(picture(40, 30, seed=20))  # of another size, too
    assert counts(index(feed, "--json")) == {"updated": 1, "unchanged": 5}
    assert (web.asked("GET"), web.asked("HEAD")) == (18, 0)


def test_an_older_file_that_a_server_calls_unmodified_is_read(web: Web, feed: Path) -> None:
    web.validators = ("last-modified",)
    index(feed)
    web.modified = "Sun, 22 Nov 2026 08:00:00 GMT"
    web.files["/img/2.png"] = encode(picture(seed=20))
    assert counts(index(feed, "--json")) == {"updated": 1, "unchanged": 5}


def test_entity_tags_that_an_older_gallery_lacks_are_learned(web: Web, feed: Path) -> None:
    index(feed)
    with sqlite3.connect(feed.parent / "g" / "catalog.sqlite") as catalog:
        catalog.execute("UPDATE images SET etag = NULL")
    catalog.close()
    assert counts(index(feed, "--json")) == {"unchanged": 6}
    before = len(web.sent)
    assert counts(index(feed, "--json")) == {"unchanged": 6}
    assert len(web.sent) == before
    assert (web.asked("GET"), web.asked("HEAD")) == (18, 0)


def test_a_failure_is_asked_for_conditionally(web: Web, feed: Path) -> None:
    web.files["/img/1.png"] = b"text"
    index(feed)
    assert counts(index(feed, "--json")) == {"unchanged": 5, "failed": 1}
    assert (web.asked("GET"), web.asked("HEAD"), len(web.sent)) == (12, 0, 6)


@pytest.mark.parametrize("heads", [True, False])
def test_without_validators_the_content_tells(web: Web, feed: Path, heads: bool) -> None:
    web.validators, web.heads = (() if heads else ("etag",)), heads
    index(feed)
    web.files["/img/2.png"] = encode(picture(seed=20))
    assert counts(index(feed, "--json")) == {"updated": 1, "unchanged": 5}
    assert web.asked("GET") == 12


def test_failures_name_their_line_and_are_not_downloaded_again(web: Web, feed: Path) -> None:
    web.files["/img/1.png"] = b"text"
    del web.files["/img/4.png"]
    run = index(feed, "--json")
    assert run.code == 3
    failed = {f["uri"][-5]: f["reason"] for f in json.loads(run.out)["failed"]}
    assert failed["1"].startswith("not an image")
    assert failed["1"].endswith("(line 2)")
    assert failed["4"] == "the server says 404 Not Found (line 5)"
    before = list(web.sent)
    again = json.loads(index(feed, "--json").out)["failed"]
    assert {f["uri"][-5]: f["reason"] for f in again} == failed
    assert web.sent == before
    web.files["/img/1.png"] = encode(picture(seed=1))
    web.files["/img/4.png"] = encode(picture(seed=4))
    assert counts(index(feed, "--json")) == {"added": 2, "unchanged": 4}


def test_metadata_changes_without_a_download(web: Web, feed: Path) -> None:
    index(feed)
    write(feed, [{"url": f"{web.url}/img/{n}.png", "sku": f"B{n}"} for n in range(6)])
    assert counts(index(feed, "--json")) == {"updated": 6}
    assert len(web.sent) == 6


def test_with_a_key_a_url_may_change(web: Web, feed: Path) -> None:
    index(feed, "--key", "sku")
    for number in range(6):
        web.files[f"/new/{number}.png"] = web.files.pop(f"/img/{number}.png")
    write(feed, [{"url": f"{web.url}/new/{n}.png", "sku": f"A{n}"} for n in range(6)])
    assert counts(index(feed, "--json", "--prune")) == {"updated": 6}
    with Gallery.open(feed.parent / "g") as gallery:
        assert gallery.find("A5").uri == f"{web.url}/new/5.png"
        assert gallery.find(f"{web.url}/new/5.png").id == gallery.find("A5").id


def test_another_place_s_validator_says_nothing(web: Web, feed: Path) -> None:
    web.validators = ("last-modified",)  # the same for all, and bitmaps are of one size
    for folder, seed in (("old", 1), ("new", 2)):
        web.files[f"/{folder}/0.bmp"] = encode(picture(seed=seed), "BMP")
    write(feed, [{"url": f"{web.url}/old/0.bmp", "sku": "A"}])
    index(feed, "--key", "sku")
    with Gallery.open(feed.parent / "g") as gallery:
        before = gallery.embedding(1)
    write(feed, [{"url": f"{web.url}/new/0.bmp", "sku": "A"}])
    assert counts(index(feed, "--json")) == {"updated": 1}
    with Gallery.open(feed.parent / "g") as gallery:
        assert float(before @ gallery.embedding(1)) < 0.9


def test_prune_keeps_what_cannot_be_reached(web: Web, feed: Path) -> None:
    index(feed)
    web.scripts = {f"/img/{n}.png": [(503, {})] * 9 for n in range(6)}
    web.heads = False
    assert counts(index(feed, "--json", "--prune")) == {"failed": 6}
    web.scripts, web.heads = {}, True
    write(feed, [{"url": f"{web.url}/img/{n}.png", "sku": f"A{n}"} for n in range(5)])
    assert counts(index(feed, "--json", "--prune")) == {"removed": 1, "unchanged": 5}


def test_an_interrupted_run_waits_for_no_server(web: Web, feed: Path, gallery: Gallery) -> None:
    web.scripts["/img/0.png"] = [(503, {"Retry-After": "50"})]
    calls: list[int] = []

    def interrupt(done: int) -> None:
        calls.append(done)
        if len(calls) == 2:  # the first image is being waited for
            while not web.asked("GET"):
                time.sleep(0.01)
            raise KeyboardInterrupt

    started = time.monotonic()
    source = ManifestSource(feed, image_column="url")
    with pytest.raises(KeyboardInterrupt):
        index_images(source, gallery, limits=Limits(page=1), progress=interrupt)
    assert time.monotonic() - started < 20


def test_many_are_read_at_once(web: Web, tmp_path: Path, gallery: Gallery) -> None:
    rows: list[dict[str, object]] = []
    for number in range(96):
        web.files[f"/{number}.png"] = encode(picture(8, 8, seed=number))
        rows.append({"path": f"{web.url}/{number}.png"})
    write(tmp_path / "many.jsonl", rows)
    web.delay_s = 0.05
    assert index_images(tmp_path / "many.jsonl", gallery).added == 96
    assert web.busiest >= 12


def test_a_manifest_may_itself_be_a_url(web: Web, tmp_path: Path) -> None:
    web.files["/feed.csv"] = b"path,sku\nimg/0.png,A\n/img/1.png,B\n" + (
        f"{web.url}/img/2.png,C\nimg/9.png,D\n".encode()
    )
    args = "index", f"{web.url}/feed.csv", "-g", tmp_path / "g", "--backbone", "tiny_image"
    run = cbir(*args, "--json", "--key", "sku")
    assert counts(run) == {"added": 3, "failed": 1}
    with Gallery.open(tmp_path / "g") as gallery:
        assert [r.name for r, _ in gallery.catalog.scan()] == [f"img/{n}.png" for n in range(3)]
    web.scripts["/feed.csv"] = [(503, {})] * 9
    gone = cbir(*args, "--prune")
    assert gone.code == 1
    assert gone.err.startswith(f"error: {web.url}/feed.csv: the server says 503 ")


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://127.0.0.1:9/photos/", "a website cannot be listed; give a manifest"),
        ("s3://bucket/a.tar", "tars are read from disk"),
        ("nosuch://x/y", "Protocol not known: nosuch"),
    ],
)
def test_what_cannot_be_listed(tmp_path: Path, location: str, message: str) -> None:
    run = cbir("index", location, "-g", tmp_path / "g", "--backbone", "tiny_image")
    assert run.code == 1
    assert message in run.err
    assert run.err.count("\n") == 1

"""A bucket as a source, served by moto on this machine."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import encode, picture
from terminal import Run, cbir

from cbir import Gallery, index_images
from cbir.errors import SourceError
from cbir.sources import SourceImage, objects, open_source, retry
from cbir.sources.reading import read_uri

pytest.importorskip("s3fs")
fsspec = pytest.importorskip("fsspec")
moto = pytest.importorskip("moto.server")

# The libraries of AWS and moto warn about themselves.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket `shop` of six pictures below `photos/`."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(objects, "_filesystems", {})
    bucket = boto3.resource("s3").create_bucket(Bucket="shop")
    for number in range(6):
        put(bucket, f"photos/{number % 2}/{number}.png", number)
    yield bucket
    bucket.objects.all().delete()
    bucket.delete()
    bucket.meta.client.close()
    for fs in objects._filesystems.values():
        if fs.protocol != "memory":
            fs.close_session(fs.loop, fs.s3)
            fs.clear_instance_cache()


def put(bucket: Any, key: str, seed: int) -> None:
    bucket.put_object(Key=key, Body=encode(picture(seed=seed)))


def index(folder: Path, *options: str, source: str = "s3://shop/photos") -> Run:
    return cbir("index", source, "-g", folder / "g", "--backbone", "tiny_image", *options)


def counts(run: Run) -> dict[str, int]:
    said = json.loads(run.out)
    return {k: said[k] for k in ("added", "updated", "moved", "removed", "unchanged") if said[k]}


def test_a_prefix_is_walked(bucket: Any) -> None:
    bucket.put_object(Key="photos/notes.txt", Body=b"text")
    bucket.put_object(Key="photos/.hidden/1.png", Body=b"")
    put(bucket, "photos-of-others/1.png", 1)
    source = open_source("s3://shop/photos/")
    found = list(source)
    assert source.count() == len(found) == 6
    first = found[0]
    assert isinstance(first, SourceImage)
    assert (first.uri, first.name) == ("s3://shop/photos/0/0.png", "0/0.png")
    assert first.version.size == len(first.read())
    assert first.read() == read_uri(first.uri) == encode(picture(seed=0))
    assert len(list(open_source("s3://shop/photos/1"))) == 3
    assert [i.name for i in open_source("s3://shop/photos/1/5.png")] == ["5.png"]  # type: ignore[union-attr]


def test_a_second_run_reads_what_has_changed(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert counts(index(tmp_path, "--json")) == {"added": 6}
    read: list[str] = []
    real = objects.read

    def noting(url: str) -> Any:
        read.append(url)
        return real(url)

    monkeypatch.setattr(objects, "read", noting)
    assert counts(index(tmp_path, "--json")) == {"unchanged": 6}
    assert read == []
    put(bucket, "photos/0/2.png", 20)
    assert counts(index(tmp_path, "--json")) == {"updated": 1, "unchanged": 5}
    assert read == ["s3://shop/photos/0/2.png"]
    assert cbir("verify", "-g", tmp_path / "g").out.endswith("6 images, sound\n")
    put(bucket, "photos/0/4.png", 21)
    said = json.loads(cbir("verify", "-g", tmp_path / "g", "--json").out)
    assert said["changed_files"] == ["s3://shop/photos/0/4.png"]


def test_prune_follows_the_bucket(bucket: Any, tmp_path: Path) -> None:
    index(tmp_path)
    bucket.Object("photos/9.png").copy({"Bucket": "shop", "Key": "photos/0/0.png"})
    bucket.Object("photos/0/0.png").delete()
    bucket.Object("photos/1/1.png").delete()
    run = index(tmp_path, "--prune", "--json")
    assert counts(run) == {"moved": 1, "removed": 1, "unchanged": 4}
    for number in (2, 3, 4):
        bucket.Object(f"photos/{number % 2}/{number}.png").delete()
    refused = index(tmp_path, "--prune")
    assert refused.code == 1
    assert "lists only 2 of the 5 images" in refused.err


@pytest.mark.parametrize("what", ["endpoint", "bucket", "prefix"])
def test_prune_removes_nothing_where_the_bucket_cannot_be_listed(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    index(tmp_path)
    if what == "endpoint":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
        monkeypatch.setattr("s3fs.S3FileSystem.cachable", False)
        monkeypatch.setattr(objects, "_filesystems", {})
    elif what == "bucket":
        monkeypatch.setattr(objects, "_filesystem", _elsewhere(objects._filesystem))
    else:
        bucket.objects.all().delete()
    run = index(tmp_path, "--prune")
    assert run.code == 1
    assert run.err.startswith("error: s3://shop/photos: ")
    assert run.err.count("\n") == 1
    with Gallery.open(tmp_path / "g") as gallery:
        assert gallery.count() == 6


def _elsewhere(real: Any) -> Any:
    return lambda url: real(url.replace("//shop", "//another"))


def test_a_manifest_may_list_objects_and_lie_in_the_bucket(bucket: Any, tmp_path: Path) -> None:
    rows = ["path,sku", "photos/0/0.png,A", "s3://shop/photos/1/1.png,B", "photos/none.png,C"]
    bucket.put_object(Key="feed.csv", Body="\n".join(rows).encode())
    run = index(tmp_path, "--json", source="s3://shop/feed.csv")
    assert counts(run) == {"added": 2}
    (failure,) = json.loads(run.out)["failed"]
    assert (failure["uri"], failure["reason"]) == (
        "s3://shop/photos/none.png",
        "no such object (line 4)",
    )
    again = index(tmp_path, "--json", "--prune", source="s3://shop/feed.csv")
    assert counts(again) == {"unchanged": 2}
    put(bucket, "photos/0/0.png", 40)
    assert counts(index(tmp_path, "--json", source="s3://shop/feed.csv")) == {
        "updated": 1,
        "unchanged": 1,
    }


def test_too_large_is_a_failure(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_object(Key="photos/big.png", Body=os.urandom(50_000))
    monkeypatch.setenv("CBIR_MAX_DOWNLOAD", "40000")
    run = index(tmp_path, "--json")
    assert run.code == 3
    (failure,) = json.loads(run.out)["failed"]
    assert failure["reason"].startswith("above the limit of 0.0 MB")


def test_other_protocols_of_fsspec(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_filesystems", {})
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.01)
    memory = fsspec.filesystem("memory")
    memory.pipe("/shop/a.png", encode(picture(seed=1)))
    assert index_images("memory://shop", gallery).added == 1
    assert index_images("memory://shop", gallery).unchanged == 1
    memory.pipe("/shop/a.png", encode(picture(seed=2)))
    assert index_images("memory://shop", gallery).updated == 1
    memory.rm("/shop", recursive=True)
    with pytest.raises(SourceError, match="memory://shop: "):
        index_images("memory://shop", gallery, prune=True)


def test_without_s3fs_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_filesystems", {})
    known = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(known, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    run = index(tmp_path)
    assert run.code == 1
    assert "pip install 'cbir[s3]'" in run.err

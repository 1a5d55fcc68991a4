"""Many at once, changes from elsewhere, and what goes wrong: the server goes on answering."""

import errno
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from factories import encode, picture
from serving import Serve, names, running

from cbir import Gallery, Retriever, index_images
from cbir.catalog import sqlite
from cbir.client import BusyError, Client
from cbir.embedding.backbones.tiny_image import TinyImageEmbedder
from cbir.indexes.local import LocalIndex
from cbir.server import Settings, create_app, uploads
from cbir.server.batching_embedder import BatchingEmbedder

BLUE, GREEN, PINK, RED = 1, 2, 3, 4
RED_LIKE = ["pink", "green", "blue"]
WAIT_S = 20.0


def until(met: Any) -> None:
    """Wait for something that happens soon, however slow the machine."""
    end = time.monotonic() + WAIT_S
    while not met():
        assert time.monotonic() < end
        time.sleep(0.01)


class Gate:
    """Stands in for a method: whoever comes waits until the gate is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.opened, self.reached = threading.Event(), threading.Semaphore(0)
        inner = getattr(owner, name)

        def wait(*arguments: Any, **options: Any) -> Any:
            self.reached.release()
            assert self.opened.wait(WAIT_S)
            return inner(*arguments, **options)

        monkeypatch.setattr(owner, name, wait)


def test_a_full_queue_refuses_and_says_when_to_come_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = serve(workers=1, waiting=2)
    gate = Gate(monkeypatch, Retriever, "search")
    upload = {"image": encode(picture())}
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(http.post, "/api/v1/search/upload", files=upload) for _ in range(8)]
        until(lambda: sum(one.done() for one in asked) == 5)
        refused = [one.result() for one in asked if one.done()]
        assert 'cbir_queue{pool="work"} 2.0' in http.get("/api/v1/metrics").text
        gate.opened.set()
    assert {one.status_code for one in refused} == {503}
    assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
    assert "waiting already" in refused[0].json()["detail"]
    assert [one.result().status_code for one in asked].count(200) == 3


def test_the_client_says_when_to_come_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads, "_store", full)
    with pytest.raises(BusyError, match="No space left on device") as caught:
        client.add(encode(picture()))
    assert caught.value.retry_after_s == 5
    assert client.gallery()["images"] == 4


def test_a_locked_catalogue_is_no_reason_to_stop(
    shop: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    http = serve()
    other = sqlite3.connect(shop / "catalog.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    change = {"metadata": {"price": 1}}
    locked = http.patch(f"/api/v1/images/{RED}", json=change)
    assert (locked.status_code, "retry-after" in locked.headers) == (503, True)
    assert "database is locked" in locked.json()["detail"]
    assert str(shop) not in locked.text
    assert names(http.get(f"/api/v1/images/{RED}/similar")) == RED_LIKE
    other.close()
    assert http.patch(f"/api/v1/images/{RED}", json=change).status_code == 200


def test_what_others_index_appears_without_a_restart(
    shop: Path, client: Client, tmp_path: Path
) -> None:
    data = encode(picture(90, 90, seed=5))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "new.png").write_bytes(data)

    def found() -> list[str]:
        return names(client.search(data, k=1))

    with Gallery.open(shop) as gallery:
        index_images(tmp_path / "more", gallery)
        until(lambda: found() == ["new"])
        gallery.remove([5])
    until(lambda: found() != ["new"])


def test_searches_go_on_while_the_index_is_brought_up_to_date(
    shop: Path, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate = Gate(monkeypatch, LocalIndex, "_save")
    with Gallery.open(shop) as other:
        other.catalog.remove([GREEN])
    assert gate.reached.acquire(timeout=WAIT_S)
    assert names(client.search(RED)) == ["pink", "blue"]
    gate.opened.set()


@pytest.mark.parametrize("damage", [b"", b"damaged"])
def test_a_damaged_index_is_built_anew_while_an_exact_search_answers(
    shop: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, damage: bytes, tmp_path: Path
) -> None:
    (file,) = (shop / "vectors").glob("ids-*")
    file.write_bytes(damage)
    gate = Gate(monkeypatch, LocalIndex, "_build")
    http = serve(index_wait_s=0.01)
    client = Client(str(http.base_url), http=http)
    assert gate.reached.acquire(timeout=WAIT_S)
    assert client.gallery()["index"] == "scan"
    assert "being built" in http.get("/api/v1/health/ready").json()["detail"]
    assert names(client.search(RED)) == RED_LIKE
    assert names(client.search((tmp_path / "colours" / "red.png").read_bytes(), k=1)) == ["red"]
    assert names(client.search(RED, where=["kind=cold"])) == ["green", "blue"]
    assert client.recommend(RED, k=1, keep_duplicates=True)[0].image.id == PINK
    gate.opened.set()
    until(lambda: client.gallery()["index"] == "flat")
    assert names(client.search(RED)) == RED_LIKE


def test_a_shut_down_lets_requests_finish(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch, Retriever, "search")
    with ThreadPoolExecutor(6) as pool:
        app = create_app(Settings(gallery=shop))
        with running(app) as http:
            address = f"{http.base_url}/api/v1/images/{RED}/similar".replace("//api", "/api")
            asked = [pool.submit(httpx.get, address, timeout=WAIT_S) for _ in range(6)]
            until(lambda: app.state.service.quick.waiting == 4)  # and two under way
            threading.Timer(0.2, gate.opened.set).start()
        assert [one.result().status_code for one in asked] == [200] * 6


def test_metrics(http: httpx.Client) -> None:
    http.get(f"/api/v1/images/{RED}/similar")
    http.post("/api/v1/search/upload", files={"image": encode(picture())})
    http.get("/api/v1/images/99")
    text = http.get("/api/v1/metrics").text
    route = 'route="/images/{image_id}"'
    assert f'cbir_requests_total{{method="GET",{route},status="404"}} 1.0' in text
    assert "cbir_images 4.0" in text
    assert 'cbir_stage_seconds_count{stage="embed"} 2.0' in text
    assert 'cbir_stage_seconds_count{stage="queue"} 2.0' in text
    assert "cbir_batch_images_count 2.0" in text  # the first warmed up


class Slow(TinyImageEmbedder):
    """One call at a time, each held until it may go on."""

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self.calls: list[int] = []
        self.gate = threading.Event()

    def embed(self, images: Sequence[Any]) -> Any:
        self.calls.append(len(images))
        assert self.gate.wait(WAIT_S)
        if len(images) and images[0].max() == 0:
            raise ValueError("black")
        return super().embed(images)


def test_whoever_waits_joins_the_next_call(gallery: Gallery) -> None:
    inner = Slow(gallery.spec)
    seen: list[int] = []
    embedder = BatchingEmbedder(inner, on_batch=seen.append)
    images = np.random.default_rng(0).integers(1, 256, (7, 32, 32, 3), np.uint8)
    with ThreadPoolExecutor(7) as pool:
        found = [pool.submit(embedder.embed, [image]) for image in images]
        until(lambda: len(embedder._queue) == 6)
        inner.gate.set()
        vectors = np.concatenate([one.result() for one in found])
    assert seen == inner.calls == [1, 6]
    expected = TinyImageEmbedder(gallery.spec).embed(list(images))
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    with pytest.raises(ValueError, match="black"):
        embedder.embed([np.zeros((32, 32, 3), np.uint8)])
    assert len(embedder.embed([])) == 0

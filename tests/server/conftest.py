import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import save_gradients
from factories import encode, picture
from serving import Serve, running

from cbir import Gallery, index_images, resolve_spec
from cbir.client import Client
from cbir.server import Settings, create_app

KNOWN = {
    "red": {"price": 10, "kind": "warm", "day": date(2026, 1, 5), "sold": True},
    "pink": {"price": 20, "kind": "warm", "day": date(2026, 1, 20)},
    "green": {"price": 30, "kind": "cold", "day": date(2026, 2, 1)},
    "blue": {"price": 5.5, "kind": "cold", "day": date(2026, 3, 1), "tags": ["sea", "sky"]},
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The gallery of `make_shop`; its pictures are in `tmp_path / "colours"`."""
    return make_shop(tmp_path)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Asks one server for all tests of a module, none of which writes."""
    shop = make_shop(tmp_path_factory.mktemp("reader"))
    with running(create_app(Settings(gallery=shop, workers=2))) as http:
        yield http


def make_shop(folder: Path) -> Path:
    """A gallery of four pictures with a price, a kind and a day each: blue, green, pink, red."""
    save_gradients(folder / "colours")
    with Gallery.create(folder / "shop", resolve_spec("tiny_image")[0]) as gallery:
        index_images(folder / "colours", gallery)
        for record, _ in gallery.catalog.scan():
            assert gallery.catalog.change_metadata(record.id, KNOWN[Path(record.name).stem])
    return folder / "shop"


@pytest.fixture
def serve(shop: Path) -> Iterator[Serve]:
    """Serve the shop, with further settings as arguments."""
    with ExitStack() as servers:

        def start(**settings: Any) -> httpx.Client:
            asked = replace(Settings(gallery=shop, refresh_s=0.05, workers=2), **settings)
            return servers.enter_context(running(create_app(asked)))

        yield start


@pytest.fixture
def http(serve: Serve) -> httpx.Client:
    """Asks a server of the shop as a browser would."""
    return serve()


@pytest.fixture
def client(http: httpx.Client) -> Iterator[Client]:
    """Asks the same server in the library's words."""
    with Client(str(http.base_url)) as client:
        yield client


class _Web(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        port = self.server.server_port  # type: ignore[attr-defined]
        leads = {"/loop": "/loop", "/inside": f"http://10.0.0.1:{port}/"}
        if self.path in leads:
            self.send_response(302)
            self.send_header("Location", leads[self.path])
            self.end_headers()
            return
        body = encode(picture())
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None: ...


@pytest.fixture
def web() -> Iterator[str]:
    """A web server with an image, a loop and a way into a private network."""
    with HTTPServer(("127.0.0.1", 0), _Web) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()

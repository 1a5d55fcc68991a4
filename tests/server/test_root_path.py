"""The server below a path of a proxy, which strips the path from requests or keeps it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from browsing import chromium
from serving import Serve, names, running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from terminal import cbir

from cbir.client import Client
from cbir.errors import OptionError
from cbir.server.root_path import checked_root_path


@contextmanager
def proxy(server: httpx.Client, *, strip: bool, pass_host: bool) -> Iterator[httpx.Client]:
    """A website whose path /search is the server, as nginx serves it."""

    async def forward(request: Request) -> Response:
        path = request.url.path
        assert path == "/search" or path.startswith("/search/")
        target = path.removeprefix("/search") or "/" if strip else path
        headers = {n: v for n, v in request.headers.items() if n not in ("host", "content-length")}
        if pass_host:
            headers["host"] = request.headers["host"]
        async with httpx.AsyncClient(base_url=server.base_url) as client:
            answer = await client.request(
                request.method,
                httpx.URL(target, query=request.url.query.encode()),
                headers=headers,
                content=await request.body(),
            )
        dropped = ("content-length", "content-encoding", "transfer-encoding", "connection", "date")
        kept = {n: v for n, v in answer.headers.items() if n not in dropped}
        return Response(answer.content, answer.status_code, kept)

    methods = ["GET", "POST", "PATCH", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", forward, methods=methods)])
    with running(app) as website:  # type: ignore[arg-type]
        yield website


@pytest.fixture(params=[True, False], ids=["strips", "keeps"])
def website(request: pytest.FixtureRequest, serve: Serve) -> Iterator[httpx.Client]:
    server = serve(root_path="/search")
    with proxy(server, strip=request.param, pass_host=not request.param) as site:
        yield site


def test_addresses_of_the_api_hold_for_the_website(website: httpx.Client) -> None:
    answer = website.get("/search/api/v1/images/1/similar?k=2").json()
    for image in [hit["image"] for hit in answer["hits"]]:
        assert image["file"].startswith("/search/api/v1/images/")
        for address in (image["file"], image["thumbnail"]):
            assert website.get(address).headers["content-type"].startswith("image/")
    groups = website.get("/search/api/v1/images?limit=2").json()["images"]
    assert all(image["thumbnail"].startswith("/search/") for image in groups)
    schema = website.get("/search/api/v1/openapi.json").json()
    assert schema["servers"] == [{"url": "/search"}]


def test_the_client_takes_the_address_with_the_path(website: httpx.Client) -> None:
    with Client(f"{website.base_url}/search") as client:
        assert names(client.search(1, k=2))
        record = client.image(1)
        assert httpx.get(record.uri).status_code == 200


def test_without_a_proxy_it_answers_at_both_places(serve: Serve) -> None:
    server = serve(root_path="/search")
    for place in ("/api/v1/gallery", "/search/api/v1/gallery"):
        assert server.get(place).status_code == 200
    moved = server.get("/search?q=id:1")
    assert (moved.status_code, moved.headers["location"]) == (308, "/search/?q=id:1")
    assert server.get("/searching/api/v1/gallery").status_code == 404


def test_the_cookie_belongs_to_the_path(serve: Serve) -> None:
    server = serve(root_path="/search", token="secret")
    posted = server.post(
        "/search/api/v1/session", json={"token": "secret"}, headers={"X-Requested-With": "test"}
    )
    assert "Path=/search/api/v1;" in posted.headers["set-cookie"]


@pytest.mark.parametrize("address", ["/search/", "/search"])
def test_the_page_works_below_a_path(website: httpx.Client, address: str) -> None:
    """A search from the start page, the panel of a hit, and an upload."""
    with chromium() as browser:
        context = browser.new_context(base_url=str(website.base_url))
        context.set_default_timeout(10_000)
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "response", lambda answer: errors.append(answer.url) if answer.status >= 400 else None
        )
        page.goto(address)
        page.locator("#start-grid img").first.click()
        assert shown(page) == 3
        assert re.search(r"/search/?\?q=id", page.url)
        page.locator("#grid .face").first.click()
        page.wait_for_selector("#panel a[target=_blank]")
        link = page.locator("#panel a[target=_blank]").first.evaluate("one => one.href")
        assert website.get(link).headers["content-type"] == "image/png"
        page.keyboard.press("Escape")
        page.reload()
        assert shown(page) == 3
        picture = {"name": "a.png", "mimeType": "image/png", "buffer": website.get(link).content}
        page.set_input_files("#file", picture)
        page.wait_for_url(re.compile("upload"))
        assert shown(page) == 4
        assert [url for url in errors if "favicon" not in url] == []
        context.close()


def shown(page: Any) -> int:
    """Number of hits whose pictures are there."""
    page.wait_for_selector("#grid:not([aria-busy]) .face img")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#grid img')].every(i => i.complete)"
    )
    widths = page.locator("#grid img").evaluate_all("all => all.map(one => one.naturalWidth)")
    return sum(width > 0 for width in widths)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ""),
        ("/", ""),
        ("/search", "/search"),
        ("/search/", "/search"),
        ("/a/b-c_d", "/a/b-c_d"),
    ],
)
def test_a_root_path_is_taken_with_or_without_a_slash(text: str, path: str) -> None:
    assert checked_root_path(text) == path


@pytest.mark.parametrize("text", ["search", "https://shop.example/x", "/a b", "/a?b", '/"', "//x"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="write it as /search"):
        checked_root_path(text)
    assert "write it as /search" in cbir("serve", "--root-path", text).err

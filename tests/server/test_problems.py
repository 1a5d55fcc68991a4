"""Errors over HTTP: whose fault they are, what is told of them, and what stays on the machine."""

import asyncio
import errno
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from factories import encode, picture
from fastapi import FastAPI
from serving import Serve, running

from cbir import Retriever, errors
from cbir.client import Client
from cbir.errors import (
    BackboneError,
    CbirError,
    FilterError,
    GalleryError,
    GalleryUnavailableError,
    ImageError,
    NotFoundError,
    OptionError,
)
from cbir.server import Settings, create_app
from cbir.server.problem import REQUEST_FAULTS, install

ALL_ERRORS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CbirError)
]
SEARCH: dict[str, Any] = {"json": {"ids": [4]}}


def response_to(error: Exception) -> httpx.Response:
    """What the caller of a route that raises an error is told."""
    app = FastAPI()
    install(app)

    @app.get("/fails")
    async def fails() -> None:
        raise error

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.get("/fails")

    return asyncio.run(ask())


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_only_what_the_request_causes_is_its_fault(
    kind: type[CbirError], caplog: pytest.LogCaptureFixture
) -> None:
    answer = response_to(kind("the reason and the next step"))
    assert answer.headers["content-type"] == "application/problem+json"
    if issubclass(kind, tuple(REQUEST_FAULTS)):
        assert answer.status_code in (404, 409, 413, 415, 422)
        assert answer.json()["detail"] == "the reason and the next step"
        assert caplog.records == []
    elif kind is GalleryUnavailableError:
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert "the reason and the next step" in answer.json()["detail"]
        assert [record.levelname for record in caplog.records] == ["WARNING"]
    else:
        assert answer.status_code == 500
        assert "the reason" not in answer.text
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "the reason and the next step" in caplog.text
        assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("k is 0"), 500),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), 500),
        (BackboneError("CUDA out of memory"), 500),
        (RuntimeError("CUDA out of memory"), 500),
        (KeyError(4), 500),
        (OSError(errno.EACCES, "Permission denied"), 500),
        (OSError(errno.ENOSPC, "No space left on device"), 503),
        (OptionError("k is 0"), 422),
    ],
    ids=repr,
)
def test_a_mistake_of_the_server_is_no_fault_of_the_request(
    error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert response_to(error).status_code == status
    assert len(caplog.records) == (status >= 500)


@pytest.mark.parametrize(
    "error", [ValueError("negative dimensions"), BackboneError("CUDA out of memory")]
)
def test_what_fails_within_a_search_is_logged(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise error

    http = serve(cors_origins=("https://shop.example",))
    monkeypatch.setattr(Retriever, "search", fail)
    answer = http.post("/api/v1/search", **SEARCH, headers={"Origin": "https://shop.example"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    # Also such an answer passes the guard, and can be read by a page of an allowed origin.
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert str(error) not in answer.text
    assert str(error) in caplog.text
    assert 'route="/search",status="500"' in http.get("/api/v1/metrics").text


@pytest.mark.parametrize(
    ("method", "url", "sent"),
    [
        ("GET", "/api/v1/images/4/similar?rerank=sifd", {}),
        ("GET", "/api/v1/images/4/matches?query_id=5&method=sifd", {}),
        ("POST", "/api/v1/search", {"json": {"ids": [4], "rerank": "sifd"}}),
        ("POST", "/api/v1/search/upload", {"data": {"options": '{"rerank": "sifd"}'}}),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(
    serve: Serve, method: str, url: str, sent: dict[str, Any]
) -> None:
    answer = serve().request(method, url, **sent)
    assert answer.status_code == 422
    _, _, reason = answer.json()["detail"].partition(": ")
    assert reason.startswith("no ")
    assert "'sifd'; did you mean 'sift'? there are " in reason
    assert [error["reason"] for error in answer.json().get("errors", [])] in ([], [reason])


@pytest.mark.parametrize("gallery", [".", "/", "a", "/home/me/my photos", "in"])
@pytest.mark.parametrize("kind", [NotFoundError, GalleryError, GalleryUnavailableError])
def test_a_message_leaves_the_gallery_out_and_the_rest_as_it_is(kind: Any, gallery: str) -> None:
    message = "crop 0.1,0.2/0.3 of an image in /a.b is empty; try a."
    error = kind(message, gallery=Path(gallery))
    assert str(Path(gallery)) in str(error)
    assert error.public.removesuffix(" in the gallery") == message
    if kind is not GalleryError:
        assert message in response_to(error).json()["detail"]


@pytest.mark.parametrize("folder", [".", "a", "my photos", "photos.5/0.5"])
def test_a_gallery_is_served_from_anywhere(
    tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    place = tmp_path / "work" / folder
    place.parent.mkdir(parents=True, exist_ok=True)
    shop.rename(place)
    monkeypatch.chdir(tmp_path / "work")
    app = create_app(Settings(gallery=Path(folder), refresh_s=0.05))
    with running(app) as http, Client(str(http.base_url)) as client:
        with pytest.raises(NotFoundError, match=r"^no image 99 in the gallery$"):
            client.search(99)
        crop = (0.1, 0.2, 0.95, 0.5)
        with pytest.raises(ImageError, match=r"^-: crop 0\.1,0\.2,0\.95,0\.5 reaches to"):
            client.search(encode(picture(100, 100)), crop=crop)
        with pytest.raises(FilterError, match=r"no image has a field 'a\.5/\.'"):
            client.search(1, where=["a.5/.=1"])


def test_no_error_tells_a_path_of_the_machine(
    http: httpx.Client, shop: Path, tmp_path: Path
) -> None:
    (tmp_path / "colours" / "red.png").unlink()
    asked = {"X-Requested-With": "test"}
    no_image = {"image": b"no image"}
    answers = [
        http.get("/api/v1/images/4/file"),
        http.get("/api/v1/images/4/thumbnail"),
        http.get("/api/v1/images/4/matches?query_id=3"),
        http.get("/api/v1/images/99/recommendations"),
        http.get("/api/v1/images/1/recommendations?same=nothing"),
        http.post("/api/v1/search", json={"ids": [4], "crop": [0, 0, 0.5, 0.5]}),
        http.post("/api/v1/search", json={"ids": [1], "unwanted_ids": [99]}),
        http.post("/api/v1/search", json={"ids": [1], "group_by": "nothing"}),
        http.post("/api/v1/search", json={"ids": [1, 2], "crop": [0, 0, 1, 1]}),
        http.post("/api/v1/search", json={"ids": [1], "crop": [1e308, 1e308, 1e308, 1e308]}),
        http.post("/api/v1/search/upload", files=no_image),
        http.post("/api/v1/search/matches", files=no_image, data={"image_id": "99"}),
        http.post("/api/v1/images", files=no_image, headers=asked),
        http.patch("/api/v1/images/99", json={"metadata": {"a": 1}}, headers=asked),
        http.delete("/api/v1/images/99", headers=asked),
        http.get("/static/../secret"),
        http.get("/api/v1/nothing"),
    ]
    for answer in answers:
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert str(tmp_path) not in answer.text
        assert shop.parent.name not in answer.text


def test_a_500_says_nothing_of_the_machine(
    http: httpx.Client,
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise GalleryError("the disk is broken", gallery=shop)

    monkeypatch.setattr(Retriever, "search", fail)
    with caplog.at_level(logging.ERROR):
        answer = http.post("/api/v1/search", **SEARCH)
    assert answer.status_code == 500
    assert str(shop) not in answer.text
    assert str(shop) in caplog.text

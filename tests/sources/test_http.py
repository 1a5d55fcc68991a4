"""Images over http: what is tried again, what is given up, and for which reason."""

import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from factories import encode, picture
from web import Web, serve

from cbir.errors import ImageError
from cbir.sources import retry
from cbir.sources.http import get, head, validator
from cbir.sources.reading import current_version, read_uri
from cbir.types import ImageVersion

PNG = encode(picture(seed=1))


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.01)
    with serve() as web:
        web.files["/a.png"] = PNG
        yield web


def test_an_image_is_read_with_its_validator(web: Web) -> None:
    content = get(f"{web.url}/a.png")
    assert content.data == read_uri(f"{web.url}/a.png") == PNG
    assert content.version.stamp is not None
    assert content.version.size == len(PNG)
    assert head(f"{web.url}/a.png") == content.version
    assert current_version(f"{web.url}/a.png") == content.version


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(web: Web, status: int) -> None:
    web.scripts["/a.png"] = [(status, {}), (status, {})]
    assert read_uri(f"{web.url}/a.png") == PNG
    assert web.asked("GET") == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_what_will_not_pass_is_not(web: Web, status: int) -> None:
    web.scripts["/a.png"] = [(status, {})]
    with pytest.raises(ImageError, match=rf"^the server says {status} "):
        read_uri(f"{web.url}/a.png")
    assert web.asked("GET") == 1


def test_after_a_few_attempts_it_is_a_failure(web: Web) -> None:
    web.scripts["/a.png"] = [(503, {})] * 9
    with pytest.raises(ImageError, match=r"the server says 503 .*\(4 attempts\)$"):
        read_uri(f"{web.url}/a.png")
    assert web.asked("GET") == 4


def test_waits_double_and_differ(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("cbir.sources.retry.time.sleep", waits.append)
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 1.0)
    for _ in range(2):
        web.delay_s = 0
        web.scripts["/a.png"] = [(500, {})] * 4
        with pytest.raises(ImageError):
            read_uri(f"{web.url}/a.png")
    asked = [w for w in waits if w > 0]
    assert len(asked) == 6
    for number, wait in enumerate(asked):
        assert 0.5 * 2 ** (number % 3) <= wait <= 2 ** (number % 3)
    assert asked[:3] != asked[3:]


def test_a_server_that_asks_for_time_gets_it(web: Web) -> None:
    web.scripts["/a.png"] = [(429, {"Retry-After": "1"})]
    assert read_uri(f"{web.url}/a.png") == PNG
    assert web.times[1] - web.times[0] >= 1
    in_an_hour = formatdate(time.time() + 3600, usegmt=True)
    for asked in ("3600", in_an_hour):
        web.scripts["/a.png"] = [(503, {"Retry-After": asked})]
        with pytest.raises(ImageError, match=r"the server says 503 .*, and to wait 3,[56]\d\d s$"):
            read_uri(f"{web.url}/a.png")


def test_a_body_that_breaks_off_is_read_again(web: Web) -> None:
    web.truncated["/a.png"] = 1
    assert read_uri(f"{web.url}/a.png") == PNG
    web.truncated["/a.png"] = 9
    with pytest.raises(ImageError, match="the connection was closed before all was sent"):
        read_uri(f"{web.url}/a.png")


@pytest.mark.parametrize("slow", ["delay_s", "drip_s"])
def test_a_slow_server_is_given_up(web: Web, slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_TIMEOUT", "1")
    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    setattr(web, slow, 1.5 if slow == "delay_s" else 0.05)
    started = time.monotonic()
    with pytest.raises(ImageError, match=r"within 1 s"):
        read_uri(f"{web.url}/a.png")
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("announced", [True, False])
def test_too_large_is_not_read(web: Web, announced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_MAX_DOWNLOAD", "1000")
    web.files["/big"] = bytes(5_000_000)
    web.announced = announced
    with pytest.raises(ImageError, match=r"above the limit of 0\.0 MB; CBIR_MAX_DOWNLOAD"):
        read_uri(f"{web.url}/big")
    assert web.asked("GET") == 1


def test_redirects_are_followed_and_end(web: Web) -> None:
    web.scripts["/old.png"] = [(302, {"Location": "/a.png"})]
    assert read_uri(f"{web.url}/old.png") == PNG
    web.scripts["/loop.png"] = [(302, {"Location": "/loop.png"})] * 9
    with pytest.raises(ImageError, match=r"^more than 5 redirects$"):
        read_uri(f"{web.url}/loop.png")
    web.scripts["/file.png"] = [(302, {"Location": "file:///etc/hostname"})]
    with pytest.raises(ImageError, match="no usable URL"):
        read_uri(f"{web.url}/file.png")


@pytest.mark.parametrize("url", ["http://", "http://[", "http://a b/", "https:///x", "http://\0/"])
def test_what_is_no_url_is_an_image_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.01)
    with pytest.raises(ImageError):
        read_uri(url)


def test_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.01)
    with pytest.raises(ImageError, match=r"cannot be reached: .*\(4 attempts\)"):
        read_uri("http://127.0.0.1:9/a.png")


def test_validators(web: Web) -> None:
    url = f"{web.url}/a.png"
    assert validator('"a"', None) == validator('W/"a"', None) != validator('"b"', None)
    web.validators = ("last-modified",)
    assert get(url).version.stamp == 1_795_420_800 * 10**9
    web.modified = formatdate(time.time() + 1, usegmt=True)
    assert get(url).version.stamp is None  # it may change once more within this second
    web.validators = ()
    assert get(url).version.stamp is None
    assert head(url) == ImageVersion(len(PNG))
    web.heads = False
    assert head(url) is None
    assert current_version(url) == ImageVersion(len(PNG))


def test_without_httpx_the_extra_is_named(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbir.sources.http._clients", [])
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(ImageError, match=r"pip install 'cbir\[remote\]'"):
        read_uri(f"{web.url}/a.png")

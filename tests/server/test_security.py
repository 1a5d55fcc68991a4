"""Who may ask what: safe before anybody has thought about it."""

import logging
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from factories import encode, picture
from serving import Serve
from terminal import cbir

from cbir.client import Client
from cbir.errors import CbirError
from cbir.server import fetch, guard
from cbir.server.fetch import is_public
from cbir.server.problem import Problem
from cbir.server.settings import Settings, check_exposure

TOKEN = "a long random text"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ADDED = {"image": ("a.png", encode(picture()))}
ASKED = {"X-Requested-With": "test"}


def test_others_cannot_reach_it_unasked(shop: Path) -> None:
    run = cbir("serve", "-g", shop, "--host", "0.0.0.0")
    assert run.code == 1
    assert "give --token TOKEN, or --insecure" in run.err
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"):
        check_exposure(host, Settings(), insecure=False)
    for host in ("0.0.0.0", "::", "192.168.1.5", "photos.example", "127.0.0.1.example"):
        with pytest.raises(CbirError, match="can be reached by others"):
            check_exposure(host, Settings(), insecure=False)
        check_exposure(host, Settings(), insecure=True)
        check_exposure(host, Settings(token=TOKEN), insecure=False)
    for token in (" ", "schlüssel"):
        with pytest.raises(CbirError, match="the token"):
            check_exposure("127.0.0.1", Settings(token=token), insecure=False)


def test_with_a_token_everything_needs_it(serve: Serve) -> None:
    http = serve(token=TOKEN)
    paths = ("gallery", "images", "images/1/similar", "images/1/file", "metrics", "fields")
    for path in paths:
        refused = http.get(f"/api/v1/{path}")
        assert (refused.status_code, "bearer" in refused.headers["www-authenticate"].lower()) == (
            401,
            True,
        )
        assert http.get(f"/api/v1/{path}", headers=BEARER).status_code == 200
    for wrong in ("Bearer wrong", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"):
        assert http.get("/api/v1/gallery", headers={"Authorization": wrong}).status_code == 401
    assert http.get(f"/api/v1/gallery?token={TOKEN}").status_code == 401
    assert http.get("/api/v1/health/live").status_code == 200
    assert http.get("/api/v1/health/ready").status_code == 200


def test_public_reads_leave_writes_to_the_token(serve: Serve) -> None:
    http = serve(token=TOKEN, public_reads=True)
    assert http.get("/api/v1/images/1/similar").status_code == 200
    assert http.post("/api/v1/search", json={"ids": [1]}).status_code == 200
    assert http.post("/api/v1/images", files=ADDED, headers=ASKED).status_code == 401
    assert http.patch("/api/v1/images/1", json={"metadata": {}}).status_code == 401
    assert http.delete("/api/v1/images/1", headers=ASKED).status_code == 401
    assert http.post("/api/v1/images", files=ADDED, headers=ASKED | BEARER).status_code == 201


def test_a_browser_keeps_no_token(serve: Serve) -> None:
    http = serve(token=TOKEN)
    assert http.post("/api/v1/session", json={"token": "wrong"}).status_code == 401
    signed = http.post("/api/v1/session", json={"token": TOKEN})
    cookie = signed.headers["set-cookie"]
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert http.get("/api/v1/gallery").status_code == 200
    http.delete("/api/v1/session", headers=ASKED)
    assert http.get("/api/v1/gallery").status_code == 401


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("cbir.server.guard.compare_digest", compare)
    assert guard.token_matches("é", "é")
    assert compared == ["é".encode()]


def test_a_name_that_was_rebound_is_refused(serve: Serve) -> None:
    http = serve(hosts=("photos.example",))
    own = ["localhost", "localhost:8000", "127.0.0.1:80", "[::1]:80", "photos.example"]
    foreign = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "x"]
    for path in ("/api/v1/gallery", "/api/v1/health/live"):
        for host in (*own, socket.gethostname()):
            assert http.get(path, headers={"Host": host}).status_code == 200
        for host in foreign:
            assert http.get(path, headers={"Host": host}).status_code == 400


def test_a_page_of_another_origin_cannot_write(http: httpx.Client) -> None:
    foreign = {"Origin": "https://evil.example"}
    for headers in ({}, foreign, foreign | ASKED, {"Sec-Fetch-Site": "cross-site"} | ASKED):
        assert http.post("/api/v1/images", files=ADDED, headers=headers).status_code == 403
    plain = {"Content-Type": "text/plain"}
    assert http.post("/api/v1/images", content=b"", headers=plain).status_code == 403
    own = {"Origin": str(http.base_url).rstrip("/")} | ASKED
    assert http.post("/api/v1/images", files=ADDED, headers=own).status_code == 201


def test_a_page_of_another_origin_reads_only_where_asked(serve: Serve) -> None:
    foreign = {"Origin": "https://shop.example"}
    assert serve().get("/api/v1/gallery", headers=foreign).status_code == 403
    allowed = serve(cors_origins=("https://shop.example",))
    answer = allowed.get("/api/v1/gallery", headers=foreign)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    other = allowed.get("/api/v1/gallery", headers={"Origin": "https://evil.example"})
    assert other.status_code == 403
    assert "access-control-allow-origin" not in other.headers
    assert "access-control-allow-origin" not in serve().get("/api/v1/gallery").headers


def test_headers_that_keep_a_browser_safe(http: httpx.Client) -> None:
    for path in ("/", "/api/v1/gallery", "/api/v1/images/1/file", "/api/v1/nothing"):
        headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
    assert "sandbox" in http.get("/api/v1/images/1/file").headers["content-security-policy"]


def test_only_the_page_s_own_files_are_sent(http: httpx.Client) -> None:
    for name in ("../guard.py", "%2e%2e/guard.py", "..%2f..%2fclient.py", "a%00", ".gitkeep", ""):
        assert http.get(f"/static/{name}").status_code == 404


def test_too_large_a_body_is_not_read(serve: Serve) -> None:
    http = serve(max_upload=100_000)
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    body = head + b"x" * 150_000
    for content in (body, (body[i : i + 10_000] for i in range(0, len(body), 10_000))):
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = http.post("/api/v1/search/upload", content=content, headers=headers)
        assert answer.status_code == 413
        assert "more than 0.1 MB" in answer.json()["detail"]


def test_logs_carry_no_tokens(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    http = serve(token=TOKEN)
    with caplog.at_level(logging.DEBUG, logger="cbir"):
        http.get(f"/api/v1/gallery?token={TOKEN}", headers=BEARER)
        http.post("/api/v1/session", json={"token": TOKEN})
    assert "GET /api/v1/gallery 200" in caplog.text
    assert TOKEN not in caplog.text
    assert "long" not in caplog.text


def test_paths_of_the_machine_stay_on_it(http: httpx.Client, shop: Path) -> None:
    for path in ("gallery", "images", "images/1", "images/1/similar", "images/99", "fields"):
        assert str(shop.parent) not in http.get(f"/api/v1/{path}").text


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_addresses_that_are_fetched_from(address: str, public: bool) -> None:
    assert is_public(address) == public


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1/a.jpg", "not an address of the open Internet"),
        ("http://localhost/a.jpg", "not an address of the open Internet"),
        ("http://[::ffff:127.0.0.1]/a.jpg", "not an address of the open Internet"),
        ("http://2130706433/a.jpg", "not an address of the open Internet"),
        ("http://169.254.169.254/latest/meta-data", "not an address of the open Internet"),
        ("http://93.184.216.34:22/", "port 22"),
        ("http://user@93.184.216.34/", "no user name"),
        ("file:///etc/passwd", "must be http"),
        ("gopher://93.184.216.34/", "must be http"),
        ("http://", "must be http"),
        ("http://[", "not a URL"),
    ],
)
def test_what_is_not_fetched(url: str, says: str) -> None:
    with pytest.raises(Problem, match=says):
        fetch.fetch(url, limit=1000)


def test_a_redirect_is_checked_like_an_address(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, web: str
) -> None:
    """One host is let through, as if it were public; what it leads on to is not."""
    port = int(web.rpartition(":")[2])
    monkeypatch.setattr(fetch, "PORTS", {"http": port})

    def resolve(host: str, *arguments: Any, **options: Any) -> Any:
        known = "127.0.0.1" if host == "public.example" else host
        return socket.getaddrinfo(known, *arguments, **options)

    monkeypatch.setattr("cbir.server.fetch.getaddrinfo", resolve)
    monkeypatch.setattr(fetch, "is_public", lambda ip: is_public(ip) or ip == "127.0.0.1")
    url = f"http://public.example:{port}"
    assert fetch.fetch(f"{url}/image", limit=100_000) == ADDED["image"][1]
    with pytest.raises(Problem, match="more than 3 times"):
        fetch.fetch(f"{url}/loop", limit=1000)
    with pytest.raises(Problem, match="more than"):
        fetch.fetch(f"{url}/image", limit=100)
    http = serve(allow_fetch=True)
    found = http.post("/api/v1/search", json={"urls": [f"{url}/image"]})
    assert found.status_code == 200, found.text
    with pytest.raises(Problem, match=r"10\.0\.0\.1 is not an address of the open Internet"):
        fetch.fetch(f"{url}/inside", limit=1000)


def test_the_client_shows_the_token(serve: Serve) -> None:
    address = str(serve(token=TOKEN).base_url)
    with Client(address, token=TOKEN) as client:
        assert client.gallery()["images"] == 4
    with Client(address) as client, pytest.raises(CbirError, match="needs the server's token"):
        client.gallery()

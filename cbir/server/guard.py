"""Checks every request first: host, origin, token and size of the body."""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from hashlib import sha256
from hmac import HMAC, compare_digest
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cbir.server.metrics import Metrics
from cbir.server.problem import Problem, problem_response
from cbir.server.settings import Settings

__all__ = ["COOKIE", "Guard", "session_cookie", "token_matches"]

log = logging.getLogger("cbir.server.access")

COOKIE = "cbir_session"

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
CONTENT_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""For content from others: a file that is no image must not run as a page."""

API = "/api/v1/"
OPEN = ("/api/v1/health/", "/api/v1/session", "/api/v1/openapi.json")
"""Paths that need no token: they reveal nothing about the gallery."""
READING_POSTS = ("/api/v1/search", "/api/v1/session")
"""Paths to which a POST writes nothing."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}
SIMPLE_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "")
"""Content types that a page of another origin can send without a preflight request."""


def token_matches(given: str, token: str) -> bool:
    """Whether a token is the server's, compared in constant time."""
    return compare_digest(given.encode(), token.encode())


def session_cookie(token: str) -> str:
    """The value of the cookie that a browser stores in the token's place."""
    return HMAC(token.encode(), b"cbir session", sha256).hexdigest()


class Guard:
    """ASGI middleware that checks requests, adds security headers, and counts and logs requests."""

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._hosts = {"localhost", socket.gethostname().lower()}
        self._hosts |= {host.lower() for host in settings.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_response(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(scope, MutableHeaders(scope=message))
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._check(scope, headers)
            await self._app(scope, self._bounded(headers, receive), send_response)
        except Problem as problem:
            response = problem_response(
                problem.status_code, problem.detail, headers=problem.headers
            )
            await response(scope, receive, send_response)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.request(route, method, status, seconds)
            # Without the query string, which may hold anything.
            log.info("%s %s %d %.1f ms", scope["method"], scope["path"], status, 1000 * seconds)

    def _check(self, scope: Scope, headers: Headers) -> None:
        path, method = scope["path"], scope["method"]
        if not self._is_known(headers.get("host", "")):
            raise Problem(400, "unknown host name; start the server with --allow-host NAME")
        if not path.startswith(API):
            return
        writes = method not in SAFE_METHODS and not path.startswith(READING_POSTS)
        self._check_origin(method, writes, headers)
        if not path.startswith(OPEN) and method != "OPTIONS":
            self._check_token(writes, headers)

    def _is_known(self, host: str) -> bool:
        """Whether a host is an IP address or a name of this server: others may be rebound to it."""
        try:
            name = _host_name(host)
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._hosts
        return True

    def _check_origin(self, method: str, writes: bool, headers: Headers) -> None:
        origin = headers.get("origin")
        allowed = origin is not None and origin in self._settings.cors_origins
        site = headers.get("sec-fetch-site")
        # A proxy may put its own name for the server into Host; what the browser says is certain.
        foreign = origin is not None and origin.partition("://")[2] != headers.get("host")
        foreign = foreign and site != "same-origin"
        crossing = site == "cross-site"
        navigates = headers.get("sec-fetch-mode") == "navigate" and method in SAFE_METHODS
        if (foreign or crossing) and not allowed and not navigates:
            raise Problem(
                403,
                "pages of another origin may not call it; see --cors-origin, and let a proxy pass "
                "the header Host on",
            )
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if writes and kind in SIMPLE_TYPES and "x-requested-with" not in headers:
            raise Problem(403, "a write needs the header X-Requested-With, with any value")

    def _check_token(self, writes: bool, headers: Headers) -> None:
        token = self._settings.token
        if token is None or (self._settings.public_reads and not writes):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token_matches(given.strip(), token):
            return
        if token_matches(_cookie(headers), session_cookie(token)):
            return
        what = "writing needs" if writes else "this needs"
        raise Problem(
            401, f"{what} the server's token", headers={"WWW-Authenticate": 'Bearer realm="cbir"'}
        )

    def _bounded(self, headers: Headers, receive: Receive) -> Receive:
        """`receive`, with a limit on the size of the body. Raises Problem (413)."""
        limit = self._settings.max_upload
        too_large = f"more than {limit / 1e6:g} MB; send a smaller image"
        if headers.get("content-length", "").isdecimal() and int(headers["content-length"]) > limit:
            raise Problem(413, too_large)
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise Problem(413, too_large)
            return message

        return bounded

    def _add_headers(self, scope: Scope, headers: MutableHeaders) -> None:
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["X-Frame-Options"] = "DENY"
        shared = bool(self._settings.cors_origins)
        headers["Cross-Origin-Resource-Policy"] = "cross-origin" if shared else "same-origin"
        of_page = not scope["path"].startswith(API)
        headers.setdefault("Content-Security-Policy", PAGE_POLICY if of_page else CONTENT_POLICY)
        headers.setdefault("Cache-Control", "no-store")


def _host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _cookie(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""

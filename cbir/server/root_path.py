"""The path below which a proxy serves the page and the API, as `/search`.

A proxy may strip the path from requests or keep it: both are served. Addresses in answers begin
with it; those of the page itself are relative.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cbir.errors import OptionError

__all__ = ["RootPath", "checked_root_path", "root_path"]

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_current: ContextVar[str] = ContextVar("root_path", default="")


def root_path() -> str:
    """The path of the request that is answered now; empty without a proxy's path."""
    return _current.get()


def checked_root_path(text: str) -> str:
    """A path without a slash at its end; empty for `/`. Raises OptionError."""
    path = text.rstrip("/")
    if path and not _PATH.fullmatch(path):
        raise OptionError(
            f"--root-path {text!r} is no path of a website; write it as /search, without the host"
        )
    return path


class RootPath:
    """ASGI middleware that takes the path off requests that a proxy passes on with it."""

    def __init__(self, app: ASGIApp, *, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _current.set(self._root)
            path: str = scope["path"]
            if path == self._root and scope["method"] in ("GET", "HEAD"):
                query = scope["query_string"].decode("latin-1")
                url = f"{self._root}/{f'?{query}' if query else ''}"
                await RedirectResponse(url, 308)(scope, receive, send)
                return
            if path.startswith(f"{self._root}/"):
                rest = path[len(self._root) :]
                scope = {**scope, "path": rest, "raw_path": rest.encode()}
        await self._app(scope, receive, send)

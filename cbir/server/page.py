"""The web page: static files of the package."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from cbir.server.problem import Problem
from cbir.server.root_path import root_path

__all__ = ["router"]

STATIC = Path(__file__).parent / "static"
SHARED = Path(str(files("cbir.pages"))) / "style.css"
"""The style sheet that the page shares with reports and contact sheets."""

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index(request: Request) -> Response:
    return _send(request, "index.html")


@router.get("/static/{name:path}")
async def static(request: Request, name: str) -> Response:
    return _send(request, name)


def _below(root: str, page: bytes) -> bytes:
    """The page with addresses that hold below a path, also where that has no slash at its end."""
    if not root:
        return page
    data = page.replace(b'"static/', f'"{root}/static/'.encode())
    return data.replace(b"<html ", f'<html data-root="{root}/" '.encode(), 1)


def _send(request: Request, name: str) -> Response:
    """A static file; browsers ask each time whether it has changed."""
    path = SHARED if name == SHARED.name else STATIC / name
    kind = CONTENT_TYPES.get(path.suffix)
    try:
        inside = path == SHARED or path.resolve().is_relative_to(STATIC.resolve())
        data = path.read_bytes() if kind and inside else None
        if data is not None and name == "index.html":
            data = _below(root_path(), data)
    except (OSError, ValueError):  # no such file; a name that cannot be one
        data = None
    if data is None:
        raise Problem(404, "there is no such page")
    tag = f'"{sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Type": kind or ""}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers)

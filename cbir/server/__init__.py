"""The HTTP API: `create_app(Settings(gallery))` is an ASGI application.

Importing this package loads neither FastAPI nor a network; `cbir serve` runs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbir.server.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["Settings", "create_app"]


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application that serves one gallery, opened when the server starts.

    Raises MissingExtraError without the extra `server`.
    """
    from cbir.errors import MissingExtraError

    try:
        from cbir.server.app import build_app
    except ImportError as error:
        raise MissingExtraError(
            f"the server needs {error.name}; pip install 'cbir[server]' brings it"
        ) from error
    return build_app(settings)

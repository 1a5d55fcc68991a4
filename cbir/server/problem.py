"""Error responses as `application/problem+json` (RFC 9457), with a status for each error."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cbir.errors import (
    CbirError,
    FilterError,
    GalleryReadOnlyError,
    GalleryUnavailableError,
    ImageError,
    ImageFormatError,
    ImageTooLargeError,
    MissingExtraError,
    NotFoundError,
    OptionError,
)

__all__ = [
    "REQUEST_FAULTS",
    "Problem",
    "ProblemDetails",
    "busy",
    "documented",
    "install",
    "problem_response",
]

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

REQUEST_FAULTS: dict[type[CbirError], int] = {
    NotFoundError: 404,
    MissingExtraError: 409,
    GalleryReadOnlyError: 409,
    ImageTooLargeError: 413,
    ImageFormatError: 415,
    ImageError: 422,
    FilterError: 422,
    OptionError: 422,
}
"""HTTP status of errors that the request causes. A subclass has the status of its nearest base.

The response has their public message. Every other error is the server's: it is logged, and the
response only says that it happened (500), or when to try again (503).
"""

RETRY_AFTER_S = 5
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
SERVER_ERROR = "the server made a mistake; its log has the details"

DESCRIPTIONS = {
    400: "The request cannot be read, or names a host that is not this server",
    401: "The token is missing or wrong",
    403: "Not allowed from this origin, or not without the header X-Requested-With",
    404: "There is no such image",
    409: "The gallery has changed meanwhile or can only be read, or this server lacks an optional "
    "package",
    413: "More bytes, or more pixels, than the server accepts",
    415: "Not an image in a known format, or the wrong content type",
    422: "A parameter is invalid",
    503: "Too busy, or the gallery is locked or its disk full; try again after Retry-After",
}


class ProblemDetails(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = Field(
        default="about:blank",
        description="`urn:cbir:` and the name of the library's error, where there is one.",
    )
    title: str
    status: int
    detail: str = Field(description="What went wrong, why, and what to do next.")
    errors: list[dict[str, Any]] = Field(
        default=[], description="Each invalid parameter: where it is, and the reason."
    )


class Problem(HTTPException):
    """An error response, raised anywhere below a route."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))


def busy(detail: str, *, seconds: int = 1) -> Problem:
    """A 503 with the seconds after which to try again."""
    return Problem(503, detail, headers={"Retry-After": str(seconds)})


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of the errors of a route: these, and those of every route."""
    return {
        status: {
            "description": DESCRIPTIONS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in sorted({400, 401, 403, 503, *statuses})
    }


def problem_response(
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, Any]] | None = None,
    kind: str = "about:blank",
) -> Response:
    """A response with a body of ProblemDetails."""
    title = HTTPStatus(status).phrase
    body = ProblemDetails(type=kind, title=title, status=status, detail=detail, errors=errors or [])
    content = body.model_dump_json(exclude_defaults=True)
    return Response(content, status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make the application respond to every error with a problem."""
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    # Not as a handler of `Exception`: Starlette runs that outside of all other middleware, so that
    # the response would lack the security headers.
    app.add_middleware(_Problems)


class _Problems:
    """ASGI middleware that turns any exception into a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except HTTPException:
            raise
        except Exception as error:
            if scope["type"] != "http" or started:
                raise
            what = f"{scope['method']} {scope['path']}"
            await _problem_of(error, what)(scope, receive, send)


def _problem_of(error: Exception, request: str) -> Response:
    """The problem for an exception; one that the request did not cause is logged."""
    if isinstance(error, CbirError):
        kind = f"urn:cbir:{type(error).__name__}"
        for base in type(error).__mro__:
            if base in REQUEST_FAULTS:
                return problem_response(REQUEST_FAULTS[base], error.public, kind=kind)
        if isinstance(error, GalleryUnavailableError):
            return _unavailable(error, error.public, request, kind=kind)
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return _unavailable(error, error.strerror or "its disk is full", request)
    log.error("%s failed", request, exc_info=error)
    return problem_response(500, SERVER_ERROR)


def _unavailable(
    error: Exception, reason: str, request: str, *, kind: str = "about:blank"
) -> Response:
    log.warning("%s: %s", request, error)
    return problem_response(
        503,
        f"the gallery cannot be used now: {reason}",
        headers={"Retry-After": str(RETRY_AFTER_S)},
        kind=kind,
    )


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if detail == HTTPStatus(error.status_code).phrase:  # the framework's own words
        detail = f"{request.method} {request.url.path}: {detail.lower()}"
    return problem_response(error.status_code, detail, headers=error.headers)


async def _validation_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes) and error.body:
        return problem_response(415, "the body must be JSON; set the header Content-Type")
    errors = [
        {"where": [str(part) for part in invalid["loc"]], "reason": invalid["msg"]}
        for invalid in error.errors()[:20]
    ]
    shown = "; ".join(f"{' '.join(item['where'][1:])}: {item['reason']}" for item in errors[:3])
    return problem_response(422, shown or "a parameter is invalid", errors=errors)

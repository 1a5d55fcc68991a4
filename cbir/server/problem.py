"""Every error as `application/problem+json` (RFC 9457), whoever raises it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cbir.errors import (
    CbirError,
    FilterError,
    GalleryError,
    ImageError,
    ImageTooLargeError,
    MissingExtraError,
    NotFoundError,
)

__all__ = ["Problem", "ProblemDetails", "busy", "documented", "install", "problem_response"]

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

MEANINGS = {
    400: "The request cannot be read, or names a host that is not this one",
    401: "The token is missing or wrong",
    403: "Not allowed from there, or not in this way",
    404: "There is no such image",
    409: "The gallery does not have what is asked of it",
    413: "More bytes, or more pixels, than the server takes",
    415: "Not an image in a known format, or the wrong content type",
    422: "A parameter makes no sense",
    503: "Too busy, or the gallery cannot be read or written now; try again after Retry-After",
}


class ProblemDetails(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field(
        default="about:blank", description="`urn:cbir:` and the library's error where it is one."
    )
    title: str
    status: int
    detail: str = Field(description="The thing, the reason and the next step.")
    errors: list[dict[str, Any]] = Field(
        default=[], description="Of a parameter that makes no sense: where it is, and why."
    )


class Problem(HTTPException):
    """An answer that is an error. FastAPI lets it pass wherever it is raised."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))


def busy(detail: str, *, seconds: int = 1) -> Problem:
    """A 503 that says when to come again."""
    return Problem(503, detail, headers={"Retry-After": str(seconds)})


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route for its OpenAPI description, and those of any route."""
    return {
        status: {
            "description": MEANINGS[status],
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
    title = HTTPStatus(status).phrase
    body = ProblemDetails(type=kind, title=title, status=status, detail=detail, errors=errors or [])
    content = body.model_dump_json(exclude_defaults=True)
    return Response(content, status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI, gallery: Path) -> None:
    """Have the application answer every error as a problem.

    What it says never names the gallery's path: that is this machine's own affair.
    """

    def of(error: CbirError) -> Response:
        return _of(error, str(error).replace(str(gallery), "the gallery"))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        detail = str(error.detail)
        if detail == HTTPStatus(error.status_code).phrase:  # the framework's own words
            detail = f"{request.method} {request.url.path}: {detail.lower()}"
        return problem_response(error.status_code, detail, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def _validation(_request: Request, error: RequestValidationError) -> Response:
        if isinstance(error.body, bytes) and error.body:
            return problem_response(415, "the body must be JSON; say so by its content type")
        errors = [
            {"where": [str(part) for part in one["loc"]], "reason": one["msg"]}
            for one in error.errors()[:20]
        ]
        shown = "; ".join(f"{' '.join(one['where'][1:])}: {one['reason']}" for one in errors[:3])
        return problem_response(422, shown or "a parameter makes no sense", errors=errors)

    @app.exception_handler(CbirError)
    async def _cbir(_request: Request, error: CbirError) -> Response:
        return of(error)

    @app.exception_handler(ValueError)
    async def _value(_request: Request, error: ValueError) -> Response:
        return problem_response(422, str(error))

    @app.exception_handler(OSError)
    async def _system(_request: Request, error: OSError) -> Response:
        log.warning("%s", error)
        reason = error.strerror or "a system error"
        return of(GalleryError(f"the gallery: {reason}"))

    @app.exception_handler(Exception)  # the framework logs it
    async def _unforeseen(_request: Request, _error: Exception) -> Response:
        return problem_response(500, "a mistake of the server's; its log says more")

    @app.exception_handler(SQLAlchemyError)
    async def _sql(_request: Request, error: SQLAlchemyError) -> Response:
        log.error("the catalogue", exc_info=error)
        return of(GalleryError("the gallery: its catalogue cannot be used"))


def _of(error: CbirError, detail: str) -> Response:
    status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 422)
    headers = {}
    if isinstance(error, ImageError) and ("known format" in detail or "empty file" in detail):
        status = 415
    if status == 503:
        log.warning("%s", error)
        # What stands before the reason is a path of this machine, of no use to a caller.
        detail = f"the gallery cannot be used now: {detail.partition(': ')[2] or 'see the log'}"
        headers = {"Retry-After": "5"}
    kind = f"urn:cbir:{type(error).__name__}"
    return problem_response(status, detail, headers=headers, kind=kind)


_STATUS: dict[type[CbirError], int] = {
    NotFoundError: 404,
    ImageTooLargeError: 413,
    ImageError: 422,
    FilterError: 422,
    MissingExtraError: 409,
    GalleryError: 503,
}

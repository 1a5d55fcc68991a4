"""Health checks, metrics, and signing in with the token."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from cbir.server.guard import COOKIE, session_cookie, token_matches
from cbir.server.metrics import CONTENT_TYPE
from cbir.server.problem import Problem, documented
from cbir.server.root_path import root_path
from cbir.server.routes.responses import json_response
from cbir.server.schemas.gallery import HealthResponse, SignInRequest
from cbir.server.service import service_of

router = APIRouter(tags=["server"])


@router.get("/health/live", response_model=HealthResponse, responses=documented())
async def live() -> Response:
    """The process is running."""
    return json_response(HealthResponse(status="ok"))


@router.get("/health/ready", response_model=HealthResponse, responses=documented())
async def ready(request: Request) -> Response:
    """The gallery can be searched, by its index or, while that is being built, by a scan."""
    service = service_of(request)
    count = await service.quick.run(service.gallery.count)
    building = "" if service.refresher.ready.is_set() else "; its index is being built"
    return json_response(HealthResponse(status="ok", detail=f"{count:,} images{building}"))


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented()},
)
async def metrics(request: Request) -> Response:
    """Counts and times of requests, in the text format of Prometheus."""
    service = service_of(request)
    text = await service.quick.run(service.metrics.text)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


@router.post("/session", status_code=204, responses=documented(422))
async def sign_in(request: Request, session: SignInRequest) -> Response:
    """Exchange the token for a cookie, which scripts in the browser cannot read."""
    token = service_of(request).settings.token
    response = Response(status_code=204)
    if token is None:
        return response
    if not token_matches(session.token, token):
        raise Problem(401, "this is not the server's token")
    response.set_cookie(
        COOKIE,
        session_cookie(token),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path=f"{root_path()}/api/v1",
    )
    return response


@router.delete("/session", status_code=204, responses=documented())
async def sign_out() -> Response:
    """Delete the cookie."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path=f"{root_path()}/api/v1", httponly=True, samesite="strict")
    return response

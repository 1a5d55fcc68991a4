"""How routes answer."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.responses import Response

__all__ = ["json_response"]


def json_response(model: BaseModel, *, status: int = 200) -> Response:
    """A model as it is: it was built from checked values, and checking again costs time."""
    return Response(model.model_dump_json(), status, media_type="application/json")

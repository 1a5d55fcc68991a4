"""How routes answer."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.responses import Response

__all__ = ["as_json"]


def as_json(model: BaseModel, *, status: int = 200) -> Response:
    """A model as it is: it was built from checked values, and checking again costs time."""
    return Response(model.model_dump_json(), status, media_type="application/json")

"""Responses with a JSON body."""

from __future__ import annotations

import json

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError
from starlette.responses import Response

__all__ = ["json_response"]


def json_response(model: BaseModel, *, status: int = 200) -> Response:
    """A response with a model as its body.

    The model is not validated once more, as FastAPI would: it was built from checked values, and
    validation costs time.
    """
    try:
        content = model.model_dump_json()
    except PydanticSerializationError:
        # Metadata and names of files may hold text that is not valid Unicode: written as escapes.
        content = json.dumps(model.model_dump())
    return Response(content, status, media_type="application/json")

"""Options in the query of a URL, by one pydantic model.

FastAPI can do this as well, and takes a fifth of the time of a search by id for it.
"""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

__all__ = ["described", "options_of"]

M = TypeVar("M", bound=BaseModel)

_LISTS: dict[type[BaseModel], frozenset[str]] = {}


def options_of(request: Request, model: type[M]) -> M:
    """What the URL says. Raises RequestValidationError."""
    if model not in _LISTS:
        properties = model.model_json_schema()["properties"]
        _LISTS[model] = frozenset(n for n, one in properties.items() if one.get("type") == "array")
    given = request.query_params
    values = {name: given.getlist(name) if name in _LISTS[model] else given[name] for name in given}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors = [{**one, "loc": ("query", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(errors) from error


def described(model: type[BaseModel]) -> dict[str, Any]:
    """The same for the OpenAPI description of a route: its `openapi_extra`."""
    schema = model.model_json_schema()
    parameters = []
    for name, one in schema["properties"].items():
        shown = {key: value for key, value in one.items() if key not in ("title", "description")}
        for part in (shown, *shown.get("anyOf", ())):
            part.pop("contentSchema", None)  # JSON within a text
        if "anyOf" in shown:  # a parameter that is left out is none
            (kept,) = (part for part in shown.pop("anyOf") if part.get("type") != "null")
            shown = {key: value for key, value in shown.items() if key != "default"} | kept
        parameter = {"name": name, "in": "query", "schema": shown, "required": False}
        if "description" in one:
            parameter["description"] = one["description"]
        parameters.append(parameter)
    return {"parameters": parameters}

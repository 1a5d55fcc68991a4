"""Parses options in the query string of a URL by a pydantic model.

FastAPI's own way takes a fifth of the time of a search by id.
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
    """The options in the query string. Raises RequestValidationError."""
    if model not in _LISTS:
        properties = model.model_json_schema()["properties"]
        _LISTS[model] = frozenset(n for n, p in properties.items() if p.get("type") == "array")
    given = request.query_params
    values = {name: given.getlist(name) if name in _LISTS[model] else given[name] for name in given}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors = [{**each, "loc": ("query", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(errors) from error


def described(model: type[BaseModel]) -> dict[str, Any]:
    """The parameters of a model in the OpenAPI description of a route: its `openapi_extra`."""
    schema = model.model_json_schema()
    parameters = []
    for name, field in schema["properties"].items():
        shown = {key: value for key, value in field.items() if key not in ("title", "description")}
        for part in (shown, *shown.get("anyOf", ())):
            part.pop("contentSchema", None)  # JSON within a text
        if "anyOf" in shown:  # null: the parameter is left out
            (not_null,) = (part for part in shown.pop("anyOf") if part.get("type") != "null")
            shown = {key: value for key, value in shown.items() if key != "default"} | not_null
        parameter = {"name": name, "in": "query", "schema": shown, "required": False}
        if "description" in field:
            parameter["description"] = field["description"]
        parameters.append(parameter)
    return {"parameters": parameters}

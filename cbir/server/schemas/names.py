"""Names of rerankers and local features in requests, as their registries have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from cbir.descriptors import DESCRIPTORS
from cbir.registry import did_you_mean
from cbir.reranking import RERANKERS

__all__ = ["LocalFeaturesName", "RerankerName"]


@dataclass(frozen=True)
class OneOf:
    """Restricts a text to the names of a registry, also to those that are registered later."""

    what: str
    names: Callable[[], Iterable[str]]

    def check(self, name: str) -> str:
        names = list(self.names())
        if name not in names:
            hint = did_you_mean(name, names)
            reason = f"no {self.what} {name!r}; {hint}there are {', '.join(names)}"
            # A ValueError would be reported with "Value error, " before it.
            raise PydanticCustomError("unknown_name", "{reason}", {"reason": reason})
        return name

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self.names())}


RerankerName: TypeAlias = Annotated[str, OneOf("reranker", lambda: RERANKERS)]
LocalFeaturesName: TypeAlias = Annotated[
    str,
    OneOf(
        "local features",
        lambda: [info.name for info in DESCRIPTORS.values() if info.local_features],
    ),
]

"""The models that all requests and responses build on, and an image."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import Self

from cbir.server.root_path import root_path
from cbir.types import ImageRecord

MAX_ID = 2**63 - 1

ImageId: TypeAlias = Annotated[int, Field(ge=1, le=MAX_ID)]
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=500)]
Fraction: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


class RequestModel(BaseModel):
    """Base of all requests: an unknown field is an error. Docstrings describe the fields."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ResponseModel(BaseModel):
    """Base of all responses. Docstrings describe the fields."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """Create a response from values for all fields, in order, without validation.

        The response of a search has thirty such models; pydantic's own method takes three times as
        long.
        """
        model = cls.__new__(cls)
        object.__setattr__(model, "__dict__", values)
        object.__setattr__(model, "__pydantic_fields_set__", _fields_set or set(values))
        object.__setattr__(model, "__pydantic_extra__", None)
        object.__setattr__(model, "__pydantic_private__", None)
        return model


class Image(ResponseModel):
    id: int
    name: str
    key: str
    """The key of the image in its source; empty where that is a path on the server."""
    width: int
    height: int
    """In pixels of the upright image."""
    size: int
    """Bytes of the file."""
    metadata: dict[str, Any]
    content: str
    """Hash of the file; it is the `v=` of the addresses below, which may be cached forever."""
    file: str
    """Address of the file."""
    thumbnail: str
    """Address of a JPEG of at most 320 pixels; `size=` may also be 160, 640 or 1280."""

    @classmethod
    def of(cls, record: ImageRecord) -> Image:
        place = f"{root_path()}/api/v1/images/{record.id}"
        return cls.model_construct(
            id=record.id,
            name=record.name,
            # A path on this machine stays private.
            key="" if record.key == record.uri else record.key,
            width=record.width,
            height=record.height,
            size=record.size,
            metadata=dict(record.metadata),
            content=record.content,
            file=f"{place}/file?v={record.content}",
            thumbnail=f"{place}/thumbnail?size=320&v={record.content}",
        )

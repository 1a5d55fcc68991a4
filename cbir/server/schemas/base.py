"""What all schemas share: limits, and an image."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import Self

from cbir.types import ImageRecord

MAX_ID = 2**63 - 1

ImageId: TypeAlias = Annotated[int, Field(ge=1, le=MAX_ID)]
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=500)]
Fraction: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


class RequestModel(BaseModel):
    """A request; what it does not know is an error, not silence."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ResponseModel(BaseModel):
    """An answer; its fields are described by their docstrings."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """An answer of values that need no checking, of every field, in their order.

        A search has thirty of these in its answer, and pydantic's own takes three times as long.
        """
        made = cls.__new__(cls)
        object.__setattr__(made, "__dict__", values)
        object.__setattr__(made, "__pydantic_fields_set__", _fields_set or set(values))
        object.__setattr__(made, "__pydantic_extra__", None)
        object.__setattr__(made, "__pydantic_private__", None)
        return made


class Image(ResponseModel):
    id: int
    name: str
    key: str
    """The value by which its source identifies it; empty where that is a path."""
    width: int
    height: int
    """Size in pixels, upright."""
    size: int
    """Bytes of the encoded file."""
    metadata: dict[str, Any]
    content: str
    """Changes with the image's content: `?v=` of the addresses below."""
    file: str
    """Address of the encoded image."""
    thumbnail: str
    """Address of a JPEG of at most 320 pixels; `size=` asks for 160, 640 or 1280."""

    @classmethod
    def of(cls, record: ImageRecord) -> Image:
        place = f"/api/v1/images/{record.id}"
        return cls.model_construct(
            id=record.id,
            name=record.name,
            # A path of this machine is nobody's business.
            key="" if record.key == record.uri else record.key,
            width=record.width,
            height=record.height,
            size=record.size,
            metadata=dict(record.metadata),
            content=record.content,
            file=f"{place}/file?v={record.content}",
            thumbnail=f"{place}/thumbnail?size=320&v={record.content}",
        )

"""What all of the contract's models share: strictness, spelling, field types, and the envelope of errors."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

__all__ = [
    "PLAIN_PATTERN",
    "Answer",
    "ErrorDetail",
    "ErrorEnvelope",
    "Identifier",
    "Language",
    "RequestModel",
    "RoleName",
    "Time",
    "iso_utc",
    "plain",
]

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}")
PLAIN_PATTERN = r"^[^\u0000-\u001F\u007F-\u009F\u2028\u2029]*$"
"""What :func:`plain` takes, for JSON schema; pydantic's own check of a pattern would have other words for it."""
_CONTROL = frozenset({"Cc", "Zl", "Zp"})


def iso_utc(moment: datetime) -> str:
    """``2021-11-23T12:13:14.555Z``, the API's form of a time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def plain(value: str) -> str:
    """``value``, if nothing in it would break a line of a log or a table.

    Raises:
        ValueError: it holds control characters.
    """
    if any(unicodedata.category(char) in _CONTROL for char in value):
        msg = "must not contain control characters"
        raise ValueError(msg)
    return value


def _canonical_language(value: str) -> str:
    """RFC 5646 §2.1.1: ``en-us`` → ``en-US``, ``zh-hant-tw`` → ``zh-Hant-TW``."""
    if not _LANGUAGE.fullmatch(value):
        msg = "must be a language tag such as en-US"
        raise ValueError(msg)
    first, *rest = value.lower().split("-")
    return "-".join([first, *({2: str.upper, 4: str.title}.get(len(part), str)(part) for part in rest)])


Identifier = Annotated[
    str, Field(min_length=1, max_length=255, json_schema_extra={"pattern": PLAIN_PATTERN}), AfterValidator(plain)
]
Language = Annotated[
    str,
    Field(max_length=35, json_schema_extra={"pattern": f"^{_LANGUAGE.pattern}$"}),
    AfterValidator(_canonical_language),
]
Time = Annotated[datetime, PlainSerializer(iso_utc, return_type=str)]
RoleName = Literal["customer", "agent"]


class RequestModel(BaseModel):
    """A request's body: strict, tolerant of unknown fields, ``null`` for "not given"."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, dict) else data

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema, which takes null for each field that need not be given."""
        schema = handler(core_schema)
        model = handler.resolve_ref_schema(schema)
        for name, field in model.get("properties", {}).items():
            if name in model.get("required", ()) or "anyOf" in field:
                continue
            kept = {key: field.pop(key) for key in ("default", "description", "title") if key in field}
            model["properties"][name] = {"anyOf": [field, {"type": "null"}], **kept}
        return schema


class Answer(BaseModel):
    """An answer's body."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class ErrorDetail(Answer):
    """What went wrong."""

    request_id: str
    message: str
    code: str = Field(description="HTTP status, a hyphen, a subcode: 400-201")


class ErrorEnvelope(Answer):
    """Every error of the API."""

    error: ErrorDetail

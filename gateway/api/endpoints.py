"""An endpoint as data: the router and ``/openapi.json`` are built from the same table, so that they agree."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from gateway.api.auth import Protected
from gateway.api.envelope import Handler

__all__ = ["Endpoint", "Parameter"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the path or the query; ``schema`` is JSON schema."""

    name: str
    place: str
    description: str
    schema: dict[str, object]
    required: bool = True
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation.

    ``status`` is that of a good answer, which ``description`` tells of; ``also`` are others. ``response`` is None where
    the answer is no JSON of ours; ``media_type`` then names it. ``errors`` are the statuses beyond 401, 500 and 503,
    which every protected endpoint has.
    """

    method: str
    path: str
    operation_id: str
    tag: str
    summary: str
    handler: Handler | Protected
    response: type[BaseModel] | None
    description: str
    request: type[BaseModel] | None = None
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()
    media_type: str = "application/json"
    also: tuple[tuple[int, str], ...] = ()
    status: int = 200

    @property
    def protected(self) -> bool:
        """Whether it wants the two headers."""
        return isinstance(self.handler, Protected)

    @property
    def route_handler(self) -> Handler:
        """What the router calls."""
        return self.handler.answer if isinstance(self.handler, Protected) else self.handler

    @property
    def statuses(self) -> tuple[int, ...]:
        """The error statuses it may answer with."""
        common = (401, 500, 503) if self.protected else ()
        return tuple(sorted({*self.errors, *common}))

"""What the API stands on, handed over once by whoever composes the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gateway.calls.configuration import Configurations
from gateway.calls.model import CallControl
from gateway.config import Settings
from gateway.export.catalogue import Catalogue
from gateway.store.configuration import NotAdded
from gateway.store.records import (
    CallRecord,
    ConfigurationRecord,
    DeliveryRecord,
    MessageRecord,
    PhraseRecord,
    Principal,
)

__all__ = ["CONTEXT", "ApiContext", "ApiStore", "HealthReport", "StreamUrls"]


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Whether new work is taken, and what each part says of itself: ``"ok"``, or a few words of what is wrong."""

    ready: bool
    checks: Mapping[str, str]


class ApiStore(Protocol):
    """What the API asks of the store. Every method may raise :class:`~gateway.errors.StoreError`."""

    async def authenticate(self, api_id: str, api_secret: str) -> Principal | None:
        """Who the key belongs to; None if there is no such active key."""

    async def messages(self, account_id: str, guid: str, limit: int = 1000) -> list[MessageRecord] | None:
        """The call's first messages by start and sequence; None if the account has no such call."""

    async def calls(self, account_id: str, limit: int) -> list[CallRecord]:
        """The account's newest sessions, newest first; a call may have several."""

    async def call(self, account_id: str, guid: str) -> CallRecord | None:
        """The newest session of one call of the account."""

    async def delivery_failures(self, account_id: str, guid: str, limit: int) -> list[DeliveryRecord]:
        """The call's newest posts that did not reach their target."""

    async def configuration(self, account_id: str) -> ConfigurationRecord:
        """All that the account has configured."""

    async def set_redaction(self, account_id: str, entity: str, active: bool) -> None:
        """Turn redaction of an entity on or off."""

    async def add_phrase(
        self, account_id: str, phrase: str, sounds_like: Sequence[str], *, limit: int
    ) -> PhraseRecord | NotAdded:
        """Add a phrase; not if the account has it (in any case), or has ``limit`` phrases."""

    async def remove_phrase(self, account_id: str, phrase_id: str) -> PhraseRecord | None:
        """Remove a phrase; None if the account has none of that id."""

    async def ping(self) -> None:
        """Return if the database answers."""


class StreamUrls(Protocol):
    """Makes stream URLs; implemented by :class:`gateway.server.tokens.StreamTokens`."""

    def url(self, base_wss: str, account_id: str, key_id: str) -> str:
        """A URL for Twilio to connect to, with a token in it."""


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The API's collaborators.

    ``public_url`` gives the ``wss://`` base of stream URLs; ``health`` must be quick and never raise;
    ``configurations`` is told of every change of an account's configuration; ``feeds`` is None where
    none are built.
    """

    control: CallControl
    store: ApiStore
    tokens: StreamUrls
    public_url: Callable[[], str]
    health: Callable[[], HealthReport]
    settings: Settings
    configurations: Configurations
    feeds: Catalogue | None = None


CONTEXT = web.AppKey("api_context", ApiContext)

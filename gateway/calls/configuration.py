"""What accounts have configured, at hand for a start: which entities are hidden, and the custom vocabulary."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from gateway.errors import StoreError
from gateway.speech.vocabulary import Phrase, Vocabulary
from gateway.store.records import ConfigurationRecord
from gateway.text.policy import DEFAULT, ENTITIES, Policy

__all__ = ["RELOAD_S", "AccountConfiguration", "ConfigurationStore", "Configurations", "policy_of"]

log = structlog.get_logger(__name__)

RELOAD_S = 30.0
"""How often changes of other processes are looked for; they apply within the minute that is documented."""

_ANSWER_S = 10.0
"""How long the database may take for a reading; later its last one holds."""


@dataclass(frozen=True, slots=True)
class AccountConfiguration:
    """What holds for the starts of one account."""

    policy: Policy = DEFAULT
    vocabulary: Vocabulary = ()


_NOTHING_SET = AccountConfiguration()


class ConfigurationStore(Protocol):
    """What is asked of :class:`gateway.store.store.Store`; both raise :class:`~gateway.errors.StoreError`."""

    async def configuration_revisions(self) -> dict[str, int]:
        """A number for each account that has configured anything; another one after each change."""

    async def configuration(self, account_id: str) -> ConfigurationRecord:
        """All that the account has configured."""


def policy_of(redaction: Mapping[str, bool]) -> Policy:
    """What is hidden for an account that turned these entities on or off; those that are not known are ignored."""
    return Policy(frozenset(one for one, info in ENTITIES.items() if redaction.get(one.value, info.default)))


class Configurations:
    """Every account's configuration, in memory: a start never waits for the database.

    :meth:`load` reads all at boot. A change through this process's API is followed by :meth:`refresh`; :meth:`run`
    finds those of other processes. While the database does not answer, what was read last holds.
    """

    def __init__(self, store: ConfigurationStore) -> None:
        self._store = store
        self._known: dict[str, AccountConfiguration] = {}
        self._revisions: dict[str, int] = {}
        # One reading at a time: an older one must not come in after a newer one.
        self._reading = asyncio.Lock()

    def of(self, account_id: str) -> AccountConfiguration:
        """What holds for a start of the account now."""
        return self._known.get(account_id, _NOTHING_SET)

    async def load(self) -> None:
        """Read what has changed since the last time.

        Raises:
            StoreError: the database does not answer; what is known stays.
        """
        async with self._reading:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    for account_id, revision in (await self._store.configuration_revisions()).items():
                        if self._revisions.get(account_id) != revision:
                            await self._read(account_id)
            except TimeoutError:
                msg = f"the database does not answer in {_ANSWER_S:.0f} s"
                raise StoreError(msg) from None

    async def refresh(self, account_id: str) -> None:
        """The account's configuration was changed, and committed. Never fails: the next reading finds it, too."""
        try:
            async with self._reading, asyncio.timeout(_ANSWER_S):
                await self._read(account_id)
        except Exception as error:
            log.warning("a change of configuration is applied later", reason=type(error).__name__)

    async def run(self) -> None:
        """Look for changes of other processes, for ever."""
        while True:
            await asyncio.sleep(RELOAD_S)
            try:
                await self.load()
            except StoreError as error:
                log.warning("configurations could not be read; the last ones hold", reason=str(error))
            except Exception as error:
                log.warning("configurations could not be read; the last ones hold", reason=type(error).__name__)

    async def _read(self, account_id: str) -> None:
        record = await self._store.configuration(account_id)
        vocabulary = tuple(Phrase(one.phrase, one.sounds_like) for one in record.phrases)
        self._known[account_id] = AccountConfiguration(policy_of(record.redaction), vocabulary)
        self._revisions[account_id] = record.revision

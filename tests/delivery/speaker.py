"""A process that delivers utterances until it is killed: ``python -m tests.delivery.speaker DB ACCOUNT URL [MODE]``.

Mode ``outbox``: at least once.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

from gateway.config import WebhookSettings
from gateway.delivery.backoff import Backoff
from gateway.delivery.delivery import Delivery, Transcript, record_outcomes
from gateway.delivery.outbox import Outbox
from gateway.delivery.webhook import WebhookPublisher
from gateway.ids import new_ulid
from gateway.participants import RedactionOutput, Role
from gateway.store.records import CallRecord
from gateway.store.store import Store
from gateway.store.writer import Writer
from gateway.text.redacted import Redacted


class Plain:
    def redact(self, text: str, role: Role) -> Redacted:
        return Redacted(text)

    def preview(self, text: str, role: Role) -> str:
        return text


async def _speak(database_url: str, account_id: str, webhook_url: str, mode: str = "") -> None:
    store = await Store.open(database_url, key=bytes(32))
    writer = Writer(store)
    settings = WebhookSettings.model_validate({"url": webhook_url})
    publisher: WebhookPublisher | Outbox
    if mode == "outbox":
        publisher = Outbox(settings, store, writer, backoff=Backoff(0.01, 0.02))
        publisher.start()
    else:
        publisher = WebhookPublisher(settings, on_outcome=record_outcomes(writer))
    delivery = Delivery(writer, publisher)
    now = datetime.now(UTC)
    calls = [
        delivery.open(
            CallRecord(new_ulid(), account_id, f"CA{number}", "en-US", "c", "a", now),
            RedactionOutput.REDACTED,
            Plain(),
        )
        for number in range(4)
    ]
    turn = 0
    while True:
        for call in calls:
            text = f"{call.call.guid} turn {turn}"
            call.deliver(call.endpoint(), Transcript(Role.AGENT, "a", "s", turn, turn + 1, text, now))
        turn += 1
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    asyncio.run(_speak(*sys.argv[1:]))

"""Posts on their way to the webhook, and what becomes of their texts while they wait."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from gateway.delivery.payload import revised_body

__all__ = ["Post", "Unsent"]

# Texts redacted anew that are remembered, for posts that are being read back from the store at that moment.
_REMEMBERED = 1024


@dataclass(slots=True, eq=False, weakref_slot=True)
class Post:
    """One message on its way to the target.

    ``endpoint_at`` is the event loop's time at which the utterance ended, None where an earlier process heard it;
    ``body`` is the JSON to send; ``created_at`` tells its age; ``redacted`` is whether the body shows the redacted
    text; ``reason`` is why the last try failed, empty before the first; ``size`` is the body's length at first, in
    bytes.
    """

    delivery_id: str
    call_id: str
    message_id: str
    sequence: int
    body: bytes
    endpoint_at: float | None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    redacted: bool = True
    reason: str = ""
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.body)


class Unsent:
    """All posts that somebody still holds, by their message: one that waits is sent with its newest text.

    A post whose sending has begun is beyond reach; one that is sent again is not.
    """

    def __init__(self) -> None:
        self._posts: WeakValueDictionary[str, Post] = WeakValueDictionary()
        self._revised: OrderedDict[str, str] = OrderedDict()

    def add(self, post: Post) -> None:
        """A post begins to wait; its text may be older than what :meth:`revise` was told."""
        if post.redacted:
            self._posts[post.message_id] = post
            if (text := self._revised.get(post.message_id)) is not None:
                post.body = revised_body(post.body, text)

    def revise(self, message_id: str, text: str) -> None:
        """The message's text was redacted anew."""
        self._revised[message_id] = text
        self._revised.move_to_end(message_id)
        while len(self._revised) > _REMEMBERED:
            self._revised.popitem(last=False)
        if (post := self._posts.get(message_id)) is not None:
            post.body = revised_body(post.body, text)

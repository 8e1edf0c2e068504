"""Which runs of digits are hidden, and as what.

In this order: what a request or a name in the text makes of a run; what its digits say (a card, an SSN); whether the
words around explain it, so that it stays; what is talked of; and the rules by length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.participants import Role
from gateway.text.conversation import Conversation, Request, opens
from gateway.text.digits.explained import explain, is_count_of_digits, is_pronoun
from gateway.text.digits.numbers import Element, Token
from gateway.text.digits.recognise import length_rule, of_topic, recognise
from gateway.text.digits.runs import MIN_DIGITS, Run
from gateway.text.entities.mentions import Mention
from gateway.text.policy import Entity, Policy

__all__ = ["Choice", "Chosen", "choose"]

_SENTENCE_ENDS = re.compile(r"[.?!]\s")
# "4 1, my PIN", "3 1 8 on the back of the card": what the number is follows at once.
_NAMED_AFTER = re.compile(
    r"\s*(?:,|\b(?:is|was|as|for|that's|it's|on)\b)[\s,]*(?:(?:is|was|as|for|that's|it's|on)\s+)?"
    r"(?:(?:my|the|your|our|her|his)\s+)?(?:full\s+)?",
    re.IGNORECASE,
)
_OWN_DIGITS = frozenset({Entity.CREDIT_CARD_NUMBER, Entity.SSN})
_SPOKEN_OF = (Entity.PHONE_NUMBER, Entity.ZIP)
_INTERNATIONAL = 11


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run to be hidden: its numbers, and what it is."""

    elements: tuple[Element, ...]
    entity: Entity

    @property
    def start(self) -> int:
        """Where it begins in the text."""
        return self.elements[0].start

    @property
    def end(self) -> int:
        """Where it ends in the text."""
        return self.elements[-1].end


@dataclass(frozen=True, slots=True)
class Choice:
    """What is hidden, the runs that were explained, and the request as it stands after the text.

    ``named``: the text asks for, or names, a secret. ``told``: numbers were hidden while one was waited for.
    """

    chosen: tuple[Chosen, ...]
    explained: frozenset[Run]
    request: Request | None
    named: bool
    told: bool


def choose(
    text: str,
    tokens: Sequence[Token],
    runs: Sequence[Run],
    mentions: Sequence[Mention],
    before: Conversation,
    role: Role,
    policy: Policy,
) -> Choice:
    """Choose among the runs of ``text``, said by ``role`` after ``before``."""
    chooser = _Chooser(text, tokens, mentions, before, role, policy)
    for run in runs:
        chooser.take(run)
    chooser.open_up_to(len(text))
    return Choice(
        tuple(chooser.chosen), frozenset(chooser.explained), chooser.request, bool(chooser.openers), chooser.told
    )


class _Chooser:
    """Goes through a text from left to right, and knows at each run what is asked for there."""

    def __init__(
        self,
        text: str,
        tokens: Sequence[Token],
        mentions: Sequence[Mention],
        before: Conversation,
        role: Role,
        policy: Policy,
    ) -> None:
        self._text = text
        self._tokens = tokens
        self._before = before
        self._policy = policy
        self._chain = before.chain(role)
        self.openers = [one for one in mentions if opens(one, policy)]
        self._topics = set(before.topics) | {one.entity for one in mentions}
        # What is talked of for sure: where its policy is off, it explains a run.
        self._sure = {entity for entity, topic in before.topics.items() if topic.firm}
        self._sure |= {one.entity for one in mentions if one.firm}
        self._card = before.card > 0 or any(one.entity is Entity.CREDIT_CARD_NUMBER for one in mentions)
        self._next = 0
        self._opened: Mention | None = None
        self._last: Run | None = None
        self.request = before.request
        self.chosen: list[Chosen] = []
        self.explained: list[Run] = []
        self.told = False

    def open_up_to(self, position: int) -> None:
        """Take in the requests that end before ``position``."""
        while self._next < len(self.openers) and self.openers[self._next].end <= position:
            self._opened = self.openers[self._next]
            asked = Request.of(self._opened)
            waiting = self.request
            if waiting is None or waiting.complete or waiting.entity is not asked.entity:
                self.request = asked
            self._next += 1

    def take(self, run: Run) -> None:
        """Decide about the next run."""
        self.open_up_to(run.start)
        self._last, before = None, self._last
        if is_pronoun(self._tokens, run) or (run.count < MIN_DIGITS and is_count_of_digits(self._tokens, run)):
            return
        continued = self._chain.digits if run.at_start else ""
        stays = not continued and explain(self._text, self._tokens, run, before)
        entity = self._asked(run, stays=stays)
        if entity is not None:
            self.told = True
            if self.request is not None:
                self.request = self.request.told(run.digits)
        else:
            entity = self._otherwise(run, continued + run.digits, stays=stays, continued=bool(continued))
        if entity is not None:
            self.chosen.append(Chosen(run.elements, entity))
        elif stays:
            self.explained.append(run)
            self._last = run

    def _asked(self, run: Run, *, stays: bool) -> Entity | None:
        """What is waited for where the run stands."""
        request = self.request
        if request is None:
            return None
        own = recognise(run.elements, run.digits)
        entity = own if own in _OWN_DIGITS else request.entity
        if request.complete:
            edge = run.at_start or run.at_end or run.count >= MIN_DIGITS
            return entity if edge and not stays else None
        if stays and self._opened is not None and self._apart(self._opened, run):
            return None
        return entity

    def _apart(self, mention: Mention, run: Run) -> bool:
        """True where a sentence ends between: "I need your PIN. It costs $25"."""
        return _SENTENCE_ENDS.search(self._text, mention.end, run.start) is not None

    def _otherwise(self, run: Run, digits: str, *, stays: bool, continued: bool) -> Entity | None:
        named = self._named_after(run, stays=stays)
        if named is not None:
            return named
        known = recognise(run.elements, digits)
        if known in _OWN_DIGITS and known in self._policy:
            return known
        if stays:
            return None
        known = known or of_topic(digits, self._sure)
        if known is not None and known in self._policy:
            return known
        if run.alone or len(digits) >= MIN_DIGITS:
            for topic in _SPOKEN_OF:
                if topic in self._topics and topic in self._policy:
                    return topic
        return self._by_length(run, digits, known, continued=continued)

    def _by_length(self, run: Run, digits: str, known: Entity | None, *, continued: bool) -> Entity | None:
        count = len(digits)
        if known is Entity.PHONE_NUMBER and count == _INTERNATIONAL:
            # Ten digits and the country's.
            count -= 1
        rule = length_rule(count)
        if continued and rule is not None and rule not in self._policy:
            # It may go on: how long it will be is not known yet.
            rule = Entity.DIGITS_LONG
        # Misheard digits are as many as nobody knows: it may be a telephone number of ten.
        explained = rule is Entity.DIGITS_LONG and known is not None and "?" not in digits
        if rule is not None and rule in self._policy and not explained:
            return Entity.CREDIT_CARD_NUMBER if self._card else rule
        return Entity.CREDIT_CARD_NUMBER if self._card and run.alone else None

    def _named_after(self, run: Run, *, stays: bool) -> Entity | None:
        """The secret that the text names behind the run: "4 1 is my PIN"."""
        following = self.openers[self._next :]
        for mention in following:
            near = _NAMED_AFTER.fullmatch(self._text, run.end, mention.start) is not None
            if near or (mention.backward and not stays):
                return mention.entity
        return None

"""The last utterances of a call, unredacted, and what later ones showed them to hold.

They stay in memory only, and only the last :data:`REMEMBERED`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.participants import Role
from gateway.text.choice import Chosen
from gateway.text.conversation import Piece
from gateway.text.digits.numbers import Element, Token
from gateway.text.digits.recognise import is_card
from gateway.text.digits.runs import Run
from gateway.text.entities.email import local_at_end
from gateway.text.mask import apply, edits
from gateway.text.policy import Entity
from gateway.text.redacted import Hidden, Revised

__all__ = ["REMEMBERED", "Memory", "Said", "is_mostly_numbers"]

REMEMBERED = 12
"""Utterances that can still be redacted anew."""

_BACK = 6
_FEW_WORDS = 2
_SMALL_TALK = 4
_MOST_PASSWORD = 8
_SHORTEST_CARD, _LONGEST_CARD = 13, 19


@dataclass(slots=True)
class Said:
    """An utterance: its text, what was read in it, and what is hidden of it by now."""

    utterance: int
    role: Role
    text: str
    tokens: Sequence[Token]
    numbers: Sequence[Element]
    runs: Sequence[Run]
    spans: list[Hidden]
    chosen: list[Chosen]
    mostly: bool
    changed: bool = field(default=False)

    def hide(self, runs: Iterable[Run], entity: Entity) -> None:
        """Hide these runs as well."""
        for run in runs:
            if not self._is_hidden(run.start, run.end):
                self.chosen.append(Chosen(run.elements, entity))
                self.changed = True

    def hide_all(self, entity: Entity) -> None:
        """Hide every word."""
        if not self.tokens:
            return
        start, end = self.tokens[0].start, self.tokens[-1].end
        if any(one.start <= start and end <= one.end for one in self.spans):
            return
        self.spans = [Hidden(start, end, entity)]
        self.chosen = []
        self.changed = True

    def hide_span(self, start: int, end: int, entity: Entity) -> None:
        """Hide ``text[start:end]``, and what is hidden already and reaches into it, as one."""
        near: list[Hidden | Chosen] = [*self.spans, *self.chosen]
        near = [one for one in near if one.start < end and start < one.end]
        if any(one.start <= start and end <= one.end for one in near):
            return
        start, end = min([start, *(one.start for one in near)]), max([end, *(one.end for one in near)])
        whole = Hidden(start, end, entity)
        self.spans = sorted((*(one for one in self.spans if one not in near), whole), key=lambda one: one.start)
        self.chosen = [one for one in self.chosen if one not in near]
        self.changed = True

    @property
    def words(self) -> tuple[str, ...]:
        """All its words."""
        return tuple(token.word for token in self.tokens)

    def redacted(self) -> str:
        """Its text with all that is hidden by now."""
        return apply(self.text, edits(self.text, self.numbers, self.spans, self.chosen))

    def _is_hidden(self, start: int, end: int) -> bool:
        in_span = any(one.start < end and start < one.end for one in self.spans)
        return in_span or any(one.start < end and start < one.end for one in self.chosen)


class Memory:
    """What may still be redacted anew."""

    def __init__(self) -> None:
        self._said: deque[Said] = deque(maxlen=REMEMBERED)

    def add(self, said: Said) -> None:
        """Remember an utterance."""
        self._said.append(said)

    def join(self, pieces: Iterable[Piece], entity: Entity) -> None:
        """The run that ``pieces`` began turned out to be a secret."""
        for piece in pieces:
            said = next((one for one in self._said if one.utterance == piece.utterance), None)
            if said is not None:
                said.hide([run for run in said.runs if piece.start <= run.start and run.end <= piece.end], entity)

    def name_numbers(self, entity: Entity) -> None:
        """The last numbers were named as a secret: "that's my PIN"."""
        teller: Role | None = None
        for said in list(self._said)[: -_BACK - 1 : -1]:
            if said.mostly and said.runs and teller in (None, said.role):
                teller = said.role
                said.hide(said.runs, entity)
            elif len(said.tokens) > _SMALL_TALK:
                return

    def name_words(self) -> tuple[str, ...]:
        """The last words were named as a password; those words."""
        for said in list(self._said)[: -_BACK - 1 : -1]:
            if any(one.entity is Entity.PASSWORD for one in said.spans):
                return ()
            if _FEW_WORDS <= len(said.tokens) <= _MOST_PASSWORD or said.mostly:
                said.hide_all(Entity.PASSWORD)
                return said.words
            if len(said.tokens) > _MOST_PASSWORD:
                return ()
        return ()

    def hide_local(self, role: Role) -> None:
        """``role`` goes on with an e-mail address of which earlier utterances ended with the first part."""
        for said in list(self._said)[: -_BACK - 1 : -1]:
            if said.role is not role:
                if len(said.tokens) > _SMALL_TALK:
                    return
                continue
            span = local_at_end(said.text, said.tokens, said.numbers)
            if span is None:
                return
            said.hide_span(*span, Entity.EMAIL)
            if span[0] > said.tokens[0].start:
                return

    def find_card(self, role: Role, digits: str) -> bool:
        """Whether ``digits`` end a card's number that ``role`` began in earlier utterances; those are hidden then."""
        parts: list[Said] = []
        for said in reversed(self._said):
            if said.role is not role or not said.runs:
                if said.role is role and len(said.tokens) > _SMALL_TALK:
                    return False
                continue
            if not said.mostly:
                return False
            parts.append(said)
            digits = "".join(run.digits for run in said.runs) + digits
            if len(digits) > _LONGEST_CARD:
                return False
            if len(digits) >= _SHORTEST_CARD and is_card(digits):
                for part in parts:
                    part.hide(part.runs, Entity.CREDIT_CARD_NUMBER)
                return True
        return False

    def revised(self) -> tuple[Revised, ...]:
        """What changed since this was last asked, oldest first."""
        changed = [one for one in self._said if one.changed]
        for said in changed:
            said.changed = False
        return tuple(Revised(said.utterance, said.redacted()) for said in changed)


def is_mostly_numbers(tokens: Sequence[Token], numbers: Sequence[Element]) -> bool:
    """True for an utterance of numbers with hardly a word between."""
    spoken = sum(one.last - one.first + 1 for one in numbers)
    others = len(tokens) - spoken
    return spoken > 0 and (others <= _FEW_WORDS or others <= spoken)

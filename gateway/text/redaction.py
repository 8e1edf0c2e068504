"""Redaction: secrets are hidden before a transcript is stored, sent or shown.

The way of a text, a module a stage: words and numbers (:mod:`~gateway.text.digits.numbers`), numbers in a row
(:mod:`~gateway.text.digits.runs`), what is asked for or named (:mod:`~gateway.text.entities.mentions`), what the
finders find (:mod:`~gateway.text.entities.finders`), which runs are hidden (:mod:`~gateway.text.choice`), how it looks
(:mod:`~gateway.text.mask`). Between utterances: :mod:`~gateway.text.conversation` and :mod:`~gateway.text.memory`.

After a request for a card, PIN, SSN or CVV, by either side, every number is hidden, single digits too, with no
exception but "one" as a pronoun and a count of digits ("the last four digits"), until the secret is complete, or until
:data:`QUIET_UTTERANCES` utterances of the call in a row held no number, at most :data:`MAX_UTTERANCES`. For some
utterances after a complete one the numbers that nothing explains are hidden still.

Sans-I/O, synchronous, and never raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from gateway.participants import Role
from gateway.text.choice import Choice, Chosen, choose
from gateway.text.conversation import (
    CARD_UTTERANCES,
    MAX_UTTERANCES,
    QUIET_UTTERANCES,
    Chain,
    Conversation,
    Piece,
    names_after,
    opens,
    request_after,
    topics_after,
)
from gateway.text.digits.numbers import Element, Token, elements, tokenize
from gateway.text.digits.ordinals import with_ordinals
from gateway.text.digits.runs import Run, find_runs, only_joiners
from gateway.text.entities.context import Context
from gateway.text.entities.email import begins_with_domain
from gateway.text.entities.finders import find, make_ready
from gateway.text.entities.mentions import Mention, find_mentions
from gateway.text.entities.names import learned_from
from gateway.text.entities.password import names_the_last
from gateway.text.mask import MASK, apply, edits, mask_characters
from gateway.text.memory import REMEMBERED, Memory, Said, is_mostly_numbers
from gateway.text.pieces import LONGEST, Pieces, cut
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.preview import hide_addresses, hide_numbers
from gateway.text.redacted import Hidden, Redacted, Revised

__all__ = ["MAX_UTTERANCES", "QUIET_UTTERANCES", "Redactor"]

_PASSWORDS = 4


@dataclass(frozen=True, slots=True)
class _Read:
    """A text, and what was read in it."""

    text: str
    role: Role
    tokens: Sequence[Token]
    numbers: Sequence[Element]
    mentions: tuple[Mention, ...]
    spans: list[Hidden]
    runs: Sequence[Run]


class Redactor:
    """Redaction for one call: feed it the final texts of both participants in the order of the call.

    Args:
        policy: the entities that are hidden; may be set anew between two texts, and what was said stays known.
    """

    def __init__(self, policy: Policy = DEFAULT) -> None:
        make_ready(policy)
        self.policy = policy
        self._conversation = Conversation()
        self._memory = Memory()
        self._utterance = 0
        self._long: list[Pieces] = []

    def redact(self, text: str, role: Role) -> Redacted:
        """``text`` with what must not be shown hidden; remembers what the next utterances need.

        A text of more than :data:`~gateway.text.pieces.LONGEST` characters is redacted in pieces.
        """
        redacted = self._redact(text, role) if len(text) <= LONGEST else self._in_pieces(text, role)
        return self._with_pieces(redacted) if self._long else redacted

    def _in_pieces(self, text: str, role: Role) -> Redacted:
        pieces, rest = cut(text)
        long = Pieces(self._utterance, [])
        self._long.append(long)
        hidden: list[Hidden] = []
        revised: list[Revised] = []
        at = 0
        for piece in pieces:
            one = self._redact(piece, role)
            long.shown.append(one.text)
            hidden += (Hidden(at + span.start, at + span.end, span.entity) for span in one.hidden)
            for again in one.revised:
                if again.utterance >= long.first:
                    long.revise(again.utterance, again.text)
                else:
                    revised.append(again)
            at += len(piece)
        long.shown.append(mask_characters(rest))
        return Redacted(long.text(), tuple(hidden), tuple(revised), long.first)

    def _with_pieces(self, redacted: Redacted) -> Redacted:
        """What is revised of a piece is revised of the text that it is part of."""
        self._long = [one for one in self._long if one.first + len(one.shown) > self._utterance - REMEMBERED]
        revised: dict[int, Revised] = {}
        for one in redacted.revised:
            whole = next((long for long in self._long if 0 <= one.utterance - long.first < len(long.shown) - 1), None)
            if whole is not None:
                whole.revise(one.utterance, one.text)
                one = Revised(whole.first, whole.text())
            revised[one.utterance] = one
        return replace(redacted, revised=tuple(revised.values()))

    def _redact(self, text: str, role: Role) -> Redacted:
        read = self._read(text, role)
        choice = choose(text, read.tokens, read.runs, read.mentions, self._conversation, role, self.policy)
        chosen = self._with_card(read, choice)
        said = Said(
            self._utterance,
            role,
            text,
            read.tokens,
            read.numbers,
            read.runs,
            read.spans,
            list(chosen),
            is_mostly_numbers(read.tokens, read.numbers),
        )
        passwords = self._look_back(read, chosen)
        self._memory.add(said)
        self._conversation = self._after(read, choice, chosen, passwords)
        self._utterance += 1
        hidden = [*read.spans, *(Hidden(one.start, one.end, one.entity) for one in chosen)]
        hidden.sort(key=lambda one: one.start)
        return Redacted(said.redacted(), tuple(hidden), self._memory.revised(), said.utterance)

    def preview(self, text: str, role: Role) -> str:
        """For a text that may stop anywhere: no number of it is shown (:mod:`gateway.text.preview`).

        Nothing is remembered. Beyond :data:`~gateway.text.pieces.LONGEST` characters it is masked.
        """
        if len(text) > LONGEST:
            return self.preview(text[:LONGEST], role) + mask_characters(text[LONGEST:])
        tokens = tokenize(text)
        mentions = find_mentions(text)
        before = self._conversation
        asked = before.request is not None or any(opens(one, self.policy) for one in mentions)
        numbers = with_ordinals(text, tokens, elements(text, tokens), alone=asked, unfinished=True)
        context = Context(role, mentions, before.topics, before.passwords, before.names, unfinished=True)
        spans = find(text, tokens, numbers, context, self.policy)
        if Entity.EMAIL in self.policy:
            spans = _merged([*spans, *(Hidden(start, end, Entity.EMAIL) for start, end in hide_addresses(text))])
        sensitive = asked or before.chain(role).digits != ""
        cuts = [(one.start, one.end) for one in spans]
        changes = hide_numbers(text, tokens, numbers, cuts, sensitive=sensitive)
        shown = apply(text, changes + edits(text, numbers, spans, ()))
        return "".join(MASK if character.isdigit() else character for character in shown)

    def _read(self, text: str, role: Role) -> _Read:
        before = self._conversation
        tokens = tokenize(text)
        numbers: Sequence[Element] = elements(text, tokens)
        mentions = find_mentions(text)
        named = any(opens(one, self.policy) for one in mentions)
        sensitive = named or before.request is not None
        if sensitive:
            waits = named or (before.request is not None and not before.request.complete)
            numbers = with_ordinals(text, tokens, numbers, alone=waits)
        context = Context(role, mentions, before.topics, before.passwords, before.names)
        spans = find(text, tokens, numbers, context, self.policy)
        cuts = [(one.start, one.end) for one in spans]
        eager = sensitive or before.chain(role).digits != ""
        runs = find_runs(text, tokens, numbers, cuts, eager=eager) if numbers else []
        return _Read(text, role, tokens, numbers, mentions, spans, runs)

    def _with_card(self, read: _Read, choice: Choice) -> tuple[Chosen, ...]:
        """What was chosen, and what else ends a card's number that began in earlier utterances."""
        if len(choice.chosen) == len(read.runs) or not is_mostly_numbers(read.tokens, read.numbers):
            return choice.chosen
        if not self._memory.find_card(read.role, "".join(run.digits for run in read.runs)):
            return choice.chosen
        return tuple(Chosen(run.elements, Entity.CREDIT_CARD_NUMBER) for run in read.runs)

    def _look_back(self, read: _Read, chosen: Sequence[Chosen]) -> list[tuple[str, ...]]:
        """Hide in earlier utterances what this one shows to be secret; passwords that were learned."""
        first = read.runs[0] if read.runs else None
        if first is not None and first.at_start and chosen and chosen[0].start == first.start:
            self._memory.join(self._conversation.chain(read.role).pieces, chosen[0].entity)
        for mention in read.mentions:
            told_here = first is not None and first.start < mention.start
            if mention.last and not told_here and opens(mention, self.policy):
                self._memory.name_numbers(mention.entity)
        if begins_with_domain(read.text, read.tokens, read.spans):
            self._memory.hide_local(read.role)
        learned = [
            tuple(token.word for token in read.tokens if one.start <= token.start < one.end)
            for one in [one for one in read.spans if one.entity is Entity.PASSWORD][-_PASSWORDS:]
        ]
        if not learned and Entity.PASSWORD in self.policy and names_the_last(read.text):
            words = self._memory.name_words()
            learned += [words] if words else []
        return learned

    def _after(
        self, read: _Read, choice: Choice, chosen: Sequence[Chosen], passwords: Sequence[tuple[str, ...]]
    ) -> Conversation:
        before = self._conversation
        found = frozenset({one.entity for one in read.spans} | {one.entity for one in chosen})
        carded = any(one.entity is Entity.CREDIT_CARD_NUMBER for one in read.mentions)
        kept = [*before.passwords, *(one for one in passwords if one not in before.passwords)]
        return replace(
            before,
            request=request_after(choice.request, named=choice.named, numbers=choice.told),
            card=CARD_UTTERANCES if carded else max(0, before.card - 1),
            topics=topics_after(before.topics, read.text, read.role, read.mentions, found),
            chains=MappingProxyType({**before.chains, read.role: self._chain(read, choice)}),
            passwords=tuple(kept[-_PASSWORDS:]),
            names=names_after(before.names, learned_from(read.text, read.spans)),
        )

    def _chain(self, read: _Read, choice: Choice) -> Chain:
        """The run that is open at the utterance's end."""
        before = self._conversation.chain(read.role)
        if not read.runs:
            return before if only_joiners(read.tokens) else Chain()
        last = read.runs[-1]
        if not last.at_end or last in choice.explained:
            return Chain()
        earlier = before if last.at_start else Chain()
        piece = Piece(self._utterance, last.start, last.end)
        return Chain(earlier.digits + last.digits, (*earlier.pieces, piece))


def _merged(spans: list[Hidden]) -> list[Hidden]:
    merged: list[Hidden] = []
    for one in sorted(spans, key=lambda one: one.start):
        if merged and one.start < merged[-1].end:
            merged[-1] = Hidden(merged[-1].start, max(merged[-1].end, one.end), merged[-1].entity)
        else:
            merged.append(one)
    return merged

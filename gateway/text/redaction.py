"""Redaction: numbers and e-mail addresses are hidden before a transcript is stored, sent or shown.

The rules of this first set:

- A run of three or more digits, spoken or written, is hidden. A run goes on over spaces, punctuation, hesitations and
  joining words ("and", "then", "dash", …); any other word ends it. Years, long prices and house numbers are such runs.
- What stays: runs of one or two digits; ordinals; round quantities ("two hundred", "five thousand", "100%"); a time of
  day that stands alone ("3:30", "at three thirty"); a price in digits under a hundred ("$25.99").
- Strange short words inside a string of digits are misheard digits and hidden with it.
- A run that touches the end of an utterance goes on in the same speaker's next one.
- After a request for a card, PIN, SSN or CVV, by either side, every number is hidden, single digits too, with no
  exception but "one" as a pronoun and a count of digits ("the last four digits"). This lasts until
  :data:`QUIET_UTTERANCES` utterances of the call in a row held no number, at most :data:`MAX_UTTERANCES`.
- E-mail addresses, written and spoken, are hidden character by character, the "@" and the dots included.

Sans-I/O, synchronous, and never raises. :mod:`gateway.text.mask` says how hidden text looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gateway.participants import Role
from gateway.text import phrases
from gateway.text.context import Request, find_request
from gateway.text.email import find_addresses
from gateway.text.mask import MASK, Edit, apply, mask_characters, mask_run
from gateway.text.numbers import Element, Token, elements, tokenize
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.preview import hide_addresses, hide_numbers
from gateway.text.redacted import Hidden, Redacted
from gateway.text.runs import MIN_DIGITS, Run, find_runs, only_joiners

__all__ = ["MAX_UTTERANCES", "QUIET_UTTERANCES", "Redactor"]

QUIET_UTTERANCES = 6
"""So many utterances without a number end the time after a request."""

MAX_UTTERANCES = 40
"""A request is forgotten after so many utterances, whatever they held."""


@dataclass(frozen=True, slots=True)
class _State:
    """What earlier utterances leave behind.

    ``carry``: digits of the run that is open at the end of a role's last utterance. ``quiet``: utterances that the
    request still lasts without a number; ``left``: utterances that it lasts at most.
    """

    carry: Mapping[Role, int] = field(default_factory=lambda: MappingProxyType({}))
    quiet: int = 0
    left: int = 0


class Redactor:
    """Redaction for one call: feed it the final texts of both participants in the order of the call.

    Args:
        policy: the entities that are hidden; may be set anew between two texts, and what was said stays known.
    """

    def __init__(self, policy: Policy = DEFAULT) -> None:
        self.policy = policy
        self._state = _State()

    def redact(self, text: str, role: Role) -> Redacted:
        """``text`` with what must not be shown hidden; remembers what the next utterances need."""
        redacted, self._state = _redact(text, role, self._state)
        return redacted

    def preview(self, text: str, role: Role) -> str:
        """For a text that may stop anywhere: no number of it is shown (:mod:`gateway.text.preview`).

        Nothing is remembered.
        """
        tokens = tokenize(text)
        numbers = elements(text, tokens)
        spans = hide_addresses(text)
        state = self._state
        sensitive = state.quiet > 0 or state.carry.get(role, 0) > 0 or find_request(text) is not None
        edits = hide_numbers(text, tokens, numbers, spans, sensitive=sensitive)
        shown = apply(text, edits + _address_edits(text, spans, numbers))
        return "".join(MASK if character.isdigit() else character for character in shown)


def _redact(text: str, role: Role, state: _State) -> tuple[Redacted, _State]:
    tokens = tokenize(text)
    request = find_request(text)
    if request is not None:
        state = replace(state, quiet=QUIET_UTTERANCES, left=MAX_UTTERANCES)
    sensitive = state.quiet > 0
    numbers = elements(text, tokens)
    spans = find_addresses(text, tokens, numbers)
    carry = state.carry.get(role, 0)
    runs = find_runs(text, tokens, numbers, spans, eager=sensitive or carry > 0)
    hidden = _choose(text, tokens, runs, carry, sensitive=sensitive, request=request)
    edits = [mask_run(text, run) for run in hidden]
    edits += _address_edits(text, spans, numbers)
    following = _State(
        MappingProxyType({**state.carry, role: _carry(tokens, runs, carry)}),
        QUIET_UTTERANCES if sensitive and hidden else max(0, state.quiet - (request is None)),
        max(0, state.left - 1),
    )
    if following.left == 0:
        following = replace(following, quiet=0)
    shown = [Hidden(run[0].start, run[-1].end, _entity(sum(one.count for one in run))) for run in hidden]
    shown += [Hidden(start, end, Entity.EMAIL) for start, end in spans]
    shown.sort(key=lambda one: one.start)
    return Redacted(apply(text, edits), tuple(shown)), following


def _choose(
    text: str, tokens: Sequence[Token], runs: Sequence[Run], carry: int, *, sensitive: bool, request: Request | None
) -> list[Sequence[Element]]:
    """The elements to hide, run by run."""
    hidden: list[Sequence[Element]] = []
    for run in runs:
        continued = carry if run.at_start else 0
        if phrases.is_pronoun(tokens, run):
            continue
        if run.count + continued >= MIN_DIGITS and not (continued == 0 and phrases.stays(text, tokens, run)):
            hidden.append(run.elements)
        elif sensitive:
            part = [one for one in run.elements if request is None or request.backward or one.start >= request.position]
            if part and not phrases.is_count_of_digits(tokens, run):
                hidden.append(part)
    return hidden


def _entity(digits: int) -> Entity:
    """The rule for a run of so many digits."""
    return {3: Entity.DIGITS_3, 4: Entity.DIGITS_4, 9: Entity.DIGITS_9, 10: Entity.DIGITS_10}.get(
        digits, Entity.DIGITS_LONG
    )


def _carry(tokens: Sequence[Token], runs: Sequence[Run], carry: int) -> int:
    """Digits of the run that is open at the utterance's end."""
    if not runs or not runs[-1].at_end:
        return carry if not runs and only_joiners(tokens) else 0
    last = runs[-1]
    return last.count + (carry if last.at_start else 0)


def _address_edits(text: str, spans: Sequence[tuple[int, int]], numbers: Sequence[Element]) -> list[Edit]:
    """An address character by character; numbers in it by their digits, so that their words' lengths stay unknown."""
    edits: list[Edit] = []
    for start, end in spans:
        at = start
        for number in numbers:
            if start <= number.start and number.end <= end:
                edits += (Edit(at, number.start, mask_characters(text[at : number.start])), mask_run(text, [number]))
                at = number.end
        edits.append(Edit(at, end, mask_characters(text[at:end])))
    return edits

"""Transcripts as subtitles: SubRip (``.srt``) and WebVTT (https://www.w3.org/TR/webvtt1/).

A cue is an utterance. One that is too long to be read at once is parted where words have measured times; without them
it stays whole, for no time is made up. No library writes them: those that do (srt, webvtt-py) take finished cues, and
leave parting, speakers and escaping to the caller. They read what is written here in the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from gateway.participants import RedactionOutput, Role
from gateway.recordings.offline import Utterance
from gateway.speech.engine import Token

__all__ = ["Cue", "Word", "cues", "srt", "vtt"]

MAX_CHARS = 84
"""Two lines of 42, the usual limit of broadcasters; players break the line."""

MAX_MS = 7000
"""How long a cue stands at most, if it can be parted."""

_SENTENCE, _CLAUSE = tuple(".?!"), tuple(",;:")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is shown, and when it was said; None if that is not known: it hides several, or is none."""

    text: str
    times: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Cue:
    """Words of one speaker that are shown together, from and until an offset in ms."""

    role: Role
    start_ms: int
    end_ms: int
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """What is shown, on one line."""
        return " ".join(word.text for word in self.words)


def cues(utterances: Iterable[Utterance], redaction: RedactionOutput) -> list[Cue]:
    """The cues by their beginning; both speakers' may overlap. Their texts are redacted unless ``UNREDACTED``."""
    made = [cue for one in utterances for cue in _parted(_whole(one, redaction))]
    return sorted(made, key=lambda cue: (cue.start_ms, cue.end_ms))


def srt(shown: Sequence[Cue]) -> str:
    """SubRip. The speaker stands before what is said; the format has no escapes, so an arrow is replaced."""
    return "".join(
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        f"{cue.role.capitalize()}: {cue.text.replace('-->', '→')}\n\n"
        for number, cue in enumerate(shown, 1)
    )


def vtt(shown: Sequence[Cue], *, word_times: bool = False) -> str:
    """WebVTT. The speaker is the cue's voice; with ``word_times`` words have timestamps, for players that follow."""
    parts = ["WEBVTT\n"]
    for cue in shown:
        text = _timed(cue) if word_times else _escaped(cue.text)
        clock = f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}"
        parts.append(f"\n{clock}\n<v {cue.role.capitalize()}>{text}\n")
    return "".join(parts)


def _whole(one: Utterance, redaction: RedactionOutput) -> Cue:
    text = one.text if redaction is RedactionOutput.UNREDACTED else one.redacted
    return Cue(one.role, one.start_ms, one.end_ms, tuple(_words(text.split(), one.tokens)))


def _words(shown: Sequence[str], tokens: Sequence[Token]) -> Iterator[Word]:
    """Each word with the time of the token that it is; a masked word is none, and what it hides has no time here."""
    times: dict[int, tuple[int, int]] = {}
    said = [token.content for token in tokens]
    for match in SequenceMatcher(None, shown, said, autojunk=False).get_matching_blocks():
        for at in range(match.size):
            token = tokens[match.b + at]
            times[match.a + at] = token.start_ms, token.end_ms
    return (Word(text, times.get(at)) for at, text in enumerate(shown))


def _parted(cue: Cue) -> Iterator[Cue]:
    """The cue in pieces that can be read at once, as far as times are known."""
    while (at := _border(cue)) is not None:
        left, right = cue.words[at - 1].times, cue.words[at].times
        if left is None or right is None:
            break
        yield Cue(cue.role, cue.start_ms, left[1], cue.words[:at])
        cue = Cue(cue.role, right[0], cue.end_ms, cue.words[at:])
    yield cue


def _border(cue: Cue) -> int | None:
    """Before which word to part: after a sentence, else a clause, else anywhere; near what makes pieces alike.

    None if it need not, or cannot, be parted.
    """
    share = max(len(cue.text) / MAX_CHARS, (cue.end_ms - cue.start_ms) / MAX_MS)
    if share <= 1:
        return None
    # Two halves rather than a full piece and a word, else full pieces from the front.
    part = 1 / 2 if share <= 2 else 1 / share
    target, limit = part * len(cue.text), len(cue.text) / share
    best: tuple[bool, int, float] | None = None
    border, chars = None, -1
    for at, word in enumerate(cue.words[:-1], 1):
        chars += len(word.text) + 1
        left, right = word.times, cue.words[at].times
        if left is None or right is None or not cue.start_ms < left[1] <= right[0] < cue.end_ms:
            continue
        fits = 0.4 * target <= chars <= limit
        rank = 2 if word.text.endswith(_SENTENCE) else 1 if word.text.endswith(_CLAUSE) else 0
        value = (fits, rank if fits else 0, -abs(chars - target))
        if best is None or value > best:
            best, border = value, at
    return border


def _timed(cue: Cue) -> str:
    """The words with timestamps between them; these must rise, and lie within the cue."""
    parts, last = [], cue.start_ms
    for word in cue.words:
        stamp = ""
        if word.times is not None and last < word.times[0] < cue.end_ms:
            last = word.times[0]
            stamp = f"<{_clock(last, '.')}>"
        parts.append(stamp + _escaped(word.text))
    return " ".join(parts)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"

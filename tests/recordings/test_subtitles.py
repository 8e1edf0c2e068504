"""Cues where words were said, and files that independent readers understand."""

from __future__ import annotations

import io
from itertools import pairwise

import srt as srt_reader
import webvtt

from gateway.participants import RedactionOutput, Role
from gateway.recordings.offline import Utterance
from gateway.recordings.subtitles import MAX_CHARS, MAX_MS, Cue, cues, srt, vtt
from gateway.speech.engine import Token

REDACTED, UNREDACTED = RedactionOutput.REDACTED, RedactionOutput.UNREDACTED


def spoken(text: str, start_ms: int = 0, word_ms: int = 250) -> tuple[Token, ...]:
    """Words of even length, 50 ms apart."""
    return tuple(
        Token(word, start_ms + at * (word_ms + 50), start_ms + at * (word_ms + 50) + word_ms, 0.9)
        for at, word in enumerate(text.split())
    )


def utterance(text: str, redacted: str | None = None, *, timed: bool = True, start_ms: int = 1000) -> Utterance:
    tokens = spoken(text, start_ms)
    return Utterance(Role.CUSTOMER, start_ms, tokens[-1].end_ms, text, redacted or text, 0.9, tokens if timed else ())


SHORT = utterance("Good morning.")
LONG = utterance(
    "I have been a customer of yours for many years and I never had any trouble. "
    "But since last Tuesday the line is dead, and nobody who I spoke to could tell me why that is, "
    "or when it will be repaired."
)


def test_a_short_utterance_is_a_cue() -> None:
    (cue,) = cues([SHORT], REDACTED)
    assert (cue.role, cue.start_ms, cue.end_ms, cue.text) == (Role.CUSTOMER, 1000, 1550, "Good morning.")


def test_a_long_one_is_parted_where_words_have_times() -> None:
    made = cues([LONG], REDACTED)
    assert len(made) >= 3
    assert " ".join(cue.text for cue in made) == LONG.text
    assert all(len(cue.text) <= MAX_CHARS and cue.end_ms - cue.start_ms <= MAX_MS for cue in made)
    assert made[0].text.endswith("trouble.")
    assert (made[0].start_ms, made[-1].end_ms) == (LONG.start_ms, LONG.end_ms)
    starts = {token.start_ms for token in LONG.tokens}
    ends = {token.end_ms for token in LONG.tokens}
    for before, after in pairwise(made):
        assert before.end_ms <= after.start_ms
        assert before.end_ms in ends
        assert after.start_ms in starts


def test_without_word_times_it_stays_whole() -> None:
    (cue,) = cues([utterance(LONG.text, timed=False)], REDACTED)
    assert (cue.text, cue.start_ms, cue.end_ms) == (LONG.text, LONG.start_ms, LONG.end_ms)


def test_a_slow_one_is_parted_too() -> None:
    tokens = spoken("Well, let me think about that for a moment.", 0, 1200)
    made = cues(
        [Utterance(Role.AGENT, 0, tokens[-1].end_ms, " ".join(t.content for t in tokens), "", 0.9, tokens)], UNREDACTED
    )
    assert len(made) == 2
    assert all(cue.end_ms - cue.start_ms <= MAX_MS for cue in made)


def test_what_is_hidden_has_no_time_and_is_never_parted() -> None:
    digits = "five one zero five one zero five one zero five one zero five one zero zero"
    text = f"Yes, of course I can read it to you right now, the number of my card is {digits} and that is all."
    hidden = text.replace(digits, "#### #### #### ####")
    made = cues([utterance(text, hidden)], REDACTED)
    assert " ".join(cue.text for cue in made) == hidden
    assert len(made) >= 2
    masked = [word for cue in made for word in cue.words if "#" in word.text]
    assert len(masked) == 4
    assert all(word.times is None for word in masked)
    assert sum("#" in cue.text for cue in made) == 1


def test_both_speakers_are_sorted_by_their_beginning() -> None:
    agent = Utterance(Role.AGENT, 500, 9000, "Let me see.", "Let me see.", 0.9)
    customer = Utterance(Role.CUSTOMER, 2000, 2500, "Yes.", "Yes.", 0.9)
    # The one that ends first is delivered first.
    assert [cue.role for cue in cues([customer, agent], REDACTED)] == [Role.AGENT, Role.CUSTOMER]


def test_a_reader_of_subrip_understands_it() -> None:
    odd = Utterance(Role.AGENT, 3_723_004, 3_724_000, "a --> b", "a --> b", 0.9)
    made = cues([LONG, odd], REDACTED)
    read = list(srt_reader.parse(srt(made), ignore_errors=False))
    assert [one.index for one in read] == list(range(1, len(made) + 1))
    assert [round(one.start.total_seconds() * 1000) for one in read] == [cue.start_ms for cue in made]
    assert [round(one.end.total_seconds() * 1000) for one in read] == [cue.end_ms for cue in made]
    assert [one.content for one in read[:-1]] == [f"Customer: {cue.text}" for cue in made[:-1]]
    assert read[-1].content == "Agent: a → b"
    assert srt([]) == ""


def test_a_reader_of_webvtt_understands_it() -> None:
    odd = Utterance(Role.AGENT, 3_723_004, 3_724_000, "a --> b & <c>", "a --> b & <c>", 0.9)
    made = cues([LONG, odd], REDACTED)
    for word_times in (False, True):
        read = webvtt.from_buffer(io.StringIO(vtt(made, word_times=word_times))).captions
        assert [one.voice for one in read] == [cue.role.capitalize() for cue in made]
        assert [one.text for one in read[:-1]] == [cue.text for cue in made[:-1]]
        assert (read[len(made) - 1].start, read[len(made) - 1].end) == ("01:02:03.004", "01:02:04.000")
    assert "a --&gt; b &amp; &lt;c&gt;" in vtt(made)
    assert vtt([]) == "WEBVTT\n"


def test_words_have_their_times_within_the_cue() -> None:
    (cue,) = cues([utterance("It is fine.")], UNREDACTED)
    text = vtt([cue], word_times=True).splitlines()[-1]
    assert text == "<v Customer>It <00:00:01.300>is <00:00:01.600>fine."
    outside = Cue(cue.role, cue.start_ms, 1500, cue.words)
    assert vtt([outside], word_times=True).splitlines()[-1] == "<v Customer>It <00:00:01.300>is fine."

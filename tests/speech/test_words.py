"""Words laid along hand-made attention; the real model (slow) on the sample call and on joined recordings."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.speech.attention import FRAME_MS
from gateway.speech.engine import PLAIN, DecodeOptions, Hypothesis, Job, Kind, Past, Pcm, Token
from gateway.speech.moonshine import Moonshine, MoonshineSession
from gateway.speech.vocabulary import Phrase
from gateway.speech.words import Word, fitted, grouped, laid, loudness, placed, tokens

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "cache" / "moonshine-tiny-en"
SAMPLE = ROOT / "samples" / "support-call.wav"
TIMED = DecodeOptions(word_times=True)

QUIET, LOUD = 0.0, 1.0


def pieces(*texts: str) -> list[bytes]:
    return [text.replace(" ", "▁").encode() for text in texts]


def looking(frames: int, *at: tuple[int, int]) -> NDArray[np.float32]:
    """Attention of tokens that each look at the frames from the one to the other alike, and a little at all others."""
    weights = np.full((len(at), frames), 1e-4, np.float32)
    for row, (first, after) in enumerate(at):
        weights[row, first:after] = 1 / (after - first)
    return weights


# --- tokens to words --------------------------------------------------------------------------------------------


def test_a_word_has_the_tokens_up_to_the_next_space() -> None:
    assert grouped(pieces(" Hel", "lo", ",", " Mr", ".", " X")) == [
        Word("Hello,", 0, 3),
        Word("Mr.", 3, 5),
        Word("X", 5, 6),
    ]


def test_spaces_of_their_own_and_within_tokens() -> None:
    assert grouped(pieces(" ", "5", "5", " of the", " ", " end", " ")) == [
        Word("55", 0, 3),
        Word("of", 3, 4),
        Word("the", 3, 4),
        Word("end", 5, 6),
    ]
    assert grouped([]) == []
    assert grouped([b"", b" "]) == []


def test_a_character_in_several_tokens_is_put_together() -> None:
    raw = " café".replace(" ", "▁").encode()
    assert grouped([raw[:6], raw[6:7], raw[7:], *pieces(" da")]) == [Word("café", 0, 3), Word("da", 3, 4)]


@given(st.lists(st.sampled_from([" a", "b", " ", ".", "é", " c d"])))
def test_words_with_single_spaces_are_the_text(texts: list[str]) -> None:
    words = grouped(pieces(*texts))
    assert [word.content for word in words] == "".join(texts).split()
    assert all(0 <= word.first < word.after <= len(texts) for word in words)
    assert all(one.first <= two.first for one, two in pairwise(words))


# --- words along the frames -------------------------------------------------------------------------------------


def test_words_lie_where_their_tokens_look_and_pauses_between_them() -> None:
    loud = np.full(40, LOUD)
    loud[[*range(5), *range(20, 30), *range(36, 40)]] = QUIET
    words = [Word("one", 0, 2), Word("two,", 2, 4), Word("three", 4, 5)]
    weights = looking(40, (5, 8), (8, 12), (12, 20), (20, 22), (30, 36))
    assert laid(weights, loud, words) == [(5, 12), (12, 22), (30, 36)]


def test_a_pause_that_nobody_looks_at_belongs_to_no_word_however_wide_they_look() -> None:
    loud = np.array([LOUD] * 10 + [QUIET] * 20 + [LOUD] * 10)
    words = [Word("one", 0, 1), Word("two", 1, 2)]
    assert laid(looking(40, (0, 25), (25, 40)), loud, words) == [(0, 10), (30, 40)]


def test_speech_is_shared_among_words_without_a_gap() -> None:
    """Where the line is loud somebody is speaking, also where no token looks."""
    words = [Word("one", 0, 1), Word("two", 1, 2)]
    (first, one), (two, last) = laid(looking(40, (5, 10), (30, 36)), np.full(40, LOUD), words)
    assert (first, last) == (0, 40)
    assert one == two


def test_what_was_looked_at_out_of_order_is_laid_in_order() -> None:
    words = [Word(str(at), at, at + 1) for at in range(3)]
    spans = laid(looking(30, (20, 25), (10, 15), (22, 30)), np.full(30, LOUD), words)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
    assert spans[2][1] == 30


@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=8),
    st.integers(0, 2**32 - 1),
)
def test_whatever_was_heard_words_follow_each_other_within_the_frames(
    frames: int, shapes: list[tuple[int, int]], seed: int
) -> None:
    """Also words that share a token, tokens of no word, and fewer frames than tokens."""
    random = np.random.default_rng(seed)
    words, last = [], 0
    for gap, length in shapes:
        first = max(0, last + gap - 1)
        words.append(Word("x", first, first + length))
        last = max(last, first + length)
    weights = random.dirichlet(np.ones(frames) * 0.1, size=last).astype(np.float32)
    spans = laid(weights, random.uniform(-0.5, 1.5, frames), words)
    assert len(spans) == len(words)
    assert all(0 <= first <= after <= frames for first, after in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))


def test_a_long_utterance_has_more_words_than_a_byte_counts() -> None:
    count = 300
    words = [Word("x", at, at + 1) for at in range(count)]
    weights = looking(4 * count, *((4 * at, 4 * at + 3) for at in range(count)))
    loud = np.tile([LOUD, LOUD, LOUD, QUIET], count)
    assert laid(weights, loud, words) == [(4 * at, 4 * at + 3) for at in range(count)]


def test_loudness_goes_from_the_line_to_the_voice_whatever_their_levels() -> None:
    random = np.random.default_rng(0)
    shape = np.repeat([0.01, 1.0, 0.01], 4000)
    for level, offset in ((300, 0), (10_000, 0), (3000, 2000)):
        pcm = (random.normal(0, level, 12_000) * shape + offset).clip(-32768, 32767).astype(np.int16)
        loud = loudness(pcm, 66)
        assert loud[22:40] == pytest.approx(1.0, abs=0.25)
        assert loud[[*range(20), *range(43, 60)]] == pytest.approx(0.0, abs=0.25)
        assert (loud[63:] < 0.25).all()  # behind its end
    assert not loudness(np.zeros(2000, np.int16), 10).any()
    assert not loudness(np.zeros(0, np.int16), 3).any()


# --- tokens as they are told ------------------------------------------------------------------------------------


def noise(ms: int) -> Pcm:
    return np.random.default_rng(1).normal(0, 1000, ms * 8).astype(np.int16)


def test_times_are_those_of_the_frames_and_confidence_that_of_all_that_is_spoken() -> None:
    heard = looking(20, (0, 4), (4, 8), (8, 9), (9, 14), (14, 20))
    one, two = tokens(pieces(" seven", "ty", ",", " two", "."), [0.9, 0.6, 0.1, 0.8, 0.3], heard, noise(496))
    assert [one.content, two.content] == ["seventy,", "two."]
    assert [one.confidence, two.confidence] == pytest.approx([0.54, 0.8])
    # Frame 0 is heard from 16 ms on; what is heard behind the end of the audio is within it.
    assert (one.start_ms, one.end_ms) == (16, two.start_ms)
    assert two.start_ms == 16 + 9 * FRAME_MS
    assert two.end_ms == 496


def test_a_word_of_mere_punctuation_is_as_sure_as_its_tokens() -> None:
    found = tokens(pieces(" -", " -"), [0.7, 0.4], looking(6, (0, 3), (3, 6)), noise(160))
    assert [token.confidence for token in found] == pytest.approx([0.7, 0.4])


def test_of_a_text_that_lost_its_beginning_the_last_words_are_left() -> None:
    found = (Token(".", 0, 10, 1.0), Token("1234", 10, 20, 0.5), Token("go.", 20, 30, 0.6))
    assert fitted(found, "34 go.") == (Token("34", 10, 20, 0.5), Token("go.", 20, 30, 0.6))
    assert fitted(found, "") == ()
    assert fitted((), "34 go.") == ()


def test_on_the_clock_of_the_call_words_lie_in_their_utterance() -> None:
    found = (Token("a", 100, 300, 1.0), Token("b", 300, 900, 0.5))
    assert placed(found, 5000, 5200, 5800) == (Token("a", 5200, 5300, 1.0), Token("b", 5300, 5800, 0.5))
    assert placed(found, -200, 0, 700) == (Token("a", 0, 100, 1.0), Token("b", 100, 700, 0.5))


# --- the model --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> Moonshine:
    return Moonshine(MODEL)


@pytest.fixture(scope="module")
def turns() -> list[Pcm]:
    """The turns of the sample call, each with 250 ms of the line on both sides."""
    call, _ = soundfile.read(SAMPLE, dtype="int16")
    described = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))
    channels = {described["channels"]["left"]: 0, described["channels"]["right"]: 1}
    return [
        np.ascontiguousarray(
            call[max(0, 8 * (turn["start_ms"] - 250)) : 8 * (turn["end_ms"] + 250), channels[turn["speaker"]]]
        )
        for turn in described["turns"]
    ]


def opened(engine: Moonshine, pcm: Pcm, options: DecodeOptions = TIMED) -> MoonshineSession:
    session = engine.open(options)
    assert isinstance(session, MoonshineSession)
    session.accept(pcm)
    return session


def hear(engine: Moonshine, pcm: Pcm, options: DecodeOptions = TIMED, kind: Kind = Kind.FINAL) -> Hypothesis:
    (found,) = engine.step([Job(opened(engine, pcm, options), kind)])
    return found


def must_be_sound(found: Hypothesis, pcm: Pcm) -> None:
    assert " ".join(token.content for token in found.tokens) == found.text
    times = [time for token in found.tokens for time in (token.start_ms, token.end_ms)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= len(pcm) // 8
    assert all(0.0 <= token.confidence <= 1.0 for token in found.tokens)


@pytest.mark.slow
def test_words_have_places_where_they_are_asked_for_and_the_text_stays(engine: Moonshine, turns: list[Pcm]) -> None:
    errors = []
    for pcm in turns:
        plain, timed = hear(engine, pcm, PLAIN), hear(engine, pcm)
        assert plain.tokens == ()
        assert (timed.text, timed.said, timed.confidence) == (plain.text, plain.said, plain.confidence)
        must_be_sound(timed, pcm)
        # The turn begins and ends 250 ms within.
        errors.append((timed.tokens[0].start_ms - 250, timed.tokens[-1].end_ms - (len(pcm) // 8 - 250)))
    # A voice may end softly, and of long numbers the model leaves out the end.
    assert np.median(np.abs(errors), axis=0) == pytest.approx([0, 0], abs=80)
    assert hear(engine, turns[0], kind=Kind.PARTIAL).tokens == ()


@pytest.mark.slow
def test_a_guess_has_the_words_of_the_final(engine: Moonshine, turns: list[Pcm]) -> None:
    """A guess that turns out right is the text that is told."""
    guess, final = hear(engine, turns[1], kind=Kind.SPECULATIVE), hear(engine, turns[1])
    assert guess.tokens
    assert [token.content for token in guess.tokens] == [token.content for token in final.tokens]
    # The guess is checked at once, not said again: its numbers are as near as rounding lets them be.
    for one, two in zip(guess.tokens, final.tokens, strict=True):
        assert (one.start_ms, one.end_ms) == pytest.approx((two.start_ms, two.end_ms), abs=2 * FRAME_MS)


@pytest.mark.slow
def test_rows_of_a_batch_have_their_own_words(engine: Moonshine, turns: list[Pcm]) -> None:
    """Rows of different lengths that end at different steps, one of which asks for no words."""
    chosen = turns[:5]
    asked = [TIMED, PLAIN, TIMED, TIMED, TIMED]
    jobs = [Job(opened(engine, pcm, options), Kind.FINAL) for pcm, options in zip(chosen, asked, strict=True)]
    for pcm, options, found in zip(chosen, asked, engine.step(jobs), strict=True):
        if options is PLAIN:
            assert found.tokens == ()
            continue
        must_be_sound(found, pcm)
        alone = hear(engine, pcm)
        if found.said == alone.said:
            for one, two in zip(found.tokens, alone.tokens, strict=True):
                assert one.start_ms == pytest.approx(two.start_ms, abs=3 * FRAME_MS)


@pytest.mark.slow
def test_behind_a_cut_words_are_timed_from_the_cut_on(engine: Moonshine, turns: list[Pcm]) -> None:
    """A turn cut in two: the second piece's words lie where they lie in the whole turn."""
    pcm = sorted(turns, key=len)[-3]
    whole = hear(engine, pcm)
    cut_ms = whole.tokens[len(whole.tokens) // 2].end_ms + 10
    first, rest = pcm[: cut_ms * 8], pcm[cut_ms * 8 :]
    session = opened(engine, rest)
    session.recall(Past(first, hear(engine, first), cut=True))
    (found,) = engine.step([Job(session, Kind.FINAL)])
    must_be_sound(found, rest)
    expected = {token.content: token for token in whole.tokens if token.start_ms > cut_ms}
    common = [(token, expected[token.content]) for token in found.tokens if token.content in expected]
    assert len(common) >= 3
    for token, one in common:
        assert token.start_ms == pytest.approx(one.start_ms - cut_ms, abs=100)


@pytest.mark.slow
def test_heard_again_behind_the_utterance_before_words_are_timed_by_their_own_audio(
    engine: Moonshine, turns: list[Pcm]
) -> None:
    before, pcm = turns[0], turns[2]
    session = opened(engine, pcm)
    session.recall(Past(before, hear(engine, before)))
    # So doubtful that it is heard again, and that whatever is heard then is surer.
    doubtful = Hypothesis("nonsense", final=True, confidence=0.0, said=(1000,))
    again = session.again(doubtful)
    assert again is not None
    (found,) = engine.step([Job(again, Kind.FINAL)])
    assert found.text != "nonsense"
    must_be_sound(found, pcm)
    assert found.tokens[0].start_ms == pytest.approx(250, abs=100)


@pytest.mark.slow
@pytest.mark.parametrize("phrase", ["Ж" * 255, "word " * 50 + "word", "1" * 255])
def test_a_phrase_much_longer_than_what_was_heard_for_it_has_a_place(
    engine: Moonshine, turns: list[Pcm], phrase: str
) -> None:
    pcm = turns[0][: 8 * 2000]
    said = hear(engine, pcm).tokens[1].content.strip(".,?!")
    found = hear(engine, pcm, DecodeOptions(word_times=True, vocabulary=(Phrase(phrase, (said,)),)))
    assert phrase in found.text
    must_be_sound(found, pcm)

"""A vocabulary in the real recognizer: what the sample call says is written, what it does not say changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gateway.speech.engine import DecodeOptions, Hypothesis, Job, Kind, Past, Pcm
from gateway.speech.moonshine import Moonshine, MoonshineSession
from gateway.speech.vocabulary import MAX_ENTRIES, Phrase, Vocabulary

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "cache" / "moonshine-tiny-en"
SAMPLE = ROOT / "samples" / "support-call.wav"

# The recognizer knows the words and not how these people write them.
HARBOUR = (Phrase("Harbour Broadband"), Phrase("Emilie"), Phrase("PINcode", ("PIN number",)))
UNSAID = tuple(
    Phrase(f"{name}{end}") for name in ("Quintav", "Zelor", "Brixw", "Pelag") for end in map("{}ona".format, range(50))
)


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    engine = Moonshine(MODEL)
    engine.warm_up()
    return engine


@pytest.fixture(scope="module")
def turns() -> list[Pcm]:
    call, _ = soundfile.read(SAMPLE, dtype="int16")
    described = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))
    channels = {described["channels"]["left"]: 0, described["channels"]["right"]: 1}
    return [
        np.ascontiguousarray(call[8 * (turn["start_ms"] - 150) : 8 * (turn["end_ms"] + 150), channels[turn["speaker"]]])
        for turn in described["turns"]
    ]


def session(pcm: Pcm, vocabulary: Vocabulary = ()) -> MoonshineSession:
    made = MoonshineSession(DecodeOptions(vocabulary=vocabulary))
    made.accept(pcm)
    return made


def hear(engine: Moonshine, *sessions: MoonshineSession, kind: Kind = Kind.FINAL) -> list[Hypothesis]:
    return engine.step([Job(one, kind) for one in sessions])


def test_what_the_audio_agrees_to_is_written_as_the_phrase(moonshine: Moonshine, turns: Sequence[Pcm]) -> None:
    plain, biased = hear(moonshine, session(turns[0])), hear(moonshine, session(turns[0], HARBOUR))
    assert "Harbor Broadband" in plain[0].text
    assert "Emily" in plain[0].text
    assert biased[0].text == plain[0].text.replace("Harbor", "Harbour").replace("Emily", "Emilie")
    # As sure as before: a second hearing is for what was heard badly.
    assert biased[0].confidence == pytest.approx(plain[0].confidence, abs=0.05)
    assert biased[0].length == len(biased[0].said)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_decode_says_the_same(moonshine: Moonshine, turns: Sequence[Pcm], kind: Kind) -> None:
    once = hear(moonshine, session(turns[0], HARBOUR), kind=kind)[0]
    again = hear(moonshine, session(turns[0], HARBOUR))[0]
    assert "Harbour Broadband" in once.text
    assert once.said == again.said


def test_phrases_that_are_not_said_change_no_token(moonshine: Moonshine, turns: Sequence[Pcm]) -> None:
    assert len(UNSAID) == MAX_ENTRIES
    for turn in turns:
        assert hear(moonshine, session(turn, UNSAID))[0].said == hear(moonshine, session(turn))[0].said


def test_each_row_of_a_batch_has_its_own(moonshine: Moonshine, turns: Sequence[Pcm]) -> None:
    alone = hear(moonshine, session(turns[0]), session(turns[0]), session(turns[2]))
    mixed = hear(moonshine, session(turns[0]), session(turns[0], HARBOUR), session(turns[2]))
    assert mixed[0] == alone[0]
    assert mixed[2] == alone[2]
    assert "Harbour" in mixed[1].text


def test_a_form_is_replaced_and_the_words_have_times(moonshine: Moonshine, turns: Sequence[Pcm]) -> None:
    made = MoonshineSession(DecodeOptions(word_times=True, vocabulary=HARBOUR))
    made.accept(turns[11])
    found = hear(moonshine, made)[0]
    assert "PINcode" in found.text
    assert " ".join(token.content for token in found.tokens) == found.text
    starts = [token.start_ms for token in found.tokens]
    assert starts == sorted(starts)


def test_a_second_hearing_and_a_cut_are_biased_too(moonshine: Moonshine, turns: Sequence[Pcm]) -> None:
    before = hear(moonshine, session(turns[1], HARBOUR))[0]
    late = session(turns[0], HARBOUR)
    late.past = Past(turns[1], before)
    late.first = Hypothesis("Harper", final=True, confidence=0.1, length=2, said=before.said[:2])
    assert "Harbour Broadband" in hear(moonshine, late)[0].text
    at = 8 * 1200
    behind = session(turns[0][at:], HARBOUR)
    first = hear(moonshine, session(turns[0][:at], HARBOUR))[0]
    behind.recall(Past(turns[0][:at], first, cut=True))
    text = hear(moonshine, behind)[0].text
    assert "Emilie" in text
    assert text.count("Broadband") + first.text.count("Broadband") == 1

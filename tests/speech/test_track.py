from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway._native import mulaw, track
from gateway.config import EndpointSettings, VadSettings
from gateway.speech.sentence import Verdict
from gateway.speech.track import FRAME, GATE_HOLD_FRAMES, Ending, Found, Pause, Resumption, Segment, SpeechTrack

VAD = VadSettings.model_validate({})
SETTINGS = EndpointSettings.model_validate(
    {
        "min_speech_ms": 96,
        "silence_ms": 320,
        "complete_ms": 224,
        "pre_roll_ms": 64,
        "post_roll_ms": 64,
        "max_utterance_ms": 4000,
    }
)


def tone(ms: int, amplitude: int = 8000) -> NDArray[np.int16]:
    time = np.arange(ms * 8)
    wave: NDArray[np.int16] = (amplitude * np.sin(time * 0.7)).astype(np.int16)
    return wave


def quiet(ms: int) -> NDArray[np.int16]:
    return np.zeros(ms * 8, np.int16)


def loudness(frames: NDArray[np.int16]) -> NDArray[np.float32]:
    """Speech, for these tests, is what is loud."""
    loud: NDArray[np.float32] = (np.abs(frames.astype(np.int32)).mean(axis=1) > 1000).astype(np.float32)
    return loud


class Line:
    """A track with its gate open, and what was found on it."""

    def __init__(self, verdict: Verdict | None = Verdict.OPEN) -> None:
        self.media = track.Track()
        self.media.open_gate()
        # What the text of every pause says; None if nobody answers.
        self.verdict = verdict
        self.speech = SpeechTrack(self.media, VAD, SETTINGS, 0)
        self.found: list[Segment] = []
        self.pauses: list[Pause | Resumption] = []
        self.asked = 0
        self.now_ms = 0

    def place(self, pcm: NDArray[np.int16], at_ms: int = -1) -> None:
        self.media.place(at_ms, mulaw.encode(pcm), self.now_ms)

    def work(self, now_ms: int | None = None) -> None:
        while (taken := self.speech.take(self.now_ms if now_ms is None else now_ms)) is not None:
            frames, mask = taken
            self.asked += sum(mask)
            self.hear(self.speech.judge(loudness(frames) * mask))
            if self.speech.finished or now_ms is not None:
                break

    def hear(self, shown: Iterable[Found]) -> None:
        for found in shown:
            if isinstance(found, Segment):
                self.found.append(found)
                continue
            self.pauses.append(found)
            if isinstance(found, Pause) and self.verdict is not None:
                self.hear(self.speech.advise(found.number, self.verdict))

    def finish(self) -> list[Segment]:
        self.work()
        self.media.close_gate()
        self.speech.finishing = True
        while not self.speech.finished:
            self.work()
        return self.found


def ms(segment: Segment) -> tuple[int, int]:
    return segment.start // 8, segment.end // 8


def test_an_utterance_and_its_place() -> None:
    line = Line()
    line.place(np.concatenate([quiet(1024), tone(960), quiet(1024)]))
    line.work()
    (segment,) = line.found
    assert ms(segment) == (1024, 1984)
    assert segment.ending is Ending.SILENCE
    assert len(segment.pcm) == 8 * (64 + 960 + 64)


def test_a_long_silence_is_not_judged() -> None:
    line = Line()
    line.place(quiet(3200))
    line.work()
    assert line.asked == GATE_HOLD_FRAMES


def test_speech_at_a_stop_is_an_utterance() -> None:
    line = Line()
    line.place(np.concatenate([quiet(320), tone(1000)]))
    (segment,) = line.finish()
    assert segment.ending is Ending.FINISH
    assert segment.start == 320 * 8
    assert segment.end >= 1320 * 8


def test_a_pause_is_told_with_the_audio_up_to_it_and_taken_back_when_speech_goes_on() -> None:
    line = Line()
    line.place(np.concatenate([quiet(320), tone(640), quiet(192), tone(640), quiet(640)]))
    line.work()
    assert [type(one) for one in line.pauses] == [Pause, Resumption, Pause]
    (segment,) = line.found
    first, last = line.pauses[0], line.pauses[2]
    assert isinstance(first, Pause)
    assert isinstance(last, Pause)
    assert np.array_equal(first.pcm, segment.pcm[: len(first.pcm)])
    shared = min(len(last.pcm), len(segment.pcm))
    assert shared >= 8 * (640 + 192 + 640)
    assert np.array_equal(last.pcm[:shared], segment.pcm[:shared])


def test_an_utterance_that_waits_is_in_memory_once() -> None:
    line = Line(verdict=None)
    line.place(quiet(320))
    line.work()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(7):
            line.place(tone(480))
            line.work()
        line.place(quiet(192))
        line.work()
        # The guess at the pause waits, and the utterance is open.
        (pause,) = line.pauses
        assert isinstance(pause, Pause)
        assert len(pause.ulaw) > 8 * 7 * 480
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 1.4 * len(pause.ulaw)
    finally:
        tracemalloc.stop()


def test_nothing_said_nothing_found() -> None:
    line = Line()
    line.place(quiet(640))
    assert line.finish() == []


def test_media_that_stop_coming_end_the_utterance() -> None:
    line = Line()
    line.now_ms = 10_000
    line.place(np.concatenate([quiet(320), tone(960)]))
    line.work()
    assert line.found == []
    line.work(10_000 + SETTINGS.silence_ms + 100)
    assert line.found == []
    line.work(10_000 + SETTINGS.silence_ms + 101)
    assert [segment.ending for segment in line.found] == [Ending.MISSING]
    line.now_ms = 11_000
    line.place(np.concatenate([tone(960), quiet(640)]))
    line.work()
    assert [segment.ending for segment in line.found] == [Ending.MISSING, Ending.SILENCE]
    assert line.found[1].start >= line.found[0].end


def test_a_long_gap_ends_the_utterance_and_keeps_the_time() -> None:
    line = Line()
    line.place(tone(960), at_ms=0)
    line.place(np.concatenate([tone(640), quiet(640)]), at_ms=60_000)
    line.work()
    assert [segment.ending for segment in line.found] == [Ending.JUMP, Ending.SILENCE]
    assert ms(line.found[1]) == (60_000, 60_640)


def test_a_monologue_is_cut_and_no_sample_is_lost_or_doubled() -> None:
    line = Line()
    speech = tone(9000)
    line.place(speech[: 8 * 6000])
    line.work()
    line.place(speech[8 * 6000 :])
    line.work()
    found = line.finish()
    assert [segment.ending for segment in found[:-1]] == [Ending.CUT] * (len(found) - 1)
    assert len(found) >= 3
    together = np.concatenate([segment.pcm for segment in found])
    assert np.array_equal(together[: len(speech)], mulaw.decode(mulaw.encode(speech)))
    assert all(before.end == after.start for before, after in itertools.pairwise(found))


@given(st.lists(st.integers(1, 900), min_size=1, max_size=12), st.integers(0, 2))
def test_any_chunking_finds_the_same(sizes: list[int], shape: int) -> None:
    parts = [quiet(200), tone(700), quiet(500), tone(300, 3000), quiet(450), tone(90), quiet(400)]
    speech = np.concatenate(parts[shape:] + parts[:shape])
    whole = Line()
    whole.place(speech)
    expected = whole.finish()
    pieces, place, turn = Line(), 0, 0
    while place < len(speech):
        size = sizes[turn % len(sizes)]
        pieces.place(speech[place : place + size])
        pieces.work()
        place, turn = place + size, turn + 1
    found = pieces.finish()
    assert [(s.start, s.end, s.ending) for s in found] == [(s.start, s.end, s.ending) for s in expected]
    assert all(np.array_equal(a.pcm, b.pcm) for a, b in zip(found, expected, strict=True))
    assert pieces.asked == whole.asked


@pytest.mark.parametrize(
    ("verdict", "silence"), [(Verdict.COMPLETE, 224), (Verdict.OPEN, 320), (Verdict.INCOMPLETE, 1248)]
)
def test_the_text_decides_how_long_the_silence_is(verdict: Verdict, silence: int) -> None:
    line = Line(verdict)
    line.place(np.concatenate([quiet(1024), tone(960), quiet(1600)]))
    line.work()
    (segment,) = line.found
    assert segment.decided == (1024 + 960 + silence) * 8
    assert ms(segment) == (1024, 1984)


@given(st.lists(st.integers(20, 900), min_size=1, max_size=6), st.integers(0, 40), st.sampled_from(Verdict))
def test_a_late_answer_ends_utterances_where_one_at_once_does(sizes: list[int], lag: int, verdict: Verdict) -> None:
    speech = np.concatenate([quiet(200), tone(700), quiet(300), tone(300), quiet(600), tone(200), quiet(1100)])
    prompt = Line(verdict)
    prompt.place(speech)
    expected = prompt.finish()

    late, place, turn, answered = Line(None), 0, 0, 0
    due: list[tuple[int, int]] = []
    while place < len(speech):
        size = sizes[turn % len(sizes)]
        late.place(speech[place : place + size])
        late.work()
        place, turn = place + size, turn + 1
        pauses = [one.number for one in late.pauses if isinstance(one, Pause)]
        due += [(number, turn + lag) for number in pauses[answered:]]
        answered = len(pauses)
        for number, _ in [one for one in due if one[1] <= turn]:
            late.hear(late.speech.advise(number, verdict))
        due = [one for one in due if one[1] > turn]
    for number in range(answered + 9):
        late.hear(late.speech.advise(number, verdict))
    found = late.finish()
    assert [(s.start, s.end, s.ending) for s in found] == [(s.start, s.end, s.ending) for s in expected]


def test_an_answer_of_another_pause_is_ignored() -> None:
    line = Line(None)
    line.place(np.concatenate([quiet(320), tone(640), quiet(192), tone(640), quiet(256)]))
    line.work()
    assert not line.found
    line.hear(line.speech.advise(1, Verdict.COMPLETE))
    line.place(quiet(320))
    line.work()
    assert (line.found, line.speech.waiting) == ([], True)
    line.hear(line.speech.advise(2, Verdict.COMPLETE))
    assert [segment.ending for segment in line.found] == [Ending.SILENCE]
    assert not line.speech.waiting


def test_a_track_that_waits_for_an_answer_takes_a_bounded_number_of_frames() -> None:
    line = Line(None)
    line.place(np.concatenate([quiet(320), tone(640), quiet(1000)]))
    line.work()
    for _ in range(10):
        line.place(quiet(1000))
        line.work()
    assert line.speech.waiting
    assert line.speech.take(0) is None
    assert line.media.available() >= FRAME
    line.hear(line.speech.advise(1, Verdict.OPEN))
    assert line.speech.take(0) is not None


def test_a_stop_waits_for_no_answer() -> None:
    line = Line(None)
    line.place(np.concatenate([quiet(320), tone(640), quiet(640), tone(640), quiet(640)]))
    found = line.finish()
    assert [ms(segment) for segment in found] == [(320, 960), (1600, 2240)]


def test_positions_are_those_of_the_stream() -> None:
    line = Line()
    line.media.close_gate()
    line.place(quiet(5000), at_ms=100)
    line.media.open_gate()
    line.speech = SpeechTrack(line.media, VAD, SETTINGS, 0)
    line.place(np.concatenate([quiet(320), tone(640), quiet(640)]))
    line.work()
    assert ms(line.found[0]) == (5100 + 320, 5100 + 960)


def test_a_track_opened_before_its_first_media_begins_with_them() -> None:
    line = Line()
    line.place(np.concatenate([quiet(320), tone(640), quiet(640)]), at_ms=149)
    line.work()
    assert ms(line.found[0]) == (149 + 320, 149 + 960)


@pytest.mark.parametrize("rest", [0, 1, FRAME - 1])
def test_the_last_part_of_a_frame_is_heard(rest: int) -> None:
    line = Line()
    line.place(tone(960)[: 8 * 960 - FRAME + rest])
    (segment,) = line.finish()
    assert len(segment.pcm) >= 8 * 960 - FRAME + rest

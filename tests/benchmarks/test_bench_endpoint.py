"""Whether a run waits as its policy says, and what counts as a sentence that was split."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.bench_endpoint import Line, Policy, listen, splits
from gateway.config import EndpointSettings, VadSettings
from gateway.speech.engine import PLAIN, DecodeOptions, Hypothesis, Job, Pcm, Session
from gateway.speech.patience import Patience

VAD, SETTINGS = VadSettings.model_validate({}), EndpointSettings.model_validate({})
FIXED, TOLD = Policy(Patience(5, 15, 15, 15, 312)), Policy(Patience(5, 8, 15, 25, 312), 0.8, 0.95)


class Audio:
    def __init__(self) -> None:
        self.samples = 0

    def accept(self, pcm: Pcm) -> None:
        self.samples += len(pcm)

    @property
    def duration_ms(self) -> int:
        return self.samples // 8


class Parrot:
    """Says the same of all audio, or by its length in frames."""

    name = "parrot"
    languages = frozenset({"en"})

    def __init__(self, text: str, confidence: float = 0.9, joint: str = "") -> None:
        self.text, self.confidence, self.joint = text, confidence, joint

    def open(self, options: DecodeOptions = PLAIN) -> Session:
        return Audio()

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        return [
            Hypothesis(
                self.joint if self.joint and job.session.duration_ms > 3000 else self.text, True, self.confidence
            )
            for job in jobs
        ]

    def warm_up(self) -> None:
        pass


def line(*runs: tuple[int, bool]) -> Line:
    """So many frames of speech or of silence."""
    speech = [0.95 if spoken else 0.01 for count, spoken in runs for _ in range(count)]
    levels = [-20.0 if probability > 0.5 else -65.0 for probability in speech]
    return Line(np.ones(len(speech) * 256, np.int16), speech, levels, ())


@pytest.mark.parametrize(
    ("text", "confidence", "waited"),
    [("That is all.", 0.9, 8), ("That is all.", 0.7, 15), ("All right.", 0.9, 15), ("And my", 0.9, 25)],
)
def test_a_run_waits_as_long_as_the_text_says(text: str, confidence: float, waited: int) -> None:
    found, decodes = listen(line((40, True), (40, False)), TOLD, Parrot(text, confidence), VAD, SETTINGS)

    assert [one.decided for one in found] == [40 + waited]
    assert decodes == 1


def test_a_pause_that_the_text_bridges_is_none() -> None:
    track = line((40, True), (20, False), (40, True), (40, False))

    assert len(listen(track, FIXED, Parrot("And my"), VAD, SETTINGS)[0]) == 2
    assert len(listen(track, TOLD, Parrot("And my"), VAD, SETTINGS)[0]) == 1


def test_what_is_still_open_at_the_end_is_told() -> None:
    found, _ = listen(line((40, True), (3, False)), FIXED, Parrot("And so"), VAD, SETTINGS)

    assert [(one.decided, one.text) for one in found] == [(None, "And so")]


@pytest.mark.parametrize(
    ("joint", "split"),
    [("I want to. I want to.", False), ("I want to I want to.", True), ("I want to, I want to.", True)],
)
def test_a_sentence_is_split_where_the_whole_has_no_end(joint: str, split: bool) -> None:
    track = line((40, True), (20, False), (40, True), (40, False))
    engine = Parrot("I want to.", joint=joint)
    first, second = listen(track, FIXED, engine, VAD, SETTINGS)[0]

    assert splits(track, first, second, engine) is split

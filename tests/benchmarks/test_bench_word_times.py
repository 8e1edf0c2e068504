"""What the benchmark says when it cannot measure, and (slow) what the gateway tells it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.bench_word_times import Told, _both, _errors, _hear, _sure, main
from benchmarks.speech.borders import Word
from benchmarks.speech.word_times import Spoken
from gateway import config
from gateway.server.speech import VAD_FILE, VAD_MODEL, load_engine
from gateway.speech.silero import Silero
from models.store import locate

SAMPLE = Path(__file__).parents[2] / "samples" / "support-call.wav"


def spoken(*words: tuple[int, int, str]) -> Spoken:
    return Spoken("one", "read", np.zeros(80, np.int16), tuple(Word(*word) for word in words))


def told(*words: tuple[int, int, str], confidence: float = 1.0) -> Told:
    return Told(tuple(Word(*word) for word in words), (confidence,) * len(words))


def test_speech_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--speech", str(tmp_path)]) == 2
    assert str(tmp_path / "manifest.json") in capsys.readouterr().err


def test_errors_are_those_of_the_words_that_were_read_right() -> None:
    item = spoken((0, 100, "one"), (100, 200, "two"), (200, 300, "three"))
    ours = told((10, 90, "One"), (100, 200, "too"), (260, 280, "three."), confidence=0.5)
    found = _errors([item], [ours])["read"]
    assert (found["start"]["mean"], found["start"]["words"]) == (35.0, 2)
    assert found["end"]["late"] == -15.0
    assert _sure([item], [ours]) == [(0.5, True), (0.5, False), (0.5, True)]
    both = _both([item], [ours], [told((0, 100, "one"), (100, 200, "two"))])
    assert both == [{0}]
    assert _errors([item], [ours], both)["read"]["start"]["mean"] == 10.0


@pytest.mark.slow
def test_the_gateway_tells_the_words_of_the_sample() -> None:
    call, _ = soundfile.read(SAMPLE, dtype="int16", stop=12 * 8000)
    settings = config.load()
    voice = Silero(locate(settings.models_dir, VAD_MODEL) / VAD_FILE)
    item = Spoken("agent", "read", np.ascontiguousarray(call[:, 1]), ())
    (found,) = _hear([item], load_engine(settings), voice)
    assert {"calling", "help"} <= {word.text.strip(".,?").casefold() for word in found.words}
    times = [time for word in found.words for time in (word.begin, word.end)]
    assert all(one <= two for one, two in pairwise(times))
    assert all(0.0 <= sure <= 1.0 for sure in found.confidences)
    # Somebody speaks where the words are said to be: the line's noise is at a thousandth of the voice.
    spans = [item.pcm[word.begin * 8 : word.end * 8].astype(np.float64) for word in found.words]
    assert all(np.sqrt(np.square(span).mean()) > 300 for span in spans)

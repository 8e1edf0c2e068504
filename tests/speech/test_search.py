"""When an utterance is heard again; and the real model (slow) on the sample call, behind the utterance before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gateway.speech import search
from gateway.speech.engine import Engine, Hypothesis, Job, Kind, Past, Pcm, Recalling
from gateway.speech.graphs import Graphs, ShippedGraphs, load
from gateway.speech.moonshine import Moonshine, prepare, token_limit
from gateway.speech.tokenizer import END, Tokenizer

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "cache" / "moonshine-tiny-en"
SAMPLE = ROOT / "samples" / "support-call.wav"

SURE = Hypothesis("That is all.", final=True, confidence=search.DOUBTFUL, said=(1, 2))


@pytest.mark.parametrize(
    ("hypothesis", "doubtful"),
    [
        (SURE, False),
        (replace(SURE, confidence=search.DOUBTFUL - 0.01), True),
        (replace(SURE, confidence=0.1, said=()), False),  # an engine that does not say what it said
        (Hypothesis("", final=True), False),
    ],
)
def test_what_is_not_sure_is_heard_again(hypothesis: Hypothesis, doubtful: bool) -> None:
    assert search.doubtful(hypothesis) is doubtful


def test_no_more_is_heard_again_than_the_model_can_take() -> None:
    past = Past(np.ones(5000 * 8, np.int16), SURE)
    own = np.full((search.LONGEST_MS - 5000) * 8, 2, np.int16)
    both = search.joined(past, own)
    assert both is not None
    assert np.array_equal(both, np.concatenate([past.pcm, own]))
    assert search.joined(past, np.append(own, np.int16(0))) is None


# --- the real model ---------------------------------------------------------------------------------------------


@dataclass
class Row:
    limit: int
    ids: list[int] = field(default_factory=list)
    done: bool = False

    def take(self, token: int, probability: float) -> None:
        assert 0 < probability <= 1
        self.done = token == END or len(self.ids) >= self.limit
        if not self.done:
            self.ids.append(token)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Moonshine(MODEL)


@pytest.fixture(scope="module")
def turns() -> list[Pcm]:
    """Two turns of one speaker, the sample's agent."""
    agent = soundfile.read(SAMPLE, dtype="int16")[0][:, 1]
    return [agent[12_900 * 8 : 16_300 * 8], agent[21_800 * 8 : 24_600 * 8]]


def read(engine: Engine, pcm: Pcm, past: Past | None = None) -> Hypothesis:
    session = engine.open()
    session.accept(pcm)
    if past is not None:
        assert isinstance(session, Recalling)
        session.recall(past)
    (first,) = engine.step([Job(session, Kind.FINAL)])
    again = session.again(first) if isinstance(session, Recalling) else None
    return engine.step([Job(again, Kind.FINAL)])[0] if again is not None else first


@pytest.fixture(scope="module", params=["prepared", "shipped"])
def graphs(request: pytest.FixtureRequest) -> Graphs:
    if request.param == "prepared":
        return load(MODEL)
    return ShippedGraphs(MODEL / "encoder_model.ort", MODEL / "decoder_model_merged.ort")


def words(ids: Sequence[int]) -> list[str]:
    return re.findall(r"\w+", Tokenizer.read(MODEL / "tokenizer.bin").decode(ids).lower())


@pytest.mark.slow
def test_behind_nothing_the_search_is_the_first_one(engine: Engine, graphs: Graphs, turns: list[Pcm]) -> None:
    audio = prepare(turns[0])
    row = Row(token_limit(len(audio)))
    search.go_on(graphs, audio, (), (), row)
    assert words(row.ids) == words(read(engine, turns[0]).said)


@pytest.mark.slow
@pytest.mark.parametrize("draft", ["none", "all", "more", "other", "half"])
def test_behind_the_utterance_before_only_the_new_words_are_found(
    engine: Engine, graphs: Graphs, turns: list[Pcm], draft: str
) -> None:
    """Whatever the draft: it costs or saves steps, and changes nothing."""
    before, after = read(engine, turns[0]).said, read(engine, turns[1]).said
    assert {"phone", "number"} <= set(words(before))
    assert {"email", "address"} <= set(words(after))
    drafts = {
        "none": (),
        "all": after,
        "more": (*after, *before),
        "other": before,
        "half": (*after[: len(after) // 2], *before),
    }
    row = Row(40)
    search.go_on(graphs, prepare(np.concatenate(turns)), before, drafts[draft], row)
    assert words(row.ids) == words(after)


@pytest.mark.slow
def test_the_surer_text_of_a_doubtful_utterance_is_told(engine: Engine, turns: list[Pcm]) -> None:
    past = Past(turns[0], read(engine, turns[0]))
    noise = np.random.default_rng(3).normal(0, 1, len(turns[1]))
    told = []
    for level in (300, 600, 1200, 2400):
        noisy = (turns[1] + level * noise).clip(-32768, 32767).astype(np.int16)
        first, second = read(engine, noisy), read(engine, noisy, past)
        if search.doubtful(first):
            assert second.confidence >= first.confidence
            told.append(second.text != first.text)
        else:
            assert second == first
    assert any(told), "no second hearing was surer"
    assert not all(told) or len(told) < 4


@pytest.mark.slow
@pytest.mark.parametrize("cut_ms", [14_100, 14_700, 15_200])
def test_no_word_is_lost_or_doubled_at_a_cut(engine: Engine, cut_ms: int) -> None:
    agent = soundfile.read(SAMPLE, dtype="int16")[0][:, 1]
    before, after = agent[12_900 * 8 : cut_ms * 8], agent[cut_ms * 8 : 16_300 * 8]
    first = read(engine, before)
    second = read(engine, after, Past(before, first, cut=True))
    whole = words(read(engine, np.concatenate([before, after])).said)
    found = re.findall(r"\w+", f"{first.text} {second.text}".lower())
    assert abs(len(found) - len(whole)) <= 1
    assert len(set(whole) - set(found)) <= 1

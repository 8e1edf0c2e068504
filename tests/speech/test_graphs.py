"""The prepared graphs against the shipped ones, token for token, on real speech (slow)."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gateway.errors import InternalError, ModelError
from gateway.speech.graphs import Audio, Decoding, Graphs, PreparedGraphs, ShippedGraphs, load
from gateway.speech.moonshine import Moonshine, prepare, token_limit
from gateway.speech.tokenizer import END, START
from models.prepare import prepare as prepared_graphs

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "cache" / "moonshine-tiny-en"
SAMPLE = ROOT / "samples" / "support-call.wav"
SPEECH = ROOT.parent / "shared" / "speech" / "utterances"


@pytest.fixture(scope="module")
def shipped() -> ShippedGraphs:
    return ShippedGraphs(MODEL / "encoder_model.ort", MODEL / "decoder_model_merged.ort")


@pytest.fixture(scope="module")
def prepared() -> PreparedGraphs:
    return PreparedGraphs(prepared_graphs(MODEL))


@pytest.fixture(scope="module")
def speech() -> list[Audio]:
    """The sample call's turns, and whatever speech lies beside the repository (at most 10 s of a file)."""
    call, _ = soundfile.read(SAMPLE, dtype="int16")
    described = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))
    channels = {described["channels"]["left"]: 0, described["channels"]["right"]: 1}
    cuts = [
        call[8 * (turn["start_ms"] - 150) : 8 * (turn["end_ms"] + 150), channels[turn["speaker"]]]
        for turn in described["turns"]
    ]
    cuts += [soundfile.read(path, dtype="int16", stop=80_000)[0] for path in sorted(SPEECH.glob("*.wav"))]
    return [prepare(np.ascontiguousarray(pcm)) for pcm in cuts]


def tokens(decoding: Decoding, limit: int) -> list[int]:
    """What a single row says."""
    ids: list[int] = []
    token = START
    while len(ids) < limit:
        token = int(decoding.step(np.array([token], np.int64))[0].argmax())
        if token == END:
            break
        ids.append(token)
    return ids


def said(graphs: Graphs, audio: Audio) -> list[int]:
    limit = token_limit(len(audio))
    return tokens(graphs.begin([audio], limit), limit)


@pytest.mark.slow
def test_the_prepared_step_says_what_the_shipped_one_says(
    shipped: ShippedGraphs, prepared: PreparedGraphs, speech: list[Audio]
) -> None:
    """Given the same audio in its caches: token for token, without an exception."""
    for number, audio in enumerate(speech):
        limit = token_limit(len(audio))
        heard = {f"cross_{what}_{layer}": cache for (layer, what), cache in shipped.caches(audio).items()}
        assert tokens(prepared.resume([heard], limit), limit) == said(shipped, audio), f"utterance {number}"


@pytest.mark.slow
def test_the_prepared_graphs_say_what_the_shipped_ones_say(
    shipped: ShippedGraphs, prepared: PreparedGraphs, speech: list[Audio]
) -> None:
    """Token for token, wherever either knows what it says.

    The prepared encoder rounds a convolution that the shipped one does not, and both round every layer to 8 bits: the
    last bit of a sum moves what comes after by some per cent.
    Noise 120 dB below the speech is enough to make the shipped graphs toss a coin between two spellings ("dot com",
    ".com"), in 2 of these 33 and the prepared ones in 4; where the two differ, both must say either.
    """
    random = np.random.default_rng(0)
    tossed = 0
    for number, audio in enumerate(speech):
        if said(prepared, audio) == said(shipped, audio):
            continue
        tossed += 1
        inaudible = [(audio * (1 + random.normal(0, 1e-6, len(audio)))).astype(np.float32) for _ in range(12)]
        mine, theirs = ({tuple(said(graphs, again)) for again in inaudible} for graphs in (prepared, shipped))
        assert mine & theirs, f"utterance {number}"
    assert tossed <= 0.2 * len(speech)


@pytest.mark.slow
def test_rows_of_a_batch_say_what_they_say_alone(prepared: PreparedGraphs, speech: list[Audio]) -> None:
    """Equal rows share their scales, so order, padding, lengths and caches must be exact, also after shrinking."""
    audio = speech[1]
    limit = token_limit(len(audio))
    alone = said(prepared, audio)
    decoding = prepared.begin([audio] * 3, limit)
    current = np.full(3, START, np.int64)
    for step, expected in enumerate(alone):
        if step == len(alone) // 2:
            decoding.shrink([2])
            current = current[2:]
        current = decoding.step(current).argmax(axis=-1)
        assert set(current.tolist()) == {expected}


@pytest.mark.slow
def test_a_row_hears_nothing_of_its_neighbours_audio(prepared: PreparedGraphs, speech: list[Audio]) -> None:
    """A short row beside a long one: its frames end where its audio does, whatever the padding holds."""
    short, long = sorted(speech, key=len)[1], max(speech, key=len)
    alone = prepared.begin([short], 4).step(np.array([START], np.int64))[0]
    beside = prepared.begin([short, long], 4).step(np.array([START, START], np.int64))
    # What both say first goes through the same rounding; what they hear does after the first layer no more.
    assert beside[0] == pytest.approx(alone, abs=0.1)
    assert int(beside[0].argmax()) == int(alone.argmax())


@pytest.mark.slow
def test_what_is_said_at_once_is_what_is_said_token_by_token(prepared: PreparedGraphs, speech: list[Audio]) -> None:
    """Rows of a batch that have said much, nothing, and something that is taken back go on as they would alone."""
    audio = speech[1]
    limit = token_limit(len(audio))
    alone = said(prepared, audio)
    assert len(alone) > 8
    decoding = prepared.begin([audio] * 3, limit)
    likely = decoding.say(0, np.array([START, *alone[:6]], np.int64))
    assert likely is not None
    assert likely.argmax(axis=-1).tolist() == alone[:7]
    wrong = [*alone[:3], *reversed(alone[3:8])]
    assert decoding.say(2, np.array([START, *wrong], np.int64)) is not None
    decoding.unsay(2, 4)
    heard: list[list[int]] = [alone[:7], [], alone[:4]]
    current = np.array([alone[6], START, alone[3]], np.int64)
    while min(map(len, heard)) < len(alone):
        current = decoding.step(current).argmax(axis=-1)
        for row, token in zip(heard, current.tolist(), strict=True):
            row.append(token)
        if len(heard) == 3 and len(heard[1]) == len(alone) - 2:
            decoding.shrink([2, 1])
            heard, current = [heard[2], heard[1]], current[[2, 1]]
    # A row that is done goes on beside the others, within its caches.
    for row in heard:
        assert row[: len(alone)] == alone


@pytest.mark.slow
def test_the_shipped_graphs_say_one_token_at_a_time(shipped: ShippedGraphs, speech: list[Audio]) -> None:
    decoding = shipped.begin([speech[1]], 8)
    assert decoding.say(0, np.array([START, 5], np.int64)) is None
    with pytest.raises(InternalError, match="nothing was said ahead"):
        decoding.unsay(0, 1)


@pytest.mark.slow
def test_a_model_that_cannot_be_prepared_runs_as_it_came(
    tmp_path: Path, speech: list[Audio], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"):
        (tmp_path / name).symlink_to(MODEL / name)

    def broken(_directory: Path) -> object:
        raise RuntimeError

    monkeypatch.setattr("gateway.speech.graphs.prepare", broken)
    graphs = load(tmp_path)
    assert isinstance(graphs, ShippedGraphs)
    assert "run as they came" in caplog.text
    assert "RuntimeError" in caplog.text
    assert said(graphs, speech[0]) == said(load(MODEL), speech[0])
    Moonshine(tmp_path).warm_up()


@pytest.mark.slow
def test_graphs_that_the_runtime_cannot_run_are_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The encoder's graph in the step's place loads, and fails only when it is run."""
    real = prepared_graphs(MODEL)
    swapped = type(real)(encoder=real.encoder, step=real.encoder)
    monkeypatch.setattr("gateway.speech.graphs.prepare", lambda _directory: swapped)
    assert isinstance(load(MODEL), ShippedGraphs)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_missing_file_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ModelError, match=r"encoder_model\.ort cannot be loaded; run `gateway models verify`"):
        load(tmp_path)
    assert "fetch" in caplog.text

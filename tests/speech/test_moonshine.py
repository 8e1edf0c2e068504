"""The guards and the audio's way in on their own; the real model (slow) on the sample call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from whisper_normalizer.english import EnglishTextNormalizer

from gateway._native import mulaw
from gateway.errors import InternalError, ModelError
from gateway.speech.engine import Engine, Job, Kind, Pcm, Session
from gateway.speech.kept import Stretch
from gateway.speech.moonshine import Moonshine, MoonshineSession, loop, prepare, token_limit
from models import manifest

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "cache" / "moonshine-tiny-en"
SAMPLE = ROOT / "samples" / "support-call.wav"


def tone(seconds: float, hertz: float = 440.0) -> Pcm:
    """A sine at half of full scale."""
    time = np.arange(int(seconds * 8000)) / 8000
    return (16384 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


# --- the audio's way in -----------------------------------------------------------------------------------------


def test_a_session_keeps_what_it_takes() -> None:
    session = MoonshineSession()
    chunk = tone(0.02)
    for _ in range(50):
        session.accept(chunk)
    chunk[:] = 0  # the caller's buffer is the caller's
    assert session.duration_ms == 1000
    assert np.array_equal(session.pcm(), np.tile(tone(0.02), 50))
    assert len(MoonshineSession().pcm()) == 0


def test_a_session_takes_telephone_audio_as_it_came() -> None:
    session = MoonshineSession()
    coded = mulaw.encode(tone(0.5))
    session.accept_ulaw(coded)
    session.accept(tone(0.02))
    session.accept_ulaw(Stretch.of(coded).tail(800))
    assert session.duration_ms == 620
    assert np.array_equal(session.pcm(), np.concatenate([mulaw.decode(coded), tone(0.02), mulaw.decode(coded[-800:])]))


@pytest.mark.parametrize("wrong", [np.zeros(8, np.float32), np.zeros((2, 8), np.int16)])
def test_a_session_takes_nothing_but_pcm(wrong: Pcm) -> None:
    with pytest.raises(InternalError, match=r"int16 of shape \(samples,\)"):
        MoonshineSession().accept(wrong)


def test_a_tone_keeps_its_pitch_and_level() -> None:
    heard = prepare(tone(1.0))[:16_000]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert int(spectrum.argmax()) == 440  # bins of 1 Hz
    assert heard.max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("scale", "peak"), [(1.0, 0.5), (0.08, 0.04), (0.04, 0.25), (0.01, 0.08)])
def test_only_very_quiet_lines_are_lifted(scale: float, peak: float) -> None:
    heard = prepare((tone(1.0) * scale).astype(np.int16))
    assert float(heard.max()) == pytest.approx(peak, rel=0.03)


def test_an_offset_is_taken_off_before_the_level_is_looked_at() -> None:
    quiet = (tone(1.0) * 0.01).astype(np.int16)
    assert np.allclose(prepare(quiet + np.int16(3000)), prepare(quiet), atol=0.02)
    slight = prepare(tone(1.0) + np.int16(20))[:16_000] - prepare(tone(1.0))[:16_000]
    assert float(slight.mean()) == pytest.approx(20 / 32768, rel=0.1)


@pytest.mark.parametrize("samples", [0, 1, 160, 8000])
def test_silence_follows_any_audio(samples: int) -> None:
    heard = prepare(tone(1.0)[:samples])
    assert heard.dtype == np.float32
    assert len(heard) == 2 * samples + 4800
    assert not heard[-4000:].any()


# --- the guards -------------------------------------------------------------------------------------------------


def test_tokens_are_bounded_by_the_audio() -> None:
    assert token_limit(16_000 * 10) == 73
    assert token_limit(0) == 8


@pytest.mark.parametrize(
    ("ids", "repetitions"),
    [
        ([5] * 10, 9),
        ([5] * 9, 0),
        ([9, 8, *[5, 6] * 6], 10),
        ([5, 6] * 5, 0),
        ([5, 6, 7] * 4, 9),
        ([1, 2, 3, 4, 5, 6, 7, 8] * 4, 24),
        ([1, 2, 3, 4, 5, 6, 7, 8] * 3, 0),
        ([*[5] * 10, 6], 0),
    ],
)
def test_loops_are_found_at_the_end(ids: Sequence[int], repetitions: int) -> None:
    assert loop(ids) == repetitions


@given(st.lists(st.integers(0, 3), max_size=60))
def test_a_loop_is_what_repeats_what_stands_before_it(ids: list[int]) -> None:
    repetitions = loop(ids)
    assert 0 <= repetitions < max(1, len(ids))
    if repetitions:
        lengths = [length for length in range(1, 9) if repetitions % length == 0]
        kept = ids[: len(ids) - repetitions]
        assert any(ids[-repetitions:] == kept[-length:] * (repetitions // length) for length in lengths)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.bin cannot be read"):
        Moonshine(tmp_path)
    (tmp_path / "tokenizer.bin").write_bytes(b"\x01a")
    (tmp_path / "encoder_model.ort").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"encoder_model\.ort cannot be loaded; run `gateway models verify`"):
        Moonshine(tmp_path)


def test_a_models_own_bound_of_tokens_holds() -> None:
    assert (token_limit(16_000), token_limit(16_000, 13.0), token_limit(160_000, 13.0)) == (14, 21, 138)


# --- the real model ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    engine = Moonshine(MODEL)
    engine.warm_up()
    return engine


@pytest.fixture(scope="module")
def turns() -> list[tuple[Pcm, str]]:
    """The sample call's turns with their words: real speech of many lengths, from both voices."""
    call, _ = soundfile.read(SAMPLE, dtype="int16")
    result = []
    described = json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))
    channels = {described["channels"]["left"]: 0, described["channels"]["right"]: 1}
    for turn in described["turns"]:
        # A little room, as endpointing leaves it.
        start, end = 8 * (turn["start_ms"] - 150), 8 * (turn["end_ms"] + 150)
        result.append((np.ascontiguousarray(call[start:end, channels[turn["speaker"]]]), str(turn["text"])))
    return result


def job(engine: Engine, *chunks: Pcm, kind: Kind = Kind.FINAL) -> Job:
    session: Session = engine.open()
    for chunk in chunks:
        session.accept(chunk)
    return Job(session, kind)


def word_errors(heard: list[str], said: list[str]) -> float:
    """Word error rate over all turns together."""
    normalize = EnglishTextNormalizer()
    return float(jiwer.wer([normalize(text) for text in said], [normalize(text) for text in heard]))


@pytest.mark.slow
def test_the_sample_call_is_read_well(moonshine: Moonshine, turns: list[tuple[Pcm, str]]) -> None:
    heard = [moonshine.step([job(moonshine, pcm)])[0] for pcm, _ in turns]
    assert word_errors([hypothesis.text for hypothesis in heard], [text for _, text in turns]) <= 0.08
    assert all(hypothesis.final and 0.5 < hypothesis.confidence <= 1.0 for hypothesis in heard)


@pytest.mark.slow
def test_a_batch_reads_as_well_as_one_by_one(moonshine: Moonshine, turns: list[tuple[Pcm, str]]) -> None:
    """Rows share the scale of their activations (see the module): a near-tie may fall otherwise, no more than that."""
    alone = [moonshine.step([job(moonshine, pcm)])[0].text for pcm, _ in turns]
    together: list[str] = []
    for start in range(0, len(turns), 8):
        jobs = [job(moonshine, pcm) for pcm, _ in turns[start : start + 8]]
        together += [hypothesis.text for hypothesis in moonshine.step(jobs)]
    assert word_errors(together, alone) <= 0.02


@pytest.mark.slow
def test_rows_of_one_utterance_are_exactly_what_it_is_alone(moonshine: Moonshine, turns: list[tuple[Pcm, str]]) -> None:
    """With one and the same audio in every row nothing can leak, so order, masks and caches must be exact."""
    pcm, _ = turns[1]
    (alone,) = moonshine.step([job(moonshine, pcm)])
    rows = moonshine.step([job(moonshine, pcm) for _ in range(4)])
    assert [row.text for row in rows] == [alone.text] * 4
    assert [row.confidence for row in rows] == pytest.approx([alone.confidence] * 4, abs=1e-4)


@pytest.mark.slow
def test_order_and_kinds_are_kept_beside_silence(moonshine: Moonshine, turns: list[tuple[Pcm, str]]) -> None:
    silence = np.zeros(8000, np.int16)
    jobs = [
        job(moonshine, silence, kind=Kind.PARTIAL),
        job(moonshine, turns[0][0]),
        job(moonshine),
        job(moonshine, turns[1][0], kind=Kind.SPECULATIVE),
    ]
    rows = moonshine.step(jobs)
    assert [row.final for row in rows] == [False, True, True, False]
    assert (rows[0].text, rows[0].confidence, rows[2].text) == ("", 1.0, "")
    assert word_errors([rows[1].text, rows[3].text], [turns[0][1], turns[1][1]]) <= 0.1


@pytest.mark.slow
def test_chunks_make_no_difference(moonshine: Moonshine, turns: list[tuple[Pcm, str]]) -> None:
    pcm, _ = turns[2]
    chunks = [pcm[at : at + 160] for at in range(0, len(pcm), 160)]
    (whole,) = moonshine.step([job(moonshine, pcm)])
    (pieces,) = moonshine.step([job(moonshine, *chunks)])
    assert pieces == whole


@pytest.mark.slow
def test_an_utterance_that_has_grown_is_read_as_if_it_were_new(
    moonshine: Moonshine, turns: list[tuple[Pcm, str]]
) -> None:
    """Also where what was heard of its beginning was cut off in a word, and beside utterances that are new."""
    fresh, knowing = Moonshine(MODEL), Moonshine(MODEL)
    long = [pcm for pcm, _ in turns if len(pcm) > 24_000][:4]
    assert len(long) == 4
    first = knowing.step([job(knowing, pcm[: len(pcm) * 2 // 3], kind=Kind.SPECULATIVE) for pcm in long[::2]])
    assert all(hypothesis.text for hypothesis in first)
    again = knowing.step([job(knowing, pcm) for pcm in long])
    said = [text for pcm, text in turns if len(pcm) > 24_000][:4]
    expected = [hypothesis.text for hypothesis in fresh.step([job(fresh, pcm) for pcm in long])]
    # A near-tie between two spellings may fall otherwise, as between batches.
    assert sum(a.text != b for a, b in zip(again, expected, strict=True)) <= 1
    assert word_errors([hypothesis.text for hypothesis in again], said) <= word_errors(expected, said) + 0.01


@pytest.mark.slow
def test_a_wrong_draft_is_not_believed(moonshine: Moonshine, turns: list[tuple[Pcm, str]]) -> None:
    """An utterance that only begins like another one: its own words come, not those."""
    (first, _), (second, _) = sorted(turns, key=lambda turn: len(turn[0]))[-2:]
    knowing = Moonshine(MODEL)
    mixed = np.concatenate([first[:4000], np.zeros(1600, np.int16), second])
    (before,) = knowing.step([job(knowing, first, kind=Kind.PARTIAL)])
    expected = moonshine.step([job(moonshine, mixed)])[0].text
    heard = knowing.step([job(knowing, mixed)])[0].text
    assert word_errors([heard], [expected]) < 0.1
    assert word_errors([heard], [before.text]) > 0.5


@pytest.mark.slow
def test_workers_at_once_do_not_disturb_each_other(moonshine: Moonshine, turns: list[tuple[Pcm, str]]) -> None:
    alone = [moonshine.step([job(moonshine, pcm)])[0] for pcm, _ in turns[:6]]
    with ThreadPoolExecutor(3) as workers:
        at_once = workers.map(lambda turn: moonshine.step([job(moonshine, turn[0])])[0], turns[:6])
    assert list(at_once) == alone


@pytest.mark.slow
@pytest.mark.parametrize("level", [3, 300, 10_000])
def test_noise_is_bounded(moonshine: Moonshine, level: int) -> None:
    noise = np.random.default_rng(1).normal(0, level, 5 * 8000).clip(-32768, 32767).astype(np.int16)
    (heard,) = moonshine.step([job(moonshine, noise)])
    assert len(heard.text.split()) <= token_limit(16_000 * 5)
    assert heard.text == "" or any(map(str.isalnum, heard.text))


@pytest.mark.slow
def test_music_signs_are_no_text(moonshine: Moonshine) -> None:
    time = np.arange(15 * 8000) / 8000
    chord = sum(2000 * np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330, 440))
    (heard,) = moonshine.step([job(moonshine, np.asarray(chord).astype(np.int16))])
    assert "♪" not in heard.text


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 80, 800])
def test_very_short_audio_is_decoded(moonshine: Moonshine, samples: int) -> None:
    (heard,) = moonshine.step([job(moonshine, tone(0.1)[-samples:])])
    assert heard.final


@pytest.mark.slow
def test_another_engines_session_is_refused(moonshine: Moonshine) -> None:
    class Foreign:
        duration_ms = 0

        def accept(self, pcm: Pcm) -> None:
            """Somewhere else."""

    with pytest.raises(InternalError, match="a Foreign is not a session of this engine"):
        moonshine.step([Job(Foreign(), Kind.FINAL)])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The real model's files in a folder of their own."""
    for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"):
        (tmp_path / name).symlink_to(MODEL / name)
    return tmp_path


@pytest.mark.slow
def test_the_manifests_entry_says_what_the_model_is(copy: Path, turns: list[tuple[Pcm, str]]) -> None:
    entry = manifest.model("moonshine-tiny-ja")
    engine = Moonshine(copy, entry)
    assert (engine.name, engine.languages) == ("moonshine-tiny-ja", frozenset({"ja"}))
    # Hardly more than the margin of eight tokens: the text is cut off there.
    short = Moonshine(copy, entry.model_copy(update={"tokens_per_second": 0.5}))
    pcm, _ = max(turns, key=lambda turn: len(turn[0]))
    whole, cut = (decoder.step([job(decoder, pcm)])[0].text for decoder in (engine, short))
    assert whole.startswith(cut[: len(cut) // 2])
    assert len(cut) < len(whole)


@pytest.mark.slow
def test_a_tokenizer_of_another_model_is_refused(copy: Path) -> None:
    content = (MODEL / "tokenizer.bin").read_bytes()
    (copy / "tokenizer.bin").unlink()
    (copy / "tokenizer.bin").write_bytes(content + b"\x01a")
    with pytest.raises(ModelError, match=r"tokenizer\.bin has 32769 tokens, the decoder 32768: they are of different"):
        Moonshine(copy)


@pytest.mark.slow
def test_graphs_of_another_architecture_are_refused(copy: Path) -> None:
    (copy / "decoder_model_merged.ort").unlink()
    (copy / "decoder_model_merged.ort").symlink_to(MODEL / "encoder_model.ort")
    takes = r"decoder_model_merged\.ort takes attention_mask, input_values instead of .*past_key_values.…"
    with pytest.raises(ModelError, match=takes + ": it is of another architecture or export; what runs is"):
        Moonshine(copy)
    (copy / "encoder_model.ort").unlink()
    (copy / "encoder_model.ort").symlink_to(MODEL / "decoder_model_merged.ort")
    with pytest.raises(
        ModelError, match=r"encoder_model\.ort takes .*past_key_values.… instead of attention_mask, input_"
    ):
        Moonshine(copy)

"""Moonshine (encoder-decoder) on ONNX Runtime, behind :class:`~gateway.speech.engine.Engine`.

Here are the audio's way in, the greedy search and its guards; :mod:`gateway.speech.graphs` runs the graphs.

Decoding is greedy. What was heard of an utterance when it was decoded last is not said again token by token but
checked at once (:mod:`gateway.speech.drafts`). In what it heard a vocabulary's phrases are looked for
(:mod:`gateway.speech.bias`). Two guards keep a decoder that has lost its way from running on: a bound on tokens a
second of audio, and a stop when the last tokens go round in a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soxr

from gateway._native import mulaw
from gateway.errors import InternalError, ModelError
from gateway.speech import search, words
from gateway.speech.attention import Attention
from gateway.speech.bias import SPARE, Ask, Bias, Biases, asked
from gateway.speech.drafts import Drafts
from gateway.speech.engine import PLAIN, DecodeOptions, Hypothesis, Job, Kind, Past, Pcm, Session, Ulaw
from gateway.speech.graphs import Audio, Decoding, load
from gateway.speech.seams import overlapped, sewn
from gateway.speech.tokenizer import END, START, Tokenizer
from models import manifest
from models.manifest import Model

__all__ = ["Moonshine", "MoonshineSession", "loop", "prepare", "token_limit"]

_TELEPHONE_RATE = 8000
_RATE = 16_000

# Digital silence put after the audio. The model reads a segment that ends within a word's ring worse than one that
# ends in silence: measured over five levels on 366 words of telephone speech, 80 word errors without, 78, 75, 69
# and 69 with 0.1, 0.2, 0.3 and 0.5 s. It also makes any segment long enough for the encoder (895 samples).
_TAIL = _RATE * 3 // 10

# A line this quiet (peak below −30 dBFS) is lifted to a peak of −12 dBFS, by 24 dB at the most; the rest is left as it
# came. Measured on the same words at −30 dB: 26 errors become 18; lifting every line to one level helps none of them.
_QUIET_PEAK = 0.03
_LIFTED_PEAK = 0.25
_MAX_LIFT = 16.0

# A telephone passes no direct current, so that the mean of speech is next to nothing; a faulty converter adds one.
# From −54 dBFS on it is taken off: of 363 words at −20 dB on an offset 98 were wrong, and 54 without it.
_OFFSET = 0.002

# Moonshine's own decoding limit is 6.5 tokens a second where the tokenizer was made for the script; the manifest says
# for which models it is more. The margin is for short segments, in which one word is many tokens.
_TOKENS_PER_SECOND = 6.5
_TOKENS_MARGIN = 8

# Checking a draft costs about as much as three steps of one row, so it must be longer; and the more rows share their
# steps, the less it saves: a quarter of a decode for one row, a seventh for four, nothing for eight.
_LEAST_DRAFT = 4
_MOST_CHECKED = 4


class MoonshineSession:
    """One utterance's audio; implements :class:`~gateway.speech.engine.Recalling` and ``Compact``."""

    def __init__(self, options: DecodeOptions = PLAIN) -> None:
        self.options = options
        # 16-bit PCM, or μ-law as it came.
        self._chunks: list[Pcm | Ulaw] = []
        self._samples = 0
        self.past: Past | None = None
        # Of a second hearing: what the first one made of it.
        self.first: Hypothesis | None = None

    def recall(self, past: Past) -> None:
        """Keep what the utterance before has left, for a second hearing (:mod:`gateway.speech.search`)."""
        self.past = past

    def again(self, first: Hypothesis) -> MoonshineSession | None:
        """A second hearing, with the utterance before in the ear, of what is doubtful and not too long."""
        past = self.past
        if past is None or past.cut or not search.doubtful(first) or not search.fits(past, self._samples):
            return None
        session = MoonshineSession(self.options)
        session._chunks, session._samples = self._chunks[:], self._samples
        session.past, session.first = past, first
        return session

    def accept(self, pcm: Pcm) -> None:
        """Keep a copy of ``pcm``.

        Raises:
            InternalError: it is not one-dimensional 16-bit PCM.
        """
        if pcm.ndim != 1 or pcm.dtype != np.int16:
            msg = f"PCM must be int16 of shape (samples,), not {pcm.dtype} of shape {pcm.shape}"
            raise InternalError(msg)
        self._chunks.append(pcm.copy())
        self._samples += len(pcm)

    def accept_ulaw(self, data: Ulaw) -> None:
        """Keep ``data`` itself, which is decoded when it is asked for: it may wait long, and many with it."""
        self._chunks.append(data)
        self._samples += len(data)

    @property
    def duration_ms(self) -> int:
        """Audio taken so far."""
        return self._samples * 1000 // _TELEPHONE_RATE

    def pcm(self) -> Pcm:
        """All audio taken so far; a worker may ask while more is being accepted."""
        chunks = [c if isinstance(c, np.ndarray) else mulaw.decode(bytes(c)) for c in self._chunks[:]]
        return np.concatenate(chunks) if chunks else np.zeros(0, np.int16)


@dataclass(slots=True)
class _Row:
    """One utterance on its way through the decoder."""

    limit: int
    ids: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    done: bool = False
    # Asked for: what was in the ear as its tokens were said.
    times: bool = False
    heard: Attention | None = None
    # Of a vocabulary: what was heard is revised once, and kept as it was for a draft.
    bias: Bias | None = None
    unbiased: list[int] | None = None

    def take(self, token: int, probability: float) -> None:
        """Add the next token, or end the row."""
        if token == END:
            self.done = True
            return
        self.ids.append(token)
        self.probabilities.append(probability)
        if repeated := loop(self.ids):
            del self.ids[-repeated:]
            del self.probabilities[-repeated:]
            self.done = True
        elif len(self.ids) >= self.limit:
            self.done = True


class Moonshine:
    """A model of this family; thread-safe, as :class:`~gateway.speech.engine.Engine` asks.

    Args:
        directory: folder of ``encoder_model.ort``, ``decoder_model_merged.ort`` and ``tokenizer.bin``.
        entry: what the manifest says of the model; None for the default one.

    Raises:
        ModelError: a file is missing or is not a model, or not of this family.
    """

    name = "moonshine-tiny-en"

    def __init__(self, directory: Path, entry: Model | None = None) -> None:
        entry = entry or manifest.model(self.name)
        self.name = entry.name
        self.languages = frozenset(entry.languages)
        self._tokens_per_second = entry.tokens_per_second
        self._tokenizer = Tokenizer.read(directory / "tokenizer.bin")
        self._graphs = load(directory)
        self._drafts = Drafts()
        self._biases = Biases(self._tokenizer)
        self._must_fit(directory)

    def open(self, options: DecodeOptions = PLAIN) -> Session:
        """A new utterance."""
        return MoonshineSession(options)

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        """Decode every job's segment whole; the batch is padded to its longest.

        Raises:
            InternalError: a session is not this engine's.
        """
        sessions = [_session(job) for job in jobs]
        fresh = [at for at, session in enumerate(sessions) if session.first is None]
        found = dict(
            zip(fresh, self._hear([sessions[at] for at in fresh], [jobs[at].kind for at in fresh]), strict=True)
        )
        return [
            found[at] if session.first is None else self._hear_again(session, session.first, job.kind)
            for at, (session, job) in enumerate(zip(sessions, jobs, strict=True))
        ]

    def _hear(self, sessions: Sequence[MoonshineSession], kinds: Sequence[Kind]) -> list[Hypothesis]:
        """Decode segments as a batch."""
        heard = [session.pcm() for session in sessions]
        audio = [prepare(pcm) for pcm in heard]
        spoken = [at for at, samples in enumerate(audio) if samples.any()]
        timed = [sessions[at].options.word_times and kinds[at] is not Kind.PARTIAL for at in spoken]
        biases = [self._biases.of(sessions[at].options.vocabulary) for at in spoken]
        drafts = [self._drafts.of(heard[at]) for at in spoken]
        decoded = self._decode([audio[at] for at in spoken], drafts, timed, biases)
        for at, row in zip(spoken, decoded, strict=True):
            if kinds[at] is Kind.FINAL:
                self._drafts.drop(heard[at])
            else:
                self._drafts.keep(heard[at], row.ids if row.unbiased is None else row.unbiased)
        rows = iter(decoded)
        # Digital silence has nothing to decode, and the model would invent something.
        return [
            self._sewn(self._hypothesis(next(rows) if samples.any() else _Row(0), kind, pcm), session, kind)
            for samples, pcm, kind, session in zip(audio, heard, kinds, sessions, strict=True)
        ]

    def warm_up(self) -> None:
        """Decode a second of faint noise, alone and as a batch."""
        noise = np.random.default_rng(0).normal(0, 1e-3, _RATE).astype(np.float32)
        self._decode([noise])
        self._decode([noise, noise])

    def _must_fit(self, directory: Path) -> None:
        """A tokenizer with other tokens than the decoder's would turn what is heard into other words."""
        noise = np.random.default_rng(0).normal(0, 1e-3, _RATE).astype(np.float32)
        vocabulary = self._graphs.begin([noise], 1).step(np.full(1, START, np.int64)).shape[-1]
        if len(self._tokenizer) > vocabulary:
            msg = (
                f"{directory}: tokenizer.bin has {len(self._tokenizer)} tokens, the decoder {vocabulary}: they are of "
                "different models; run `gateway models verify`"
            )
            raise ModelError(msg)

    def _hypothesis(self, row: _Row, kind: Kind, pcm: Pcm) -> Hypothesis:
        """What the row makes of ``pcm``."""
        text = self._tokenizer.decode(row.ids)
        # What it hears in hold music and noise is often a mere "♪": nothing was said.
        if not any(map(str.isalnum, text)):
            return Hypothesis(text="", final=kind is Kind.FINAL)
        confidence = float(np.mean(row.probabilities))
        said = tuple(row.ids)
        pieces = self._tokenizer.pieces(said)
        timed = () if row.heard is None else words.tokens(pieces, row.probabilities, row.heard, pcm)
        return Hypothesis(text, kind is Kind.FINAL, confidence, timed, length=len(said), said=said)

    def _sewn(self, first: Hypothesis, session: MoonshineSession, kind: Kind) -> Hypothesis:
        """The hypothesis; behind a cut, that of a decode from before the cut, if it fits there."""
        past = session.past
        if past is None or not past.cut:
            return first
        both = overlapped(past.pcm, session.pcm())
        timed = session.options.word_times and kind is not Kind.PARTIAL
        bias = self._biases.of(session.options.vocabulary)
        (row,) = self._decode([prepare(both)], timed=[timed], biases=[bias])
        found = sewn(past.hypothesis, first, self._hypothesis(row, kind, both))
        return replace(found, tokens=words.fitted(found.tokens, found.text)) if found.tokens else found

    def _hear_again(self, session: MoonshineSession, first: Hypothesis, kind: Kind) -> Hypothesis:
        """The surer of a first and a second hearing (:mod:`gateway.speech.search`)."""
        own, past = session.pcm(), session.past
        both = None if past is None else search.joined(past, own)
        if past is None or both is None:
            return first
        row = _Row(token_limit(2 * len(own), self._tokens_per_second))
        row.bias = self._biases.of(session.options.vocabulary)
        before = past.hypothesis.said
        if row.bias is None:
            search.go_on(self._graphs, prepare(both), before, first.said, row)
        else:
            decoding = search.go_on(self._graphs, prepare(both), before, first.said, row, SPARE)
            _revise(row, asked(decoding, 0, len(before) + row.limit + SPARE, before))
        second = self._hypothesis(row, kind, own)
        if not second.said or second.confidence <= first.confidence:
            return first
        if session.options.word_times:
            # Of its own audio: behind the utterance before, times would be of both.
            row.heard = self._graphs.begin([prepare(own)], len(row.ids)).attend(0, row.ids)
            second = self._hypothesis(row, kind, own)
        # A full stop that ends the utterance before, not this one's.
        text = second.text.lstrip(" .,!?;:")
        return replace(second, text=text, tokens=words.fitted(second.tokens, text))

    def _decode(
        self,
        audio: Sequence[Audio],
        drafts: Sequence[Sequence[int]] = (),
        timed: Sequence[bool] = (),
        biases: Sequence[Bias | None] = (),
    ) -> list[_Row]:
        """The rows of ``audio``; a draft is what a row is thought to say, empty or left out if nobody knows.

        ``timed``: of which rows it is told what was in the ear as they were said; of none if left out. ``biases``: the
        rows' vocabularies.
        """
        if not audio:
            return []
        rows = [_Row(token_limit(len(samples), self._tokens_per_second)) for samples in audio]
        # What a row says last is not said to the decoder; START is.
        room = max(row.limit for row in rows) + (SPARE if any(biases) else 0)
        decoding = self._graphs.begin(audio, room)
        tokens = np.full(len(rows), START, np.int64)
        for index, (row, draft) in enumerate(zip(rows, drafts, strict=False)):
            if len(draft) >= _LEAST_DRAFT and len(rows) <= _MOST_CHECKED:
                tokens[index] = _check(decoding, index, row, draft)
        for row, wanted in zip(rows, timed, strict=False):
            row.times = wanted
        for row, bias in zip(rows, biases, strict=False):
            row.bias = bias
        going = rows
        _finish(decoding, going, room)
        while keep := _going_on([row.done for row in going]):
            # A finished row costs a share of every step; to close its gap, one row is copied.
            if len(keep) < len(going):
                decoding.shrink(keep)
                going = [going[index] for index in keep]
                tokens = tokens[keep]
            likely = decoding.step(tokens)
            tokens = likely.argmax(axis=-1)
            for row, token, probability in zip(going, tokens, likely[np.arange(len(going)), tokens], strict=True):
                if not row.done:
                    row.take(int(token), float(probability))
            _finish(decoding, going, room)
        return rows


def _finish(decoding: Decoding, going: Sequence[_Row], room: int) -> None:
    """Ask about rows that are done, before they leave the batch: for phrases, then what was in the ear."""
    for index, row in enumerate(going):
        if row.done and row.bias and row.unbiased is None:
            _revise(row, asked(decoding, index, room))
        if row.done and row.times and row.ids and row.heard is None:
            row.heard = decoding.attend(index, row.ids)


def _revise(row: _Row, ask: Ask) -> None:
    """Put the phrases in that were said."""
    if row.bias and row.ids:
        row.unbiased = row.ids
        row.ids, row.probabilities = row.bias.revised(row.ids, row.probabilities, ask)


def _going_on(done: Sequence[bool]) -> list[int]:
    """The rows that are not done, each in its place, or from the end in the place of one that is."""
    rows = [index for index, over in enumerate(done) if not over]
    for index in range(len(rows)):
        if done[index]:
            rows.insert(index, rows.pop())
    return rows


def _check(decoding: Decoding, index: int, row: _Row, draft: Sequence[int]) -> int:
    """Say a draft at once, and take of it what the audio says as well: the first token it says otherwise, or START."""
    said = np.array([START, *draft[: row.limit - 1]], np.int64)
    likely = decoding.say(index, said)
    if likely is None:
        return START
    tokens = likely.argmax(axis=-1)
    left = 1
    while True:
        token = int(tokens[left - 1])
        row.take(token, float(likely[left - 1, token]))
        if row.done or left == len(said) or token != said[left]:
            decoding.unsay(index, left)
            return token
        left += 1


def prepare(pcm: Pcm) -> Audio:
    """Telephone PCM, shape ``(samples,)``, as what the model hears: 16 kHz, −1…1, silence at its end.

    An offset is taken off; a very quiet line is lifted.
    """
    telephone = pcm.astype(np.float32) / 32768.0
    offset = float(telephone.mean()) if len(telephone) else 0.0
    if abs(offset) > _OFFSET:
        telephone -= np.float32(offset)
    audio = soxr.resample(telephone, _TELEPHONE_RATE, _RATE, quality="HQ")
    peak = float(np.abs(audio).max(initial=0.0))
    if 0.0 < peak < _QUIET_PEAK:
        audio = audio * np.float32(min(_LIFTED_PEAK / peak, _MAX_LIFT))
    return np.concatenate([audio, np.zeros(_TAIL, np.float32)])


def token_limit(samples: int, per_second: float = _TOKENS_PER_SECOND) -> int:
    """Most tokens that ``samples`` of 16 kHz audio may give."""
    return int(samples / _RATE * per_second) + _TOKENS_MARGIN


def loop(ids: Sequence[int]) -> int:
    """How many of the last tokens are a loop's repetitions, 0 without one.

    A loop is a run of one to eight tokens said over and over: ten times one token (callers do spell out long runs of
    zeros), and less often the longer it is, but never fewer than four times. What a loop says once stays.
    """
    for length in range(1, 9):
        times = max(4, 12 // length) if length > 1 else 10
        if len(ids) >= length * times:
            tail = ids[-length * times :]
            if all(tail[at] == tail[at % length] for at in range(length, len(tail))):
                return length * (times - 1)
    return 0


def _session(job: Job) -> MoonshineSession:
    if not isinstance(job.session, MoonshineSession):
        msg = f"a {type(job.session).__name__} is not a session of this engine; use what open() returned"
        raise InternalError(msg)
    return job.session

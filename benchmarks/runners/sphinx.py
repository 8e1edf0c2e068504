"""pocketsphinx with the models of its wheel, trained on 16 kHz: telephone audio lacks the upper half of that."""

import json
import sys
import time
import wave

from pocketsphinx import Decoder


def main() -> None:
    """Transcribe the files that standard input names."""
    decoder = Decoder(samprate=16000, loglevel="FATAL")
    for path in map(str.strip, sys.stdin):
        with wave.open(path) as file:
            samples = file.readframes(file.getnframes())
        start = time.process_time()
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        texts = [hypothesis.hypstr] if hypothesis is not None else []
        print(json.dumps({"texts": texts, "cpu": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    main()

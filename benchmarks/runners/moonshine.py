"""moonshine-voice's streaming transcriber with its defaults; audio comes in pieces of 100 ms, as in its own example."""

import json
import sys
import time
import wave

import numpy as np
from moonshine_voice import ModelArch, get_assets_path
from moonshine_voice.transcriber import Transcriber

RATE = 16000
PIECE = RATE // 10


def main() -> None:
    """Transcribe the files that standard input names."""
    # tiny-en comes with the wheel; get_model_for_language would fetch a newer one from the network.
    transcriber = Transcriber(f"{get_assets_path()}/tiny-en", ModelArch.TINY)
    for path in map(str.strip, sys.stdin):
        with wave.open(path) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
        start = time.process_time()
        with transcriber.create_stream() as stream:
            stream.start()
            for at in range(0, len(samples), PIECE):
                stream.add_audio(samples[at : at + PIECE].tolist(), RATE)
            transcript = stream.stop()
        texts = [line.text for line in transcript.lines] if transcript is not None else []
        print(json.dumps({"texts": texts, "cpu": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    main()

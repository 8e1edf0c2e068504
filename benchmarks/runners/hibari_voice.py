"""hibari's ``heart``: says the sentences of standard input, JSON lines of ``[text, file]``, into 24 kHz WAV files."""

import json
import sys
import wave

import numpy as np
from hibari import Hibari


def main() -> None:
    """Say them; prints a line for each."""
    voice = Hibari()
    for line in sys.stdin:
        text, path = json.loads(line)
        audio = np.asarray(voice(text, seed=0, speed=0.95), dtype=np.float32)
        with wave.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(24000)
            file.writeframes((32767 * np.clip(audio, -1, 1)).astype("<i2").tobytes())
        print(path, flush=True)


if __name__ == "__main__":
    main()

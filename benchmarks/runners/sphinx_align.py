"""pocketsphinx as a forced aligner, with the models of its wheel: where the words of a known text lie.

Lines of JSON come in, ``{"path": "16 kHz.wav", "text": "lower case words"}``; for each goes out a line:
``{"words": [[begin, end, "word"], …]}`` in ms of its 10 ms frames, nothing where the text could not be aligned.
"""

import json
import re
import sys
import wave

from pocketsphinx import Decoder

# Alternative pronunciations are written "read(2)"; what is no word stands in these.
FILLER = re.compile(r"<.*>|\[.*\]|\(NULL\)")


def main() -> None:
    """Align what standard input names."""
    decoder = Decoder(samprate=16000, loglevel="FATAL", lm=None)
    for line in sys.stdin:
        asked = json.loads(line)
        with wave.open(asked["path"]) as file:
            samples = file.readframes(file.getnframes())
        words = []
        try:
            decoder.set_align_text(asked["text"])
            decoder.start_utt()
            decoder.process_raw(samples, full_utt=True)
            decoder.end_utt()
            words = [
                [part.start_frame * 10, (part.end_frame + 1) * 10, re.sub(r"\(\d+\)$", "", part.word)]
                for part in decoder.seg() or []
                if not FILLER.fullmatch(part.word)
            ]
        except (RuntimeError, ValueError) as error:
            # A word it has no pronunciation of, or a text that is not what was said.
            print(f"{asked['path']}: {error}", file=sys.stderr)
        print(json.dumps({"words": words}), flush=True)


if __name__ == "__main__":
    main()

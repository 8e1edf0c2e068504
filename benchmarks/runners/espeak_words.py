"""eSpeak NG, which tells at which sample each word of what it says begins.

Lines of JSON come in, ``{"path": "out.wav", "text": "…", "voice": "en-us", "speed": 150}``; for each the sentence is
said into ``path``, and a line goes out: ``{"words": [[begin, end, "word"], …]}`` in ms. A word ends where the next one
begins, the last one with the sentence; words that the voice runs into one ("of the") are one.
"""

import ctypes
import json
import sys
import wave
from pathlib import Path

import espeakng_loader

RETRIEVAL = 1
UTF8 = 1
POSITION_CHARACTER = 1
SPEED = 1
WORD = 1


class Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h; its union at the end is 8 bytes."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    ]


def main() -> None:
    """Say what standard input asks for."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(RETRIEVAL, 0, espeakng_loader.get_data_path().encode(), 0)
    samples = bytearray()
    begins: list[tuple[int, int, int]] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
    def said(audio, count, events):  # type: ignore[no-untyped-def]
        if audio and count:
            samples.extend(ctypes.string_at(audio, count * 2))
        while events[0].type:
            if events[0].type == WORD:
                begins.append((events[0].sample, events[0].position, events[0].length))
            events = ctypes.cast(ctypes.byref(events[0], ctypes.sizeof(Event)), ctypes.POINTER(Event))
        return 0

    library.espeak_SetSynthCallback(said)
    for line in sys.stdin:
        asked = json.loads(line)
        samples.clear()
        begins.clear()
        library.espeak_SetVoiceByName(asked["voice"].encode())
        library.espeak_SetParameter(SPEED, asked["speed"], 0)
        text = asked["text"].encode() + b"\0"
        library.espeak_Synth(text, len(text), 0, POSITION_CHARACTER, 0, UTF8, None, None)
        library.espeak_Synchronize()
        with wave.open(str(Path(asked["path"])), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(bytes(samples))
        ends = [begin for begin, _, _ in begins[1:]] + [len(samples) // 2]
        words = [
            [begin * 1000 / rate, end * 1000 / rate, asked["text"][at - 1 : at - 1 + length].strip()]
            for (begin, at, length), end in zip(begins, ends, strict=True)
        ]
        print(json.dumps({"words": words}), flush=True)


if __name__ == "__main__":
    main()

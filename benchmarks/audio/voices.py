"""Synthetic voices for sentences that nobody has recorded; each is left out, and said so, where it cannot be had.

flite's three (Debian's package ``flite``), and hibari's ``heart`` from PyPI, in an environment of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmarks.peers import FOLDER, RUNNERS, Peer, ensure
from gateway.errors import PeerError
from gateway.speech.engine import Pcm

__all__ = ["FLITE", "HIBARI", "say"]

FLITE = ("slt", "rms", "awb")
HIBARI = Peer("hibari", ("hibari-tts==0.2.1",), "hibari_voice.py", "hibari's heart, a neural voice")

RATE = 8000
LEVEL = 0.08
"""RMS of a sentence, full scale 1 (−22 dBFS)."""


def say(sentences: Sequence[str], environments: Path = FOLDER) -> dict[str, list[Pcm]]:
    """The sentences in every voice that there is, 8 kHz."""
    spoken: dict[str, list[Pcm]] = {}
    with tempfile.TemporaryDirectory(prefix="gateway-voices-") as folder:
        files = [Path(folder) / f"{number}.wav" for number in range(len(sentences))]
        if (flite := shutil.which("flite")) is None:
            print("without flite's voices: install Debian's package flite", file=sys.stderr)
        for voice in FLITE if flite else ():
            for sentence, file in zip(sentences, files, strict=True):
                command = [str(flite), "-voice", voice, "-t", sentence, "-o", str(file)]
                subprocess.run(command, check=True, capture_output=True)
            spoken[f"flite {voice}"] = [_telephone(file) for file in files]
        try:
            python = ensure(HIBARI, environments)
            asked = "".join(json.dumps([text, str(file)]) + "\n" for text, file in zip(sentences, files, strict=True))
            command = [str(python), str(RUNNERS / HIBARI.script)]
            subprocess.run(command, input=asked, text=True, check=True, capture_output=True)
            spoken["hibari heart"] = [_telephone(file) for file in files]
        except (PeerError, subprocess.CalledProcessError) as error:
            print(f"without hibari's voice: {error}", file=sys.stderr)
    return spoken


def _telephone(file: Path) -> Pcm:
    audio, rate = soundfile.read(file, dtype="float32")
    audio = soxr.resample(audio, rate, RATE)
    audio = audio * (LEVEL / max(float(np.sqrt(np.mean(audio**2))), 1e-6))
    pcm: Pcm = (32767 * np.clip(audio, -1, 1)).astype(np.int16)
    return pcm

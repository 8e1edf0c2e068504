"""Run by :mod:`tests.fuzz.run` in a process of its own: atheris on one check, over kernels built with coverage.

``python -m tests.fuzz.target NAME [libFuzzer's arguments]``; the environment says where the coverage library is.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

__all__ = ["kept", "main", "mutate_frames"]

KEYS = (bytes(4), bytes(4), bytes(4), b"mask")
"""Mostly no mask at all, so that the fuzzer sees the text."""

_TWINS = ("frames_py", "scanner_py", "reader_py", "track_py")


def mutate_frames(data: bytes, most: int, seed: int) -> bytes:
    """Change what lies in the frames of a reader's input, and keep them whole; now and then change raw bytes."""
    from gateway._native import frames_py
    from tests.fuzz.oracles import HEADER

    dice = random.Random(seed)
    frames: list[frames_py.Frame] = []
    at = min(HEADER, len(data))
    while isinstance(frame := frames_py.parse(data, at, 65536), frames_py.Frame):
        frames.append(frame)
        at = frame.end
    if not frames or dice.random() < 0.3:
        return bytes(atheris.Mutate(data, most))
    parts = [data[frame.start : frame.end] for frame in frames]
    chosen = dice.randrange(len(frames))
    match dice.randrange(8):
        case 0:
            parts.insert(dice.randrange(len(parts)), parts[chosen])
        case 1:
            del parts[chosen]
        case 2:
            other = dice.randrange(len(parts))
            parts[chosen], parts[other] = parts[other], parts[chosen]
        case _:
            old = frames[chosen]
            payload = bytes(atheris.Mutate(old.payload, len(old.payload) + 64))
            parts[chosen] = rewrapped(old.opcode, old.fin, payload, dice.choice(KEYS))
    return (data[:HEADER] + b"".join(parts) + data[at:])[:most]


def rewrapped(opcode: int, fin: bool, payload: bytes, key: bytes) -> bytes:
    """A frame with this payload."""
    size = len(payload)
    head = bytes([0x80 * fin | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    body = bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))
    return head + key + body


def kept(check: Callable[[bytes], None], prefix: str) -> Callable[[bytes], None]:
    """The check, which writes down what it fails on, in libFuzzer's way and under its name for it.

    libFuzzer does so as well, but only after it has printed a stack; that crashes now and then under the sanitizers.
    """

    def checked(data: bytes) -> None:
        try:
            check(data)
        except Exception:
            path = Path(f"{prefix}crash-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}")
            path.write_bytes(data)
            os.write(2, f"\nTest unit written to {path}\n".encode())
            raise

    return checked


def main(name: str, arguments: list[str], library: str) -> None:
    """Fuzz one target until libFuzzer ends the process."""
    coverage = ctypes.CDLL(library)
    core = str(next(Path(str(atheris.__file__)).parent.glob("core_with_libfuzzer*.so")))
    # Loaded before atheris asks for it: the kernels' blocks must be known before libFuzzer starts.
    importlib.import_module(f"atheris.{Path(core).name.partition('.')[0]}")
    if coverage.connect_fuzzer(core.encode()):
        raise SystemExit("atheris does not hold the libFuzzer that coverage.c knows")
    with atheris.instrument_imports(include=[f"gateway._native.{twin}" for twin in _TWINS]):
        for twin in _TWINS:
            importlib.import_module(f"gateway._native.{twin}")
    module, _, function = os.environ.get("FUZZ_CHECK", "tests.fuzz.oracles:CHECKS").partition(":")
    found = getattr(importlib.import_module(module), function)
    check: Callable[[bytes], None] = found[name] if isinstance(found, dict) else found
    options = {"custom_mutator": mutate_frames} if name == "reader" else {}
    prefix = next((word.partition("=")[2] for word in arguments if word.startswith("-artifact_prefix=")), "")
    # For a merge libFuzzer starts itself anew, with these words.
    command = f"{sys.executable} -m tests.fuzz.target {name}"
    atheris.Setup([command, *arguments], kept(check, prefix), internal_libfuzzer=True, **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:], os.environ["FUZZ_COVERAGE"])

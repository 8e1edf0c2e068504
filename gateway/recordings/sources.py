"""Which recordings a command line means, and which files their transcripts go to."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import UsageError
from gateway.peers.recording import SUFFIXES

__all__ = ["Chosen", "choose", "unlike", "write"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A recording; ``relative`` is its place below what named it, without its suffix."""

    path: Path
    relative: Path


def choose(given: Sequence[str]) -> list[Chosen]:
    """The recordings in the order in which they are named; those of a folder or a pattern by name, each one once.

    Args:
        given: files, folders (all sound files below them, by suffix) and patterns (``calls/**/*.wav``).

    Raises:
        UsageError: one of them names no recording.
    """
    chosen: dict[Path, Chosen] = {}
    for name in given:
        for one in _named(name):
            chosen.setdefault(one.path.resolve(), one)
    return list(chosen.values())


def _named(name: str) -> list[Chosen]:
    path = Path(name)
    if path.is_dir():
        found = [each for each in sorted(path.rglob("*")) if each.suffix.lower() in SUFFIXES and each.is_file()]
        if not found:
            raise UsageError(f"{name}: holds no recordings ({', '.join(sorted(SUFFIXES))})")
        return [_below(path, each) for each in found]
    if not glob.has_magic(name) or path.exists():
        # What is no file is told of when it is opened.
        return [Chosen(path, Path(path.stem))]
    root = Path(*_fixed(path.parts))
    matches = (Path(match) for match in sorted(glob.glob(name, recursive=True)))  # noqa: PTH207 - `**` as in a shell
    found = [match for match in matches if match.is_file()]
    if not found:
        raise UsageError(f"{name}: no file matches")
    return [_below(root, each) for each in found]


def _fixed(parts: Sequence[str]) -> Iterable[str]:
    """The folders of a pattern before its first wildcard."""
    for part in parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _below(root: Path, path: Path) -> Chosen:
    return Chosen(path, path.relative_to(root).with_suffix(""))


def unlike(chosen: Sequence[Chosen]) -> None:
    """Check that no two recordings would be written to the same place.

    Raises:
        UsageError: two would.
    """
    places: dict[Path, Path] = {}
    for one in chosen:
        other = places.setdefault(one.relative, one.path)
        if other != one.path:
            raise UsageError(f"{other} and {one.path}: both would be written to {one.relative}; transcribe one alone")


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; it is its owner's alone, and so are folders that are made for it.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        missing = [folder for folder in path.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from error

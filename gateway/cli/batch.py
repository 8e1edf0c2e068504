"""Many recordings one behind the other through the same models, and how far that is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from gateway.errors import UsageError
from gateway.participants import Role, Track
from gateway.peers.recording import Source
from gateway.recordings.offline import SHOW_S, Pending, Transcriber, Transcription
from gateway.recordings.sources import Chosen

__all__ = ["Batch", "Item", "Tally"]


@dataclass(frozen=True, slots=True)
class Item:
    """A recording that is to be transcribed, and who speaks on which of its tracks."""

    chosen: Chosen
    source: Source
    roles: Mapping[Track, Role]


@dataclass(slots=True)
class Tally:
    """How it went. ``failed`` recordings have no transcript; ``incomplete`` ones lack utterances."""

    done: int = 0
    failed: int = 0
    incomplete: int = 0
    audio_s: float = 0.0
    took_s: float = 0.0


@dataclass(slots=True)
class Batch:
    """Recordings on their way; :meth:`run` sees them through.

    ``finish`` is given each transcription, on the calling thread, in the order in which they are ready; ``fail`` each
    recording that cannot be read or written. ``jobs`` is the transcriber's.
    """

    transcriber: Transcriber
    jobs: int
    finish: Callable[[Item, Transcription], None]
    fail: Callable[[UsageError], None]
    tally: Tally = field(default_factory=Tally)
    _running: list[tuple[Item, Pending]] = field(default_factory=list)

    def run(self, items: Sequence[Item], console: Console, *, quiet: bool = False) -> Tally:
        """Transcribe all; a bar on a terminal shows how far it is."""
        waiting = deque(items)
        started = time.monotonic()
        with _bar(console, hidden=quiet or not console.is_terminal) as bar:
            total = sum(item.source.seconds for item in items)
            task = bar.add_task("transcribing", total=total, files=len(items), ended=0)
            while waiting or self._running:
                # One more than there are threads: none of them waits for this loop.
                while waiting and sum(pending.open_tracks for _, pending in self._running) <= self.jobs:
                    self._start(waiting.popleft())
                self._await()
                under_way = sum(min(pending.at_ms / 1000, item.source.seconds) for item, pending in self._running)
                ended = len(items) - len(waiting) - len(self._running)
                bar.update(task, completed=self.tally.audio_s + under_way, ended=ended)
        self.tally.took_s = time.monotonic() - started
        return self.tally

    def _start(self, item: Item) -> None:
        audio = {role: item.source.read(track) for track, role in item.roles.items()}
        self._running.append((item, self.transcriber.submit(audio)))

    def _await(self) -> None:
        futures = [future for _, pending in self._running for future in pending.futures if not future.done()]
        wait(futures, SHOW_S, FIRST_COMPLETED)
        ended = [(item, pending) for item, pending in self._running if pending.wait(0)]
        self._running = [pair for pair in self._running if pair not in ended]
        for item, pending in ended:
            # Of one that failed, too: the bar counts what is behind it.
            self.tally.audio_s += item.source.seconds
            try:
                done = pending.result()
                self.finish(item, done)
            except UsageError as error:
                self.tally.failed += 1
                self.fail(error)
            else:
                self.tally.done += 1
                self.tally.incomplete += bool(done.failed)


def _bar(console: Console, *, hidden: bool) -> Progress:
    columns = (
        TextColumn("{task.description}  {task.fields[ended]} of {task.fields[files]}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s of audio"),
        _Speed(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=hidden)


class _Speed(ProgressColumn):
    """How many times faster than real time."""

    def render(self, task: Task) -> Text:
        """``12.3 ×``; nothing in the first second."""
        elapsed = task.elapsed or 0.0
        return Text(f"{task.completed / elapsed:.1f} ×" if elapsed >= 1 else "")

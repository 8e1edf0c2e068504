"""What a transcript can be written as, and the folder in which each recording's files have their places."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import orjson

from gateway.export.formats import jsonl
from gateway.export.partitions import VERSION
from gateway.recordings import subtitles, transcripts
from gateway.recordings.sources import write
from gateway.recordings.transcripts import Transcript

__all__ = ["Form", "Shelf", "render"]


class Form(StrEnum):
    """A form of output."""

    TEXT = "text"
    JSON = "json"
    MESSAGES = "messages"
    WEBHOOK = "webhook"
    SRT = "srt"
    VTT = "vtt"
    FEEDS = "feeds"

    @property
    def cues(self) -> bool:
        """Whether it shows an utterance in pieces, which takes the words' times."""
        return self in (Form.SRT, Form.VTT)


_SUFFIXES = {
    Form.TEXT: ".txt",
    Form.JSON: ".json",
    Form.MESSAGES: ".messages.json",
    Form.WEBHOOK: ".webhook.jsonl",
    Form.SRT: ".srt",
    Form.VTT: ".vtt",
}


def render(form: Form, of: Transcript) -> bytes:
    """The file of one form; feeds are several, and made by :class:`Shelf`."""
    match form:
        case Form.TEXT:
            return transcripts.lines(of).encode()
        case Form.WEBHOOK:
            return transcripts.posts(of)
        case Form.SRT:
            return subtitles.srt(_cues(of)).encode()
        case Form.VTT:
            return subtitles.vtt(_cues(of), word_times=of.who.words).encode()
        case _:
            made = transcripts.messages(of) if form is Form.MESSAGES else transcripts.document(of)
            return orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _cues(of: Transcript) -> list[subtitles.Cue]:
    return subtitles.cues(of.done.utterances, of.who.redaction)


class Shelf:
    """A folder of transcripts: a recording's files lie there as the recording lay below what named it.

    In the feeds' partitions each recording has a file of its own, so that one can be made anew without the others.

    Args:
        folder: made when the first file is written.
        forms: what is written of each recording.
        company_marker: a column of the feeds; None for a fixed one.
    """

    def __init__(self, folder: Path, forms: Sequence[Form], company_marker: str | None = None) -> None:
        self.folder = folder
        self.forms = tuple(forms)
        self._company_marker = company_marker

    def missing(self, relative: Path) -> list[Form]:
        """The forms in which the recording is not there."""
        return [form for form in self.forms if not self._has(form, relative)]

    def save(self, of: Transcript, relative: Path, forms: Sequence[Form]) -> None:
        """Write a transcript in these forms, in place of what is there.

        Raises:
            UsageError: a file cannot be written.
        """
        for form in forms:
            if form is Form.FEEDS:
                self._save_feeds(of, relative)
            else:
                write(self._place(form, relative), render(form, of))

    def _place(self, form: Form, relative: Path) -> Path:
        return self.folder / relative.with_name(relative.name + _SUFFIXES[form])

    def _has(self, form: Form, relative: Path) -> bool:
        if form is Form.FEEDS:
            parts = self._parts.get(_part(relative), ())
            return any(path.relative_to(self.folder).parts[0] == transcripts.FIRST_FEED for path in parts)
        return self._place(form, relative).exists()

    @cached_property
    def _parts(self) -> dict[str, list[Path]]:
        """The files of the feeds' partitions by their names."""
        parts: dict[str, list[Path]] = {}
        for path in self.folder.glob(f"*/version={VERSION}/format=jsonl/dt=*/hr=*/*.jsonl"):
            parts.setdefault(path.name, []).append(path)
        return parts

    def _save_feeds(self, of: Transcript, relative: Path) -> None:
        name = _part(relative)
        rows = {self.folder / part / name: made for part, made in transcripts.feeds(of, self._company_marker).items()}
        # What an earlier run took to be other hours.
        for path in self._parts.get(name, ()):
            if path not in rows:
                path.unlink(missing_ok=True)
        # The first is what shows that the others are there.
        for path, made in reversed(rows.items()):
            write(path, jsonl(made))


def _part(relative: Path) -> str:
    return f"{quote(str(relative), safe=' ')}.jsonl"

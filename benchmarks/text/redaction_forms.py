"""The labelled set as the pipeline redacts it: written out by the formatter first, its labels where they lie then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.text.redaction import Dialogue, Label, Line
from gateway.text.formatting import Formatted, format_text

__all__ = ["moved", "written"]


def written(dialogues: Sequence[Dialogue]) -> list[Dialogue]:
    """The dialogues with their texts as they are written ("two hundred" is 200), and the labels moved with them."""
    return [Dialogue(one.shape, tuple(map(_line, one.lines))) for one in dialogues]


def moved(formatted: Formatted, label: Label) -> Label:
    """Where a label of the spoken text lies in the written one; of a piece that it cuts it has the whole."""
    start, end = label.start, label.end
    for piece in reversed(formatted.pieces):
        if piece.start < label.end:
            end = piece.out_end if label.end <= piece.end else label.end + piece.out_end - piece.end
            break
    for piece in reversed(formatted.pieces):
        if piece.start <= label.start:
            start = piece.out_start if label.start < piece.end else label.start + piece.out_end - piece.end
            break
    return replace(label, start=start, end=end)


def _line(line: Line) -> Line:
    formatted = format_text(line.text)
    labels = tuple(moved(formatted, label) for label in line.labels)
    return replace(line, text=formatted.text, labels=labels)

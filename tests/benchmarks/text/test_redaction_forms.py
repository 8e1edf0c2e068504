"""Labels lie in the written text where their secrets do."""

from pathlib import Path

import pytest

from benchmarks.text.redaction import read
from benchmarks.text.redaction_forms import written

SOURCE = """\
== numbers
C: I paid twenty dollars, my PIN is [PIN four one one nine], thanks [NAME Ann].
A: It's [DOB the fifth of May].
"""


@pytest.mark.parametrize(
    ("line", "texts"),
    [(0, ["4119", "Ann"]), (1, ["the 5th of May"])],
    ids=["behind a shorter text", "longer than the date"],
)
def test_labels_move_with_the_text(tmp_path: Path, line: int, texts: list[str]) -> None:
    path = tmp_path / "set.txt"
    path.write_text(SOURCE, encoding="utf-8")
    (dialogue,) = written(read(path))
    one = dialogue.lines[line]
    assert one.number == line + 2
    assert [one.text[label.start : label.end] for label in one.labels] == texts
    assert dialogue.shape == "numbers"

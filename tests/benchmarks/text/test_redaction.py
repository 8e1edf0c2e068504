"""Reading the labelled set, and scoring what is hidden of it, by small examples; and the committed set itself."""

from pathlib import Path

import pytest

from benchmarks.text.redaction import (
    FOLDER,
    Dialogue,
    Found,
    Label,
    LabelsError,
    Line,
    Score,
    align,
    behind,
    percentile,
    read,
    score,
    units,
    utterances,
)
from gateway.participants import Role
from gateway.text.policy import Entity

HALVES = ("development", "heldout")


def parse(folder: Path, text: str) -> list[Dialogue]:
    path = folder / "set.txt"
    path.write_text(text, encoding="utf-8")
    return read(path)


def line(tmp_path: Path, source: str) -> Line:
    return parse(tmp_path, f"== any\nC: {source}\n")[0].lines[0]


def covered(text: str, *words: str, name: str = "PIN") -> list[Found]:
    return [Found(text.index(word), text.index(word) + len(word), name) for word in words]


def judge(one: Line, *words: str, active: tuple[Entity, ...] = tuple(Entity), late: str = "") -> Score:
    result = Score()
    last = [(text.start, text.end) for text in covered(one.text, *words, *([late] if late else []))]
    score(result, Dialogue("any", (one,)), [covered(one.text, *words)], [last], active)
    return result


def test_dialogues_are_read_with_their_labels(tmp_path: Path) -> None:
    source = "# note\n== pin\nA: Your PIN?\nC: It's [PIN one 2], [MAY ok].\n\nC: Bye.\n== other\nA: Hm.\n"
    first, second, third = parse(tmp_path, source)
    assert [one.shape for one in (first, second, third)] == ["pin", "pin", "other"]
    assert first.lines[0] == Line(3, Role.AGENT, "Your PIN?", ())
    assert first.lines[1].text == "It's one 2, ok."
    assert first.lines[1].labels == (Label(5, 10, Entity.PIN), Label(12, 14, None))
    assert second.lines[0].number == 6


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("C: no header\n", "line 1: a header"),
        ("== any\nX: who\n", "line 2: an utterance begins"),
        ("== any\nC:\n", "line 2: an utterance begins"),
        ("== any\nC: my [PINN one]\n", "line 2: PINN is no entity"),
        ("== any\nC: my [PIN [PIN one] two]\n", "line 2: a label looks like"),
        ("== any\n\nC: my [PIN one\n", "line 3: a label looks like"),
    ],
)
def test_what_is_not_of_the_format_is_named_with_its_line(tmp_path: Path, source: str, reason: str) -> None:
    with pytest.raises(LabelsError, match=f"^{reason}"):
        parse(tmp_path, source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("[CREDIT_CARD_NUMBER four, uh, double one, 4-2]", ["four", "double", "one", "4", "2"]),
        ("[PHONE_NUMBER area code 303, 555]", ["303", "555"]),
        ("[PIN O-O-7-3]", ["O", "O", "7", "3"]),
        ("[PASSWORD T as in Tom, uh, 2]", ["T", "Tom", "2"]),
        ("[NAME Siobhan O'Malley]", ["Siobhan", "O'Malley"]),
        ("[DOB the twelfth of July]", ["twelfth", "July"]),
    ],
)
def test_units_are_what_gives_a_secret_away(tmp_path: Path, source: str, expected: list[str]) -> None:
    one = line(tmp_path, source)
    assert [one.text[start:end] for start, end in units(one.text, one.labels[0])] == expected


@pytest.mark.parametrize(
    ("text", "redacted", "expected"),
    [
        ("my pin is one two three four thanks", "my pin is #### thanks", ["one two three four"]),
        ("it's 4111 1111, yes", "it's #### ####, yes", ["4111 1111"]),
        ("two, two and two", "#, two and #", ["two", "two"]),
        ("nothing", "nothing", []),
        ("one", "#", ["one"]),
    ],
)
def test_masks_are_found_in_the_text(text: str, redacted: str, expected: list[str]) -> None:
    found = align(text, redacted)
    assert found is not None
    assert [text[start:end] for start, end in found] == expected


def test_another_text_is_no_redaction() -> None:
    assert align("my pin is one", "your pin is #") is None


def test_words_shown_within_a_span_are_not_behind_the_mask() -> None:
    text = "it's four one, no, four two, ok"
    found = behind(text, "it's ##, no, ##, ok", covered(text, "four one, no, four two"))
    assert found is not None
    assert [text[one.start : one.end] for one in found] == ["four one", "four two"]


@pytest.mark.parametrize("redacted", ["it's four one, ok", "it's ##, yes", "## ##, ok"])
def test_a_text_that_differs_from_its_spans_is_noticed(redacted: str) -> None:
    text = "it's four one, ok"
    assert behind(text, redacted, covered(text, "four one")) is None


def test_a_secret_shown_in_part_is_a_leak(tmp_path: Path) -> None:
    one = line(tmp_path, "it's [PIN four one nine two]")
    whole, part, none = judge(one, "four one nine two"), judge(one, "one nine two"), judge(one)
    assert [found.entities["PIN"].posted for found in (whole, part, none)] == [1, 0, 0]
    assert [found.entities["PIN"].shown for found in (whole, part, none)] == [0, 4, 14]
    assert [[miss.kind for miss in found.misses] for found in (whole, part, none)] == [[], ["leak"], ["missed"]]


def test_fillers_of_a_number_may_be_shown(tmp_path: Path) -> None:
    assert judge(line(tmp_path, "[PIN four, uh, one]"), "four", "one").entities["PIN"].posted == 1


def test_a_secret_hidden_later_counts_as_stored_only(tmp_path: Path) -> None:
    found = judge(line(tmp_path, "it's [PIN four one]"), late="four one")
    assert (found.entities["PIN"].posted, found.entities["PIN"].stored) == (0, 1)
    assert [miss.kind for miss in found.misses] == ["late"]


def test_precision_counts_spans_and_letters(tmp_path: Path) -> None:
    found = judge(line(tmp_path, "it's [CVV 123] or so, for 20 dollars"), "123", "20")
    assert (found.entities["PIN"].right, found.entities["PIN"].wrong) == (1, 1)
    assert (found.hidden, found.needless) == (5, 2)
    assert [miss.text for miss in found.misses if miss.kind == "needless"] == ["it's 123 or so, for [20] dollars"]


def test_what_may_be_hidden_and_entities_that_are_off_count_neither_way(tmp_path: Path) -> None:
    one = line(tmp_path, "[NAME Ann] has [MAY two]")
    for words in ((), ("Ann", "two")):
        found = judge(one, *words, active=(Entity.PIN,))
        assert (found.hidden, found.needless, found.negatives, found.misses) == (0, 0, 0, [])
        assert not any(tally.labelled or tally.right or tally.wrong for tally in found.entities.values())


def test_a_negative_is_clear_if_nothing_of_it_is_hidden(tmp_path: Path) -> None:
    one = line(tmp_path, "one moment")
    assert (judge(one).negatives, judge(one).clear) == (1, 1)
    assert (judge(one, "one").negatives, judge(one, "one").clear) == (1, 0)


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile([3.0, 1.0, 2.0, 4.0], share) for share in (0, 0.5, 0.95, 1)] == [1, 2, 4, 4]
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_the_committed_set_is_large_and_has_every_entity_in_both_halves() -> None:
    lines = {half: list(utterances(read(FOLDER / f"{half}.txt"))) for half in HALVES}
    assert sum(map(len, lines.values())) >= 400
    texts = [one.text for half in lines.values() for one in half if one.labels]
    for half in lines.values():
        assert {label.entity for one in half for label in one.labels} >= set(Entity)
        assert 3 * sum(not one.labels for one in half) >= len(half)
        assert all(units(one.text, label) for one in half for label in one.labels if label.entity)
    assert len(set(texts)) > 0.95 * len(texts)


def test_every_shape_that_is_measured_was_there_to_make_rules_by() -> None:
    development, heldout = ({one.shape for one in read(FOLDER / f"{half}.txt")} for half in HALVES)
    assert heldout <= development

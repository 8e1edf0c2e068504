"""The vocabulary benchmark's own sums and sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.text.vocabulary import FOLDER, Named, alike, filled, heard_in, invented, rare, read, recovered
from gateway.speech.vocabulary import MAX_ENTRIES, MAX_SOUND_LENGTH, MAX_SOUNDS, Phrase


@pytest.mark.parametrize("name", ["development", "heldout"])
def test_labelled_sentences_keep_to_the_limits(name: str) -> None:
    labelled = read(FOLDER / f"{name}.txt")
    assert len({one.phrase.phrase for one in labelled}) == len(labelled) >= 40
    for one in labelled:
        assert len(one.phrase.sounds_like) <= MAX_SOUNDS
        assert all(len(form) <= MAX_SOUND_LENGTH for form in one.phrase.sounds_like)


def test_what_was_held_out_is_not_in_the_other_set() -> None:
    one, other = (
        {named.phrase.phrase for named in read(FOLDER / f"{name}.txt")} for name in ("development", "heldout")
    )
    assert not one & other


def test_a_sentence_without_its_phrase_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.txt"
    path.write_text("# what\nZelora | zeh lora | I like Zellora.\n")
    with pytest.raises(ValueError, match=r"wrong\.txt: 'I like Zellora\.' does not have 'Zelora' in it"):
        read(path)


def test_invented_names_are_as_many_as_wanted_and_the_same_each_time() -> None:
    names = invented(MAX_ENTRIES)
    assert len(set(names)) == MAX_ENTRIES
    assert names == invented(MAX_ENTRIES)
    assert names != invented(MAX_ENTRIES, 7)
    assert invented(20) == names[:20]


def test_a_vocabulary_is_filled_up_to_its_limit() -> None:
    phrases = [Phrase("Zelora"), Phrase("Brixwell")]
    assert filled(phrases, 3) == (*phrases, *invented(3))
    assert len(filled(phrases, 500)) == MAX_ENTRIES
    assert len(alike()) > 50


def test_rare_words_are_long_and_said_once() -> None:
    assert rare(["the amiable wizard", "a wizard came", "so noisy 123456789"]) == ["amiable"]


def test_what_was_recovered_is_counted() -> None:
    said = [Named(Phrase("VoltEdge"), "My VoltEdge broke."), Named(Phrase("Zelora"), "I like Zelora.")]
    found = recovered(said, ["My volt edge broke.", "I like Brixwell."], [Phrase("Brixwell"), Phrase("Zonk")])
    assert (found.said, found.heard, found.written, found.put_in) == (2, 1, 0, 1)
    assert (found.errors, found.words) == (3, 6)
    assert heard_in("I. E. E. E.", "the IEEE")

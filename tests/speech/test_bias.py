"""Phrases in what was heard: as they are written, and nearly, where a scorer stands for the model's ear."""

from __future__ import annotations

import string
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from gateway.speech import bias
from gateway.speech.bias import Answer, Ask, Bias, Biases, Fork
from gateway.speech.tokenizer import Tokenizer
from gateway.speech.vocabulary import MAX_ENTRIES, Phrase, Vocabulary

# Letters, and two words whole: a token may be either.
PIECES = ["▁", *string.ascii_letters, *string.digits, *".,-'+&!", "▁m", "▁my", "é", "ó"]
TOKENIZER = Tokenizer([b"<unk>", b"<s>", b"</s>", *(bytes([byte]) for byte in range(256)), *map(str.encode, PIECES)])

VOCABULARY = (
    Phrase("IEEE", ("I triple E",)),
    Phrase("Brixwell", ("bricks well",)),
    Phrase("VoltEdge"),
    Phrase("Umbriel Health", ("um breel health",)),
    Phrase("amiable"),
    Phrase("C++", ("see plus plus",)),
    Phrase("Wójcik", ("voy chick",)),
)


def never(ids: Sequence[int], forks: Sequence[Fork]) -> Answer | None:
    """Knows nothing, as graphs that take one token a step."""
    return None


def hears(text: str, sharpness: float = 2.0) -> Ask:
    """Gives a text the less the more letters have to be changed for what was said."""

    def ask(ids: Sequence[int], forks: Sequence[Fork]) -> Answer:
        likely = -sharpness * Levenshtein.distance(TOKENIZER.decode(ids).lower(), text.lower())
        return Answer(likely, (0.0,) * len(forks))

    return ask


def revised(text: str, ask: Ask = never, vocabulary: Vocabulary = VOCABULARY, probability: float = 0.6) -> str:
    ids = TOKENIZER.encode(text)
    found, probabilities = Bias(vocabulary, TOKENIZER).revised(ids, [probability] * len(ids), ask)
    assert probabilities == pytest.approx([probability] * len(found))
    return TOKENIZER.decode(found)


# --- as it is written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "written"),
    [
        ("I joined the I triple E.", "I joined the IEEE."),
        ("I triple e, yes", "IEEE, yes"),
        ("the ieee and the I. E. E. E. are one", "the IEEE and the IEEE are one"),
        ("It is the I. E. E. E.", "It is the IEEE."),
        ("Peter Bricks-well, please", "Peter Brixwell, please"),
        ("Brixwell's order", "Brixwell's order"),
        ("my voltedge", "my VoltEdge"),
        ("non-VoltEdge", "non-VoltEdge"),
        ("Um breel health and umbriel health", "Umbriel Health and Umbriel Health"),
        ("Amiable people", "Amiable people"),
        ("Vitamin C is see plus plus", "Vitamin C is C++"),
        ("Call voy chick", "Call Wójcik"),
        ("a trip, let it be", "a trip, let it be"),
        ("", ""),
    ],
)
def test_a_form_becomes_the_phrase(heard: str, written: str) -> None:
    assert revised(heard) == written


def test_the_longest_form_wins() -> None:
    vocabulary = (Phrase("Rose", ("rows",)), Phrase("Rose Warne", ("rows warn",)))
    assert revised("rows warn and rows", vocabulary=vocabulary) == "Rose Warne and Rose"


def test_of_phrases_that_are_heard_alike_the_first_counts() -> None:
    assert revised("wicks", vocabulary=(Phrase("Wix", ("wicks",)), Phrase("Wicks"))) == "Wix"


# --- nearly -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("my brickwell order", "my Brixwell order"),
        ("my brick swell order", "my Brixwell order"),
        ("with umbrel health", "with Umbriel Health"),
        ("brickwell and umbrel health", "Brixwell and Umbriel Health"),
        ("is under-brickwell", "is under Brixwell"),
    ],
)
def test_what_sounds_like_a_phrase_becomes_it_if_the_model_agrees(heard: str, said: str) -> None:
    assert revised(heard, hears(said)) == said
    assert revised(heard, hears(heard, 100.0)) == heard
    assert revised(heard, never) == heard


def test_what_was_heard_surely_is_not_doubted_easily() -> None:
    tokens = len(TOKENIZER.encode("Brixwell")) + len(TOKENIZER.encode("brickswell"))
    losses = {"my brickswell": 0.0, "my Brixwell": bias.LEAST - tokens - 1.0}

    def ask(ids: Sequence[int], forks: Sequence[Fork]) -> Answer:
        return Answer(losses.get(TOKENIZER.decode(ids), -100.0), (0.0,) * len(forks))

    assert revised("my brickswell", ask, probability=0.999) == "my brickswell"
    # A doubt of 0.69, twice, is more than what is missing.
    assert revised("my brickswell", ask, probability=0.5) == "my Brixwell"


def test_nothing_is_asked_where_nothing_sounds_like_a_phrase() -> None:
    def ask(ids: Sequence[int], forks: Sequence[Fork]) -> Answer:
        raise AssertionError(TOKENIZER.decode(ids))

    assert revised("my internet has been down since yesterday", ask)
    # Sure of it, and only somewhat like: not asked either.
    assert revised("the brick wall is broken", ask, probability=0.99)


def test_few_questions_are_asked() -> None:
    asked = []
    ceiling = 0.0

    def ask(ids: Sequence[int], forks: Sequence[Fork]) -> Answer:
        asked.append(TOKENIZER.decode(ids))
        return Answer(0.0, (ceiling,) * len(forks))

    vocabulary = tuple(Phrase(f"Brixwell{letter}") for letter in string.ascii_lowercase)
    revised("brickwell brickwell brickwell", ask, vocabulary)
    assert len(asked) == 1 + bias.MOST_ASKED
    assert asked[0] == "brickwell brickwell brickwell"
    # What its first token settles is not asked for.
    asked.clear()
    ceiling = -1000.0
    assert revised("brickwell brickwell brickwell", ask, vocabulary) == asked[0]
    assert len(asked) == 1


def test_the_better_of_two_phrases_in_one_place_is_taken() -> None:
    vocabulary = (Phrase("Brickwall"), Phrase("Brixwell"))
    assert revised("the brickwell", hears("the brixwell"), vocabulary) == "the Brixwell"
    assert revised("the brickwell", hears("the brickwall"), vocabulary) == "the Brickwall"


def test_what_is_settled_is_not_asked_about() -> None:
    vocabulary = (Phrase("Umbrella"), Phrase("Ombrelle"))
    assert revised("my umbrella", hears("my Ombrelle"), vocabulary) == "my Umbrella"


def test_short_phrases_are_found_by_their_spelling_only() -> None:
    vocabulary = (Phrase("Ada"), Phrase("漢字"))
    assert revised("add a line, ada", hears("ada line, ada"), vocabulary) == "add a line, Ada"


def test_a_phrase_is_as_sure_as_what_it_replaces() -> None:
    ids = TOKENIZER.encode("my I triple E")
    probabilities = [0.9] + [0.2, 0.4] * 5 + [0.3]
    found, sure = Bias(VOCABULARY, TOKENIZER).revised(ids, probabilities[: len(ids)], never)
    assert TOKENIZER.decode(found) == "my IEEE"
    assert sure[0] == 0.9
    assert sure[1:] == pytest.approx([sum(probabilities[1 : len(ids)]) / (len(ids) - 1)] * (len(found) - 1))


@given(st.text(alphabet=string.ascii_letters + " .,-'é漢", max_size=60))
def test_other_text_stays_as_it_is(text: str) -> None:
    ids = TOKENIZER.encode(text)
    vocabulary = (Phrase("Quintavia7", ("quin tay via 7",)),)
    assert Bias(vocabulary, TOKENIZER).revised(ids, [0.5] * len(ids), hears(text, 100.0))[0] == ids


# --- made ready -------------------------------------------------------------------------------------------------


def test_a_vocabulary_is_made_ready_once_and_the_longest_unused_goes() -> None:
    biases = Biases(TOKENIZER, most=2)
    one, two, three = ((Phrase(name),) for name in ("One", "Two", "Three"))
    first = biases.of(one)
    assert first is biases.of((Phrase("One"),))
    second = biases.of(two)
    assert biases.of(one) is first
    biases.of(three)
    assert len(biases) == 2
    assert biases.of(one) is first
    assert biases.of(two) is not second


def test_no_vocabulary_is_no_bias() -> None:
    biases = Biases(TOKENIZER)
    assert biases.of(()) is None
    assert len(biases) == 0


def test_workers_share_one() -> None:
    biases = Biases(TOKENIZER)
    vocabulary = tuple(Phrase(f"Brixwell {number}", ("bricks well",)) for number in range(MAX_ENTRIES))
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _at: id(biases.of(vocabulary)), range(32)))) == 1


def test_nobody_waits_for_anothers_vocabulary() -> None:
    begun, others_done = threading.Event(), threading.Event()

    class Slow(Tokenizer):
        def encode(self, text: str) -> list[int]:
            if text == "slow":
                begun.set()
                assert others_done.wait(30)
            return super().encode(text)

    biases = Biases(Slow(TOKENIZER.pieces(range(len(TOKENIZER)))))
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(biases.of, (Phrase("slow"),))
        assert begun.wait(30)
        other = pool.submit(biases.of, (Phrase("Brixwell"),))
        try:
            assert other.result(5) is not None
        finally:
            others_done.set()
        assert slow.result(30) is biases.of((Phrase("slow"),))


@pytest.mark.parametrize("phrase", ["", " ", "♪", "a" * 255, "++"])
def test_odd_phrases_do_no_harm(phrase: str) -> None:
    vocabulary = (Phrase(phrase, ("", "…")), Phrase("Brixwell"))
    assert revised("my brickwell", hears("my Brixwell"), vocabulary) == "my Brixwell"

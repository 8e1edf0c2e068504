from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.participants import Role
from gateway.text.digits.numbers import NUMBER_WORDS, Element, Form, elements, tokenize
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.redaction import MAX_UTTERANCES, QUIET_UTTERANCES, Redactor
from tests.text.labelled import ADDRESSES, SENTENCES

SAMPLE = Path(__file__).parents[2] / "samples" / "support-call.json"
AGENT, CUSTOMER = Role.AGENT, Role.CUSTOMER
WITH_EMAIL = Policy(DEFAULT.active | {Entity.EMAIL})

SPELLINGS = {
    "0": ["zero", "oh", "0"], "1": ["one", "1"], "2": ["two", "2"], "3": ["three", "3"], "4": ["four", "4"],
    "5": ["five", "5"], "6": ["six", "6"], "7": ["seven", "7"], "8": ["eight", "8"], "9": ["nine", "9"],
}  # fmt: skip
DIGIT_WORDS = {spelling for spellings in SPELLINGS.values() for spelling in spellings}
SEPARATORS = [" ", ", ", "-", ". ", " um ", ", uh, ", " and ", "... ", " - "]
VOCABULARY = [
    *sorted(DIGIT_WORDS), "twenty", "forty-two", "eleven", "hundred", "thousand", "double", "triple", "for", "to", "a",
    "at", "3:30", "$25.99", "100%", "p.m.", "pin", "card number", "what's", "my", "is", "one", "moment", "digits",
    "john@example.com", "mary at example dot com", "22nd", "first", "#", "um", "okay", "hello", "1,000", "4111",
]  # fmt: skip


@st.composite
def spelled(draw: st.DrawFn, minimum: int = 3, maximum: int = 20) -> tuple[int, str]:
    """A digit string as somebody may say it, with at least one digit that is no "oh"."""
    digits = draw(st.text("0123456789", min_size=minimum, max_size=maximum))
    words = [draw(st.sampled_from(SPELLINGS[digit])) for digit in digits]
    if set(words) == {"oh"}:
        words[-1] = "zero"
    text = words[0]
    for word in words[1:]:
        text += draw(st.sampled_from(SEPARATORS)) + word
    return len(digits), text


def phrases() -> st.SearchStrategy[str]:
    part = st.one_of(st.sampled_from(VOCABULARY), st.sampled_from([",", ".", "-", "?", "\n"]))
    return st.lists(part, max_size=14).map(" ".join)


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[text or "empty" for text, _ in SENTENCES])
def test_labelled_sentences(text: str, expected: str) -> None:
    assert Redactor().redact(text, CUSTOMER).text == (text if expected == "=" else expected)


@pytest.mark.parametrize(("text", "expected"), ADDRESSES, ids=[text for text, _ in ADDRESSES])
def test_addresses_are_hidden_where_the_policy_says_so(text: str, expected: str) -> None:
    assert Redactor(WITH_EMAIL).redact(text, CUSTOMER).text == expected
    assert "@" not in text or "@" in Redactor().redact(text, CUSTOMER).text


def test_the_table_is_large_enough_and_holds_no_sentence_twice() -> None:
    texts = [text for text, _ in SENTENCES]
    assert len(texts) >= 80
    assert len(set(texts)) == len(texts)


def converse(*turns: tuple[Role, str], policy: Policy = DEFAULT) -> list[str]:
    redactor = Redactor(policy)
    return [redactor.redact(text, role).text for role, text in turns]


def test_every_secret_of_the_sample_call_is_hidden() -> None:
    turns = json.loads(SAMPLE.read_text(encoding="utf-8"))["turns"]
    shown = converse(*[(Role(turn["speaker"]), turn["text"]) for turn in turns], policy=WITH_EMAIL)
    secrets = [(turn, text) for turn, text in zip(turns, shown, strict=True) if turn.get("secret")]
    assert {turn["secret"]["kind"] for turn, _ in secrets} == {"phone", "email", "card", "pin"}
    for turn, text in secrets:
        digits = sum(character.isdigit() for character in turn["secret"]["written"])
        assert text.count("#") == digits or turn["secret"]["kind"] == "email"
        assert not _numbers(text)
        assert "martin" not in text
    assert [text for turn, text in zip(turns, shown, strict=True) if not turn.get("secret")] == [
        turn["text"] for turn in turns if not turn.get("secret")
    ]


class TestAcrossUtterances:
    def test_a_run_goes_on_in_the_same_speakers_next_utterance(self) -> None:
        shown = converse(
            (CUSTOMER, "it's four one one one"), (CUSTOMER, "two two"), (CUSTOMER, "two"), (CUSTOMER, "2.")
        )
        assert shown == ["it's ####", "##", "#", "#."]

    def test_an_interjection_of_the_other_side_does_not_end_it(self) -> None:
        assert converse((CUSTOMER, "four one one one"), (AGENT, "Got it."), (CUSTOMER, "one one"))[2] == "##"

    def test_a_hesitation_does_not_end_it(self) -> None:
        assert converse((CUSTOMER, "four one one one"), (CUSTOMER, "um"), (CUSTOMER, "and one one"))[2] == "and ##"

    def test_two_short_fragments_make_a_run(self) -> None:
        assert converse((CUSTOMER, "4 1"), (CUSTOMER, "1 1"), (CUSTOMER, "1")) == ["4 1", "##", "#"]

    def test_words_end_it(self) -> None:
        assert converse((CUSTOMER, "four one one one"), (CUSTOMER, "that is it"), (CUSTOMER, "22"))[2] == "22"
        assert converse((CUSTOMER, "four one one one that's all"), (CUSTOMER, "22"))[1] == "22"

    def test_the_other_speaker_does_not_continue_it(self) -> None:
        assert converse((CUSTOMER, "four one one one"), (AGENT, "22 left"))[1] == "22 left"

    def test_one_as_a_pronoun_stays(self) -> None:
        assert converse((CUSTOMER, "four one one one"), (CUSTOMER, "one moment"))[1] == "one moment"

    def test_a_round_quantity_at_the_border_is_no_exception(self) -> None:
        assert converse((CUSTOMER, "four one one one"), (CUSTOMER, "two hundred"))[1] == "###"

    def test_calls_do_not_touch_each_other(self) -> None:
        Redactor().redact("what's your PIN?", AGENT)
        assert Redactor().redact("4", CUSTOMER).text == "4"


class TestAfterARequest:
    @pytest.mark.parametrize(
        "request_text",
        [
            "What's your PIN?",
            "Can you tell me your pin number, please?",
            "The last four of your social, please.",
            "And your social security number?",
            "Could you read me the SSN?",
            "What's the CVV?",
            "And the security code on the back?",
            "card number please",
            "May I have the number on your card?",
            "Can I have your card, please?",
            "When is the expiry date?",
            "P.I.N. please",
        ],
    )
    def test_single_digits_are_hidden(self, request_text: str) -> None:
        shown = converse(
            (AGENT, request_text), (CUSTOMER, "Sure, one moment."), (CUSTOMER, "It's four"), (CUSTOMER, "1")
        )
        assert shown == [request_text, "Sure, one moment.", "It's #", "#"]

    @pytest.mark.parametrize(
        "harmless",
        [
            "Let me pin down the cause.",
            "Is it the SIM card?",
            "I saw it on social media.",
            "I was spinning.",
            "Any code?",
        ],
    )
    def test_other_talk_is_no_request(self, harmless: str) -> None:
        assert converse((AGENT, harmless), (CUSTOMER, "two dogs"))[1] == "two dogs"

    def test_either_side_may_name_it(self) -> None:
        assert converse((CUSTOMER, "Do you want my PIN?"), (AGENT, "Yes."), (CUSTOMER, "4 1"))[2] == "##"

    def test_an_oh_by_itself_is_a_zero(self) -> None:
        assert converse((AGENT, "your pin?"), (CUSTOMER, "oh"), (CUSTOMER, "Oh, I see"))[1:] == ["#", "Oh, I see"]

    def test_no_exception_for_times_prices_and_quantities(self) -> None:
        shown = converse(
            (AGENT, "your pin?"), (CUSTOMER, "at three thirty"), (CUSTOMER, "two hundred"), (CUSTOMER, "$25")
        )
        assert shown[1:] == ["at ###", "###", "$##"]

    def test_it_lasts_while_numbers_come(self) -> None:
        turns = [
            (CUSTOMER, "It's"),
            *[(CUSTOMER, text) for text in ("4", "hold on", "1", "right", "1", "where", "1") * 3],
        ]
        shown = converse((AGENT, "your pin?"), *turns)
        assert not any(character.isdigit() for text in shown for character in text)

    def test_it_ends_after_quiet_utterances(self) -> None:
        quiet = [(AGENT, "All good.")] * QUIET_UTTERANCES
        assert converse((AGENT, "your pin?"), *quiet, (CUSTOMER, "2 dogs"))[-1] == "2 dogs"
        assert converse((AGENT, "your pin?"), *quiet[1:], (CUSTOMER, "2 dogs"))[-1] == "# dogs"

    def test_it_ends_at_last_whatever_is_said(self) -> None:
        numbers = [(CUSTOMER, "2 dogs")] * MAX_UTTERANCES
        shown = converse((AGENT, "your pin?"), *numbers)
        assert shown[1] == "# dogs"
        assert shown[-1] == "2 dogs"


class TestPolicy:
    def hidden(self, text: str, *entities: Entity) -> list[tuple[str, Entity]]:
        redacted = Redactor(Policy(frozenset(entities))).redact(text, CUSTOMER)
        return [(text[one.start : one.end], one.entity) for one in redacted.hidden]

    def test_cards_and_their_codes_are_hidden_whatever_it_says(self) -> None:
        card = "4111 1111 1111 1111"
        assert self.hidden(f"take {card}") == [(card, Entity.CREDIT_CARD_NUMBER)]
        assert self.hidden("the CVV is 4 1 7") == [("4 1 7", Entity.CVV)]
        assert self.hidden("the card number is 4 1") == [("4 1", Entity.CREDIT_CARD_NUMBER)]

    @pytest.mark.parametrize(
        ("text", "said", "entity"),
        [
            ("my PIN is 41", "41", Entity.PIN),
            ("my social is 219-09-4417", "219-09-4417", Entity.SSN),
            ("it is 219-09-4417", "219-09-4417", Entity.SSN),
            ("my password is blue horse", "blue horse", Entity.PASSWORD),
            ("write to ann@example.com", "ann@example.com", Entity.EMAIL),
            ("call me at 555 1234", "555 1234", Entity.PHONE_NUMBER),
            ("it is 212-555-1234", "212-555-1234", Entity.PHONE_NUMBER),
            ("my zip code is 90210", "90210", Entity.ZIP),
            ("I was born on May 2nd 1985", "May 2nd 1985", Entity.DOB),
            ("it says 417", "417", Entity.DIGITS_3),
            ("it says 4172", "4172", Entity.DIGITS_4),
            ("it says 417241724", "417241724", Entity.DIGITS_9),
            ("it says 4172417241", "4172417241", Entity.DIGITS_10),
            ("it says 417241", "417241", Entity.DIGITS_LONG),
        ],
    )
    def test_an_entity_is_hidden_where_it_is_on(self, text: str, said: str, entity: Entity) -> None:
        assert self.hidden(text, entity) == [(said, entity)]
        assert self.hidden(text) == []

    def test_what_is_known_and_off_is_no_secret_by_its_length_but_for_the_documented_ones(self) -> None:
        for text in ("my zip code is 90210", "my date of birth is oh three fourteen nineteen eighty five"):
            assert Redactor().redact(text, CUSTOMER).hidden == ()
        assert Redactor().redact("my phone number is 212-555-1234", CUSTOMER).text == "my phone number is ###-###-####"

    def test_runs_over_utterances_are_hidden_by_a_rule_that_may_come_true(self) -> None:
        shown = converse((CUSTOMER, "4 1"), (CUSTOMER, "1 1"), policy=Policy(frozenset({Entity.DIGITS_LONG})))
        assert shown == ["4 1", "##"]


class TestRevision:
    def told(self, *turns: tuple[Role, str], policy: Policy = DEFAULT) -> dict[int, str]:
        redactor = Redactor(policy)
        texts: dict[int, str] = {}
        for number, (role, text) in enumerate(turns):
            redacted = redactor.redact(text, role)
            assert redacted.utterance == number
            for revised in redacted.revised:
                assert revised.utterance < number
                texts[revised.utterance] = revised.text
        return texts

    def test_the_beginning_of_a_run(self) -> None:
        assert self.told((CUSTOMER, "so 4 1"), (AGENT, "mm"), (CUSTOMER, "1 1")) == {0: "so ##"}

    def test_a_pin_before_its_name(self) -> None:
        assert self.told((CUSTOMER, "it's 4 1"), (AGENT, "hm"), (CUSTOMER, "that's my PIN")) == {0: "it's ##"}
        assert self.told((CUSTOMER, "it's 4 1"), (AGENT, "Was that your PIN?")) == {0: "it's ##"}
        assert self.told((CUSTOMER, "it's 4 1"), (AGENT, "What's your PIN?")) == {}

    def test_a_password_before_its_name_and_after_it(self) -> None:
        turns = [(CUSTOMER, "blue horse seven"), (CUSTOMER, "that's my password"), (AGENT, "Blue horse seven, okay.")]
        assert self.told(*turns) == {0: "#### ##### #"}
        assert converse(*turns)[2] == "#### ##### #, okay."

    def test_a_card_in_groups_that_no_rule_hides(self) -> None:
        groups = [(CUSTOMER, f"{lead} 1111") for lead in ("then", "next comes", "and")]
        turns = [(CUSTOMER, "it's 4111"), *groups]
        bare = Policy(frozenset())
        assert self.told(*turns, policy=bare) == {0: "it's ####", 1: "then ####", 2: "next comes ####"}
        assert converse(*turns, policy=bare)[3] == "and ####"

    def test_nothing_is_revised_twice(self) -> None:
        redactor = Redactor()
        for text in ("4 1", "1 1", "1 1"):
            last = redactor.redact(text, CUSTOMER)
        assert last.revised == ()


class TestAfterASecret:
    """Once it is told completely, what the words around explain is shown again."""

    def test_prices_and_dates_come_back(self) -> None:
        shown = converse(
            (AGENT, "What's your PIN?"), (CUSTOMER, "4 1 9 2"), (AGENT, "Thanks. That's $45.99, since 2011."),
            (CUSTOMER, "okay 12"),
        )  # fmt: skip
        assert shown == ["What's your PIN?", "####", "Thanks. That's $45.99, since 2011.", "okay ##"]

    def test_in_the_same_breath(self) -> None:
        text = "My PIN is 8841 and I've had it since 2011."
        assert converse((CUSTOMER, text)) == ["My PIN is #### and I've had it since 2011."]

    def test_but_not_before(self) -> None:
        assert converse((AGENT, "What's your PIN?"), (CUSTOMER, "4 1"), (CUSTOMER, "since 2011"))[2] == "since ####"

    def test_another_request_begins_anew(self) -> None:
        shown = converse((AGENT, "Your PIN?"), (CUSTOMER, "4 1 9 2"), (AGENT, "And the CVV?"), (CUSTOMER, "in 2011"))
        assert shown[3] == "in ####"

    def test_a_card_that_is_only_spoken_of_hides_lone_numbers_only(self) -> None:
        shown = converse((CUSTOMER, "I'll use my card"), (AGENT, "It's 2 dollars"), (CUSTOMER, "4 1"))
        assert shown[1:] == ["It's 2 dollars", "##"]


class TestPreview:
    def test_it_hides_the_same_and_remembers_nothing(self) -> None:
        redactor = Redactor()
        assert redactor.preview("my pin is 4", CUSTOMER) == "my pin is #"
        assert redactor.redact("4", CUSTOMER).text == "4"

    @given(st.lists(phrases(), max_size=4), phrases())
    def test_it_changes_nothing_of_what_redact_says(self, before: list[str], text: str) -> None:
        once, twice = Redactor(), Redactor()
        for utterance in before:
            twice.preview(f"{utterance} {text}", CUSTOMER)
            assert once.redact(utterance, CUSTOMER) == twice.redact(utterance, CUSTOMER)

    @given(phrases())
    def test_it_shows_no_number_whatever_was_said(self, text: str) -> None:
        shown = Redactor().preview(text, CUSTOMER)
        assert not any(character.isdigit() for character in shown)
        assert {token.word for token in tokenize(shown)} & NUMBER_WORDS <= {"one"}

    def test_after_a_request_a_pronoun_is_hidden_too(self) -> None:
        redactor = Redactor()
        assert redactor.preview("one of those", CUSTOMER) == "one of those"
        redactor.redact("And what is your PIN?", AGENT)
        assert redactor.preview("one of those", CUSTOMER) == "# of those"


class TestProperties:
    @given(st.lists(st.tuples(st.text(), st.sampled_from(Role)), max_size=5))
    def test_never_raises_on_any_text(self, turns: list[tuple[str, Role]]) -> None:
        converse(*[(role, text) for text, role in turns])

    @given(st.text("0123456789٣४²①o.,:-@ athundred", max_size=40))
    def test_never_raises_on_text_full_of_digits(self, text: str) -> None:
        Redactor().redact(text, AGENT)

    @given(spelled())
    def test_a_run_shows_one_mark_a_digit_and_nothing_else(self, run: tuple[int, str]) -> None:
        count, text = run
        shown = Redactor().redact(f"here it comes: {text} that was it", CUSTOMER).text
        assert shown.count("#") == count
        assert not DIGIT_WORDS & {token.word for token in tokenize(shown)}

    @given(spelled(), spelled(minimum=1))
    def test_a_split_run_shows_no_digit(self, first: tuple[int, str], second: tuple[int, str]) -> None:
        shown = converse((CUSTOMER, first[1]), (AGENT, "mm"), (CUSTOMER, second[1]))
        assert [shown[0].count("#"), shown[2].count("#")] == [first[0], second[0]]

    @given(spelled(minimum=1))
    def test_after_a_request_no_digit_is_shown(self, run: tuple[int, str]) -> None:
        shown = converse((AGENT, "What is your PIN?"), (CUSTOMER, f"that would be {run[1]} you know"))[1]
        assert not {token.word for token in tokenize(shown)} & (DIGIT_WORDS - {"oh"})

    @given(st.lists(st.tuples(phrases(), st.sampled_from(Role)), min_size=1, max_size=5))
    def test_what_is_hidden_lies_in_order_and_is_masked(self, turns: list[tuple[str, Role]]) -> None:
        redactor = Redactor(Policy(frozenset(Entity)))
        for text, role in turns:
            redacted = redactor.redact(text, role)
            at = 0
            for one in redacted.hidden:
                assert at <= one.start < one.end <= len(text)
                at = one.end
            assert bool(redacted.hidden) is (redacted.text.count("#") > text.count("#"))

    @given(phrases())
    def test_masked_text_stays_as_it_is(self, text: str) -> None:
        once = Redactor().redact(text, CUSTOMER).text
        assert Redactor().redact(once, CUSTOMER).text == once

    @given(phrases(), st.sampled_from(Role))
    def test_no_three_digits_in_a_row_are_left(self, text: str, role: Role) -> None:
        for explained in ("$25.99", "3:30", "100%", "1,000", "digits", "at", "for", "to"):
            text = text.replace(explained, "")
        shown = Redactor().redact(text, role).text
        assert not any(number.count >= 3 and number.form is not Form.ROUND for number in _numbers(shown))

    @given(st.text(st.characters(blacklist_categories=["Nd", "No", "Nl"])))
    def test_text_without_numbers_or_addresses_is_returned_as_it_is(self, text: str) -> None:
        if "@" not in text and not _numbers(text):
            assert Redactor().redact(text, CUSTOMER).text == text


def _numbers(text: str) -> list[Element]:
    return elements(text, tokenize(text))

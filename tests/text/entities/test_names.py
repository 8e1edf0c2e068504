from __future__ import annotations

import pytest

from gateway.participants import Role
from gateway.text.digits.numbers import tokenize
from gateway.text.entities.names import expected_of
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.redaction import Redactor

WITH_NAMES = Policy(DEFAULT.active | {Entity.NAME})
CUSTOMER, AGENT = Role.CUSTOMER, Role.AGENT


def names(*said: str) -> list[str]:
    """What is hidden of the last of some texts, said in turn; the last one by the customer."""
    redactor = Redactor(WITH_NAMES)
    for index, text in enumerate(said[:-1]):
        redactor.redact(text, AGENT if (len(said) - index) % 2 == 0 else CUSTOMER)
    done = redactor.redact(said[-1], CUSTOMER)
    return [said[-1][one.start : one.end] for one in done.hidden if one.entity is Entity.NAME]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("My name is Robert Chen.", ["Robert Chen"]),
        ("My first name is Ana, last name de la Cruz.", ["Ana", "de la Cruz"]),
        ("This is Angela O'Malley calling about my order.", ["Angela O'Malley"]),
        ("I'm Dave, and I have a question.", ["Dave"]),
        ("Could I speak to Denise in Billing?", ["Denise"]),
        ("I spoke with Karen in Technical Support.", ["Karen"]),
        ("Dr. Patel sent me to Mrs. O'Neil-Smith.", ["Patel", "O'Neil-Smith"]),
        ("My husband Dwayne pays.", ["Dwayne"]),
        ("It's under William Van Dyke Jr.", ["William Van Dyke Jr"]),
        ("It's Katherine with a K.", ["Katherine"]),
        ("Robert Chen speaking.", ["Robert Chen"]),
        ("My last name is spelled K, O, W, A, L.", ["K, O, W, A, L"]),
        ("Thanks, Walter.", ["Walter"]),
        ("My name is Bob and Linda is my wife.", ["Bob", "Linda"]),
        ("You can call me Bob. Let Brian know.", ["Bob", "Brian"]),
        ("On behalf of Rosa Diaz, it's Denise's account.", ["Rosa Diaz", "Denise"]),
        ("Is Linda available?", ["Linda"]),
    ],
)
def test_a_name_is_told_by_the_words_around(text: str, found: list[str]) -> None:
    assert names(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "This is Lakeside Energy calling.",
        "Can I speak to Billing, or to the Claims Department?",
        "I'm American. Thank you, Sir.",
        "My name is on the account. My name is spelled wrong.",
        "Hello, is anyone there? Okay, Monday is fine.",
        "We moved from Boston to Denver in May.",
        "I'm sorry, that's the Galaxy with an A.",
        "Thank you for calling. This is Spanish.",
        "The street name is Maple, the product's name is Galaxy Watch.",
        "Great, Tuesday works. Is this Verizon? Today's account is fine.",
        "",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert names(text) == []


@pytest.mark.parametrize(
    ("question", "answer", "found"),
    [
        ("May I have your name?", "John Smith.", ["John Smith"]),
        ("Who am I speaking with?", "Sure, it's Siobhan O'Malley, and I need help.", ["Siobhan O'Malley"]),
        ("And the name on the card?", "Maria J. Lopez.", ["Maria J. Lopez"]),
        ("How do you spell your last name?", "Sure. L as in Larry, E, E.", ["L as in Larry, E, E"]),
        ("Last name first, please: what's your name?", "Smith, John.", ["Smith", "John"]),
        ("May I have your name?", "Kim. That's K I M.", ["Kim", "K I M"]),
        ("What's the street name?", "Maple.", []),
        ("What's your name?", "Why do you need it?", []),
        ("Can I get your name?", "Yes.", []),
        ("Can I get your name?", "I have it on the account.", []),
        ("How can I help?", "John Smith.", []),
    ],
)
def test_an_answer_is_a_name_where_one_was_asked_for(question: str, answer: str, found: list[str]) -> None:
    assert names(question, answer) == found


def test_a_name_is_hidden_wherever_it_is_said_again() -> None:
    assert names("My name is Tom Hughes.", "So Tom, is it Hughes's?", "Yes, Tom does it.") == ["Tom"]
    assert names("My name is S M I T H.", "Okay.", "So is Smith there? A smith is.") == ["Smith"]
    assert names("Thanks, May.", "Okay.", "In May we close, May 5th; ask May.") == ["May"]


def test_so_many_names_are_known_and_no_more() -> None:
    redactor = Redactor(WITH_NAMES)
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        redactor.redact(f"My name is {letter}ob{letter.lower()}.", CUSTOMER)
    assert redactor.redact("So Zobz knows Aoba.", AGENT).text == "So #### knows Aoba."


def test_who_is_asked_for_by_an_agent() -> None:
    assert Redactor(WITH_NAMES).redact("Is this Hector?", AGENT).text == "Is this ######?"


def test_names_are_shown_where_the_policy_says_so() -> None:
    assert Redactor().redact("My name is Robert Chen.", CUSTOMER).text == "My name is Robert Chen."


@pytest.mark.parametrize(
    ("text", "teller"),
    [
        ("What's your name?", CUSTOMER),
        ("Full name, please.", CUSTOMER),
        ("My name is, um", AGENT),
        ("My name is Tamara. How can I help you?", None),
        ("That is a nice name.", None),
    ],
)
def test_who_is_to_tell_a_name(text: str, teller: Role | None) -> None:
    assert expected_of(text, AGENT) is teller


@pytest.mark.parametrize(
    "text",
    [
        "My name is Robert Chen and I",
        "Robert Chen speaking.",
        "This is Angela Whitfield calling",
        "Hi, Mr. Lee.",
        "It is spelled K, O, W.",
    ],
)
def test_no_beginning_of_a_text_shows_a_name(text: str) -> None:
    redactor = Redactor(WITH_NAMES)
    final = {token.word for token in tokenize(redactor.redact(text, CUSTOMER).text)}
    for token in tokenize(text):
        shown = tokenize(Redactor(WITH_NAMES).preview(text[: token.end], CUSTOMER))
        assert {one.word for one in shown} <= final, text[: token.end]

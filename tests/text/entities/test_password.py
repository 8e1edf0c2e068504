from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.participants import Role
from gateway.text.digits.numbers import elements, tokenize
from gateway.text.entities.context import Context, Topic
from gateway.text.entities.mentions import find_mentions
from gateway.text.entities.password import expected_of, find_passwords, names_the_last
from gateway.text.policy import Entity

AGENT, CUSTOMER = Role.AGENT, Role.CUSTOMER


def found(text: str, *, asked: Topic | None = None, told: tuple[str, ...] = (), unfinished: bool = False) -> list[str]:
    tokens = tokenize(text)
    topics = {} if asked is None else {Entity.PASSWORD: asked}
    context = Context(CUSTOMER, find_mentions(text), topics, (told,) if told else (), unfinished=unfinished)
    return [text[one.start : one.end] for one in find_passwords(text, tokens, elements(text, tokens), context)]


ASKED = Topic(CUSTOMER, 1)


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("my password is blue horse seven", "blue horse seven"),
        ("My password is blue horse seven. Can you try it?", "blue horse seven"),
        ("my password is blue horse seven and I can't log in", "blue horse seven"),
        ("My password's Rosebud22, with a capital R.", "Rosebud22"),
        ("The password for my router is kitchen sink, please.", "kitchen sink"),
        ("the password I always use is yellow lamp", "yellow lamp"),
        ("um, I think the password was, uh, old mill", "old mill"),
        ("I changed my password to Marble 9 yesterday", "Marble 9"),
        ("my password is b as in boy, l as in lima, u, e", "b as in boy, l as in lima, u, e"),
        ("My password is A. D. M. 4. 4.", "A. D. M. 4. 4"),
        ("the password is capital R, i, v, e, r, and it fails", "capital R, i, v, e, r"),
        ("blue horse seven is my password", "blue horse seven"),
        ("So yes, green door, that's my password.", "green door"),
        ("It was green door, the old password.", "green door"),
        ("I use green door as my password", "green door"),
        ("You log in with the password green door to open it", "green door"),
        ("My passcode is fluffy clouds.", "fluffy clouds"),
        ("the secret word is lighthouse", "lighthouse"),
        ("they gave me the password red barn", "red barn"),
        ("For my password? It's red barn.", "red barn"),
        ("You want my password? Okay, red barn.", "red barn"),
        ("My password, if I remember right, is red barn.", "red barn"),
        ("my password has always been red barn", "red barn"),
        ("my password was changed to red barn", "red barn"),
        ("So I type the password, which is red barn, and it says invalid.", "red barn"),
        ("The password hint is my dog, so it's red barn.", "red barn"),
        ("the password you gave me, red barn, doesn't work", "red barn"),
        ("log in as jsmith, password red barn", "red barn"),
        ("Is the password red barn?", "red barn"),
        ("red barn will be my new password", "red barn"),
    ],
)
def test_a_password_that_is_told_is_found(text: str, password: str) -> None:
    assert found(text) == [password]


@pytest.mark.parametrize(
    "text",
    [
        "I forgot my password",
        "Please reset your password now.",
        "My password is not working.",
        "The password is incorrect, it says.",
        "Your password must have at least eight characters.",
        "My password isn't accepted",
        "the password is case sensitive, right?",
        "what is my password",
        "is that my password?",
        "that's my password",
        "I don't know what my password is",
        "I typed my password in the box and it was wrong",
        "We never ask for a password.",
        "I use the same password everywhere",
        "try again for the password",
        "Make the password easier to remember please",
        "The password has always been a problem",
        "So the password is the problem?",
        "password protection is off",
        "My passcode is 4192.",
        "blue horse seven",
    ],
)
def test_talk_of_passwords_tells_none(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("blue horse seven", "blue horse seven"),
        ("Sure, it's blue horse seven.", "blue horse seven"),
        ("Um, I believe it's green lantern.", "green lantern"),
        ("T as in Tom, R as in Robert, E, E", "T as in Tom, R as in Robert, E, E"),
        ("Yes. It is, uh, October rain.", "October rain"),
        ("okay hold on, a, b, c, 1", "a, b, c, 1"),
        ("Maybe red barn?", "red barn"),
        ("Let's go with red barn.", "red barn"),
        ("Should be red barn.", "red barn"),
        ("My son set it up, so it's red barn.", "red barn"),
        ("No, sorry, it's red barn.", "red barn"),
    ],
)
def test_the_answer_to_a_request_is_found(text: str, password: str) -> None:
    assert found(text, asked=ASKED) == [password]
    assert found(text, asked=Topic(AGENT, 1)) == []


@pytest.mark.parametrize(
    "text",
    [
        "Why do you need it?",
        "I don't remember it, sorry.",
        "Sure, one moment.",
        "It's not working.",
        "Let me check.",
        "What password do you mean?",
        "Bright new day for everybody who is in the house and likes to talk about it",
    ],
)
def test_what_is_no_answer_stays(text: str) -> None:
    assert found(text, asked=ASKED) == []


def test_after_the_answer_only_what_is_spelled_goes_on() -> None:
    answered = Topic(CUSTOMER, 2, answered=True)
    assert found("great weather", asked=answered) == []
    assert found("h, u, n, t", asked=answered) == ["h, u, n, t"]


def test_a_password_is_known_again() -> None:
    assert found("So that's Blue horse, right?", told=("blue", "horse")) == ["Blue horse"]
    # Too short to be told from talk.
    assert found("a b test", told=("a", "b")) == []


def test_of_an_unfinished_text_nothing_behind_the_announcement_is_shown() -> None:
    assert found("my password is not", unfinished=True) == []
    assert found("my password is blue horse and I", unfinished=True) == ["blue horse and I"]
    assert found("blue horse and I", asked=ASKED, unfinished=True) == ["blue horse and I"]
    # What begins like no answer: the words that are no talk, as in the final text.
    assert found("I was", asked=ASKED, unfinished=True) == []
    assert found("I was bluebird", asked=ASKED, unfinished=True) == ["bluebird"]


@pytest.mark.parametrize(
    ("text", "teller"),
    [
        ("What is your password?", AGENT),
        ("And your password is?", AGENT),
        ("the password, please", AGENT),
        ("Can you verify the password on the account?", AGENT),
        ("Do you need my password?", CUSTOMER),
        ("my password is", CUSTOMER),
        ("okay, so my password is, um", CUSTOMER),
        ("Security word?", AGENT),
        ("And the password you used?", AGENT),
        ("Go ahead with your password.", AGENT),
        ("What would you like your new password to be?", AGENT),
        ("Is your password correct?", None),
        ("I forgot my password", None),
        ("Do you need a new password?", None),
        ("I can't remember what my password is", None),
    ],
)
def test_who_is_to_tell_it(text: str, teller: Role | None) -> None:
    assert expected_of(text, CUSTOMER) is teller


def test_a_name_behind_the_words() -> None:
    assert names_the_last("that's my password")
    assert names_the_last("Is that your password?")
    assert not names_the_last("what's my password")


@given(st.text(), st.booleans(), st.booleans())
def test_spans_lie_in_order_inside_any_text(text: str, asked: bool, unfinished: bool) -> None:
    text = f"my password is {text}" if not asked else text
    tokens = tokenize(text)
    topics = {Entity.PASSWORD: ASKED} if asked else {}
    context = Context(CUSTOMER, find_mentions(text), topics, (("blue", "horse"),), unfinished=unfinished)
    at = 0
    for one in find_passwords(text, tokens, elements(text, tokens), context):
        assert at <= one.start < one.end <= len(text)
        at = one.end

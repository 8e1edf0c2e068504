"""The columns of the feeds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from gateway.export.rows import FEEDS, Terms, conversation_state_rows, utterance_rows, utterance_state_rows

from .samples import NINE, a_call, a_message, unredacted

# The documented columns of the `utterances` feed, in their order.
NINE_COLUMNS = [
    "conversation_id",
    "message_id",
    "instance_ts",
    "chat_message_event_ts",
    "external_conversation_id",
    "utterance",
    "company_marker",
    "dt",
    "hr",
]


def test_an_utterance() -> None:
    call = a_call()
    message = a_message(call, 1, text="My PIN is ####.")
    (row,) = utterance_rows(call, [message])
    assert row == {
        "conversation_id": call.call_id,
        "message_id": message.message_id,
        "instance_ts": "2026-03-02 09:00:00.000000+00:00",
        "chat_message_event_ts": "2026-03-02 09:15:30",
        "external_conversation_id": "CA01",
        "utterance": "My PIN is ####.",
        "company_marker": "01ACC",
        "dt": "2026-03-02",
        "hr": "09",
    }
    assert list(row) == NINE_COLUMNS


def test_the_columns_are_those_of_the_rows() -> None:
    call = a_call()
    for feed, make in (
        ("utterances", utterance_rows),
        ("staging_utterance_state", utterance_state_rows),
        ("staging_conversation_state", conversation_state_rows),
    ):
        (row,) = make(call, [a_message(call, 1)])
        assert tuple(row) == tuple(name for name, _ in FEEDS[feed])
        kinds = {name: int if kind == "integer" else str for name, kind in FEEDS[feed]}
        assert all(value is None or type(value) is kinds[name] for name, value in row.items())


def test_the_day_and_the_hour_are_utc() -> None:
    call = a_call()
    there = datetime(2026, 3, 3, 1, 30, tzinfo=timezone(timedelta(hours=5)))
    (row,) = utterance_rows(call, [a_message(call, 1, there)])
    assert (row["dt"], row["hr"]) == ("2026-03-02", "20")
    assert row["instance_ts"] == "2026-03-02 20:00:00.000000+00:00"


def test_unredacted_only_where_call_and_terms_say_so() -> None:
    call = a_call()
    asked = unredacted(a_message(call, 1, text="PIN ####."), "PIN 1234.")
    plain = a_message(call, 2, text="PIN ####.")
    shown = [row["utterance"] for row in utterance_rows(call, [asked, plain], Terms(unredacted=True))]
    assert shown == ["PIN 1234.", "PIN ####."]
    assert [row["utterance"] for row in utterance_rows(call, [asked, plain])] == ["PIN ####.", "PIN ####."]


def test_a_company_marker_that_is_set() -> None:
    call = a_call()
    for make in (utterance_rows, utterance_state_rows, conversation_state_rows):
        (row,) = make(call, [a_message(call, 1)], Terms(company_marker="acme"))
        assert row["company_marker"] == "acme"


def test_the_state_of_an_utterance_has_no_text() -> None:
    call = a_call()
    message = a_message(call, 2, text="My PIN is ####.")
    (row,) = utterance_state_rows(call, [message])
    assert "utterance" not in row
    assert not any("PIN" in str(value) for value in row.values())
    assert (row["sender_type"], row["sender_id"], row["utterance_length"]) == ("SENDER_AGENT", "agent-9", 15)
    assert row["utterance_start_ts"] == "2026-03-02 09:15:28.250+00:00"
    assert row["utterance_end_ts"] == "2026-03-02 09:15:29.150+00:00"


def test_a_conversation_has_a_row_an_hour() -> None:
    call = a_call()
    messages = [a_message(call, i, NINE + timedelta(minutes=20 * i)) for i in range(1, 5)]
    first, second = conversation_state_rows(call, messages)
    assert (first["hr"], first["customer_utterance_ct"], first["agent_utterance_ct"]) == ("09", 1, 1)
    assert (second["hr"], second["customer_utterance_ct"], second["agent_utterance_ct"]) == ("10", 1, 1)
    assert first["customer_first_utterance_ts"] == "2026-03-02 09:35:28"
    assert first["agent_last_utterance_ts"] == "2026-03-02 09:55:28"
    assert first["conversation_start_ts"] == first["first_event_ts"] == "2026-03-02 09:15:30"
    assert (first["customer_id"], first["last_agent_id"], first["all_agent_ids"]) == ("cust-7", "agent-9", "[agent-9]")


def test_a_conversation_of_yesterday_has_no_start() -> None:
    call = a_call(at=NINE - timedelta(days=1))
    (row,) = conversation_state_rows(call, [a_message(call, 1)])
    assert row["conversation_start_ts"] is None
    assert row["first_event_ts"] == "2026-03-01 09:15:30"
    assert row["last_agent_id"] is None
    assert row["agent_first_utterance_ts"] is None


def test_the_last_agent_is_who_spoke_last() -> None:
    from dataclasses import replace

    call = a_call()
    spoke = [replace(a_message(call, 2), external_id=agent) for agent in ("a", "b", "a")]
    (row,) = conversation_state_rows(call, spoke)
    assert (row["last_agent_id"], row["all_agent_ids"]) == ("a", "[a,b]")


def test_conversations_are_sorted_by_hour_and_id() -> None:
    from gateway.export.rows import ConversationStates

    states = ConversationStates()
    calls = [a_call(f"CA{n}", at=NINE - timedelta(seconds=n)) for n in range(3)]
    for call in calls:
        states.add(call, a_message(call, 1, datetime(2026, 3, 2, 10, tzinfo=UTC)))
        states.add(call, a_message(call, 2))
    keys = [(row["hr"], row["conversation_id"]) for row in states.rows()]
    assert keys == sorted(keys)
    assert len(keys) == 6
    assert list(states.rows()) == []

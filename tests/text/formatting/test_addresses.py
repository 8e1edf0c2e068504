from __future__ import annotations

import pytest

from gateway.text.formatting import format_text


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("john dot smith at example dot com", "john.smith@example.com"),
        ("J dot Smith seven seven at Gmail dot com.", "j.smith77@gmail.com."),
        ("b o b at example dot net", "bob@example.net"),
        ("s o m e o n e at example dot com", "someone@example.com"),
        ("zoe oh four at example dot com", "zoe04@example.com"),
        ("contact john smith at gmail dot com", "contact johnsmith@gmail.com"),
        ("mike dash jones plus news at example dot org", "mike-jones+news@example.org"),
        ("tom dot lee@example.com", "tom.lee@example.com"),
        ("mary at example.com", "mary@example.com"),
        ("visit example dot co dot uk", "visit example.co.uk"),
        ("visit mail dot example dot org", "visit mail.example.org"),
        ("john@example.com", "john@example.com"),
        ("john at home at example dot com", "john at home@example.com"),
        ("Look at the dot on the map.", "Look at the dot on the map."),
        ("The dot com bubble.", "The dot com bubble."),
    ],
)
def test_addresses(spoken: str, written: str) -> None:
    assert format_text(spoken).text == written

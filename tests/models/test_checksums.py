from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from models import checksums

SUM = "0123456789abcdef" * 4


def test_what_is_recorded_is_read_and_added_to(tmp_path: Path) -> None:
    assert checksums.read(tmp_path) == {}
    checksums.record(tmp_path, "a", {"x": SUM})
    checksums.record(tmp_path, "b", {"x": SUM})
    checksums.record(tmp_path, "a", {"y": SUM[::-1]})
    assert checksums.read(tmp_path) == {"a": {"x": SUM, "y": SUM[::-1]}, "b": {"x": SUM}}
    assert (tmp_path / checksums.RECORD).stat().st_mode & 0o777 == 0o644


def test_records_at_once_are_all_kept(tmp_path: Path) -> None:
    threads = [threading.Thread(target=checksums.record, args=(tmp_path, f"m{n}", {"x": SUM})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(checksums.read(tmp_path)) == {f"m{n}" for n in range(8)}


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"a": {"x": "abc"}}', '{"a": {"x": 1}}'])
def test_a_damaged_record_is_not_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / checksums.RECORD).write_text(content)
    with pytest.raises(ConfigError, match=r"checksums\.json .*mend it, or remove it"):
        checksums.read(tmp_path)
    with pytest.raises(ConfigError):
        checksums.record(tmp_path, "a", {"x": SUM})
    assert (tmp_path / checksums.RECORD).read_text() == content

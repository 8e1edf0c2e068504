from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import bench_formatting
from benchmarks.bench_formatting import FOLDER, LIBRARIES, Pair, lenient, main, read, score, theirs, weight
from benchmarks.peers import Peer
from gateway.errors import PeerError

PAIRS = [
    Pair("money", "five dollars.", "$5."),
    Pair("time", "at three thirty p.m.", "at 3:30 p.m."),
    Pair("stays", "One moment.", "One moment."),
]


def test_conventions_are_passed_over_and_nothing_else() -> None:
    assert lenient("At 03:30 PM , it costs 2,500 .") == lenient("at 3:30 p.m., it costs 2500.")
    assert lenient("It 's 5 % .") == lenient("it 's 5%")
    assert lenient("555 , 202") == lenient("555-202")
    assert lenient("$5") != lenient("5 dollars")


def test_scores_are_shares_of_the_pairs() -> None:
    scores = score(PAIRS, ["$5 .", "at 3:30 p.m.", "1 moment."])
    assert (scores["exact"], scores["lenient"], scores["changes"], scores["stays"]) == (0.3333, 0.6667, 1.0, 0.0)
    assert scores["kinds"] == {"money": 1.0, "time": 1.0, "stays": 0.0}


def test_the_labelled_files_can_be_read() -> None:
    kinds = {pair.kind for path in FOLDER.glob("*.tsv") for pair in read(path)}
    assert {"cardinal", "ordinal", "money", "date", "year", "time", "phone", "email", "percent", "decimal"} <= kinds
    assert all(
        pair.spoken == pair.written for path in FOLDER.glob("*.tsv") for pair in read(path) if pair.kind == "stays"
    )


def test_ours_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--peers", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["formatters"]) == ["gateway"]
    assert set(result["formatters"]["gateway"]["sets"]) == {"seen", "unseen"}
    assert result["formatters"]["gateway"]["sets"]["unseen"]["exact"] > 0.9


def test_a_library_that_ends_early_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "some"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").symlink_to(sys.executable)
    (home / "installed.txt").write_text("some==1\n")
    script = tmp_path / "some.py"
    script.write_text("import sys; sys.exit('no grammar')")
    monkeypatch.setattr(bench_formatting, "RUNNERS", tmp_path)
    with pytest.raises(PeerError, match="0 of 1 texts and ended: no grammar"):
        theirs(Peer("some", ("some==1",), "some.py", "none"), tmp_path, ["five"])


def test_the_weight_of_an_environment_is_without_its_installer(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    for name, size in (("pip", 5_000_000), ("setuptools-1.dist-info", 3_000_000), ("some", 2_000_000)):
        (packages / name).mkdir(parents=True)
        (packages / name / "data").write_bytes(bytes(size))
    (packages / "one.py").write_bytes(bytes(1_000_000))
    assert weight(tmp_path) == 3


def test_every_library_is_pinned() -> None:
    assert all("==" in library.requirements[0] for library in LIBRARIES.values())

"""The command as a user runs it: its own process, real settings, real exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def gateway(*args: str, models_dir: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"GATEWAY_MODELS_DIR": str(models_dir), "COLUMNS": "200"}
    environment |= {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(models_dir / "none"),
    }
    command = [sys.executable, "-c", "from gateway.cli.main import main; main()", "models", *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_list_shows_what_is_here(tmp_path: Path) -> None:
    done = gateway("list", "--json", models_dir=tmp_path)
    entries = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert not entries["moonshine-tiny-en"]["present"]
    assert entries["silero-vad"]["source"] == "PyPI silero-vad 6.2.3"
    table = gateway("list", models_dir=tmp_path)
    assert "moonshine-tiny-en" in table.stdout
    assert (done.returncode, table.returncode) == (0, 0)


def test_verify_fails_for_what_is_not_here(tmp_path: Path) -> None:
    done = gateway("verify", "silero-vad", "--json", models_dir=tmp_path)
    assert done.returncode == 1
    (entry,) = json.loads(done.stdout)
    assert not entry["ok"]
    assert "run `gateway models fetch silero-vad`" in entry["problem"]


def test_fetch_without_a_registry_is_one_line(tmp_path: Path) -> None:
    done = gateway("fetch", "silero-vad", models_dir=tmp_path)
    assert done.returncode == 1
    assert "PyPI silero-vad 6.2.3 could not be downloaded" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".silero-vad.lock"]


def test_an_unknown_name_is_the_callers_mistake(tmp_path: Path) -> None:
    done = gateway("fetch", "nope", models_dir=tmp_path)
    assert done.returncode == 2
    assert "there is no model 'nope'" in " ".join(done.stderr.split())


@pytest.mark.slow
def test_the_fetched_models_are_right_and_fetched_no_more() -> None:
    models_dir = Path(__file__).parents[2] / "models" / "cache"
    assert gateway("verify", models_dir=models_dir).returncode == 0
    done = gateway("fetch", "--json", models_dir=models_dir)
    assert [entry["fetched"] for entry in json.loads(done.stdout)] == [False, False]

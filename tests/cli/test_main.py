"""The list of commands, and what it costs to read it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from gateway.cli.main import COMMANDS, app, load
from gateway.errors import UsageError


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says_of_itself(name: str) -> None:
    assert load(name).get_short_help_str(200) == COMMANDS[name]


def test_the_list_imports_no_command() -> None:
    code = (
        "import sys\nfrom gateway.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(*sorted({'numpy', 'sqlalchemy', 'aiohttp', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
    assert "loadtest" in done.stdout


@pytest.mark.parametrize("arguments", [["srve"], ["keys", "crate"]])
def test_a_misspelt_command(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Did you mean" in result.output


def test_a_command_of_its_own_is_run_with_its_options() -> None:
    result = CliRunner().invoke(app, ["simulate", "no-such.wav", "--url", "http://127.0.0.1:1", "--api-id=a"])
    assert isinstance(result.exception, UsageError)

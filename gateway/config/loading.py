"""From a TOML file and the environment to the settings, or to one line of what is wrong."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config.sections import ENV_PREFIX, Section
from gateway.config.settings import Settings
from gateway.errors import ConfigError

__all__ = ["load", "variables"]

# Variables that are read elsewhere: by the chooser of kernels, the command line's client, the tests, the build.
_NO_SETTINGS = frozenset(
    {
        "GATEWAY_NO_EXTENSIONS",
        "GATEWAY_NATIVE_DIR",
        "GATEWAY_URL",
        "GATEWAY_API_ID",
        "GATEWAY_API_SECRET",
        "GATEWAY_TEST_PROFILE",
    }
)
# How alike the last parts of two names are, from 0 to 1, for one to be a misspelling of the other.
_LIKE = 0.6
_BUILD_PREFIX = "GATEWAY_BUILD_"


def load(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings.

    Args:
        config: TOML file; its keys are the names of :class:`Settings`.
        overrides: values that win over the file (the environment wins over both).

    Raises:
        ConfigError: one line that names the variable and what it may be.
    """
    _refuse_unknown(os.environ)
    values: dict[str, Any] = {}
    if config is not None:
        try:
            values = tomllib.loads(config.read_text(encoding="utf-8"))
        except OSError as error:
            msg = f"--config {config}: cannot be read ({error.strerror}); name a readable TOML file"
            raise ConfigError(msg) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            msg = f"--config {config}: is not valid TOML ({error})"
            raise ConfigError(msg) from error
    values.update(overrides)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError(_one_line(error)) from None


def variables() -> Iterator[str]:
    """The environment variable of every setting, sections included."""
    for name, field in Settings.model_fields.items():
        yield f"{ENV_PREFIX}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for inner in field.annotation.model_fields:
                yield f"{ENV_PREFIX}{name.upper()}__{inner.upper()}"


def _refuse_unknown(names: Iterable[str]) -> None:
    """A misspelt variable would otherwise be a setting silently left at its default."""
    known = frozenset(variables())
    for name in sorted(name.upper() for name in names):
        ours = name.startswith(ENV_PREFIX) and not name.startswith(_BUILD_PREFIX)
        if not ours or name in known or name in _NO_SETTINGS:
            continue
        close = _closest(name, known)
        hint = f"did you mean {close}?" if close else "`gateway serve --help` lists them all"
        msg = f"{name}: is not a setting; {hint}"
        raise ConfigError(msg)


def _closest(name: str, known: Iterable[str]) -> str | None:
    """The variable that was most likely meant, if any is like it, in its section and in what follows."""
    # Without the prefix that all of them share, which would make any two names alike.
    bare = [variable.removeprefix(ENV_PREFIX) for variable in sorted(known)]
    _, parted, wanted = name.removeprefix(ENV_PREFIX).partition("__")
    for close in difflib.get_close_matches(name.removeprefix(ENV_PREFIX), bare, n=len(bare), cutoff=0.7):
        last = close.rpartition("__")[2]
        if not parted or difflib.SequenceMatcher(None, wanted, last).ratio() >= _LIKE:
            return ENV_PREFIX + close
    return None


def _one_line(error: ValidationError) -> str:
    """The first error, as ``GATEWAY_X__Y: what was wrong``; the value itself may be a secret and is left out."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    names = [str(part) for part in first["loc"] if not isinstance(part, int)]
    variable = ENV_PREFIX + "__".join(names).upper()
    reason = first["msg"].removeprefix("Value error, ")
    match first["type"]:
        case "extra_forbidden":
            reason = "is not a setting; `gateway serve --help` lists them all"
        case "bool_parsing" | "bool_type":
            reason = "must be true or false"
        case "model_type" | "model_attributes_type" | "dict_type":
            reason = f"is a group of settings, a table of the file; `gateway serve --help` lists {variable}__…"
    # A reason that begins with a variable names it better than the group it was found in.
    if reason.startswith(ENV_PREFIX):
        return reason
    return f"{variable}: {reason[:1].lower()}{reason[1:]}"

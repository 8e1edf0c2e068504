"""Every setting, told from :class:`gateway.config.Settings`: for ``gateway serve --help`` and the documentation.

``python -m gateway.cli.settings_doc`` prints ``docs/configuration.md``; a test holds the committed one equal to it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.config import ENV_PREFIX, Settings

__all__ = ["Setting", "page", "settings", "settings_help"]

_SECTIONS = {
    "": "General",
    "tls": "TLS in the process",
    "twilio": "Twilio",
    "webhook": "Webhook",
    "asr": "Recognizer",
    "vad": "Voice activity",
    "endpoint": "Endpointing",
    "redaction": "Redaction",
    "text": "Text",
    "limits": "Limits",
    "export": "Feeds",
    "retention": "Retention",
    "log": "Logs",
}

_HEAD = """\
# Configuration

<!-- Made by `python -m gateway.cli.settings_doc`. Change gateway/config/, then make it again. -->

The gateway needs no configuration to start. Settings come from a TOML file (`gateway serve --config FILE`) and from
environment variables; a variable wins over the file. A wrong value stops the start with one line that names the
variable and what it may be.

In the file a variable's name is written in lower case without `GATEWAY_`; what stands before `__` is the table:

```toml
port = 8080
public_url = "wss://calls.example.com"

[webhook]
url = "https://app.example.com/transcripts"
auth = "secret"
secret_name = "X-Webhook-Secret"
```

Keep secrets out of the file: give them as environment variables, which the service manager can read from a file that
only it may read (see [operating](operating.md)).

`gateway calls`, `redaction`, `vocabulary` and `simulate` ask a running gateway at `--url`, else at `GATEWAY_URL`, else
where the environment's `GATEWAY_HOST` and `GATEWAY_PORT` say (https where `GATEWAY_TLS__CERT` is set); with `--api-id`
and `--api-secret`, else with `GATEWAY_API_ID` and `GATEWAY_API_SECRET`. `GATEWAY_URL` and the key are not for `serve`.
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it is described: its section (empty: none), and what the page's columns hold."""

    section: str
    name: str
    values: str
    default: str
    description: str

    @property
    def variable(self) -> str:
        """The environment variable."""
        return ENV_PREFIX + "__".join(filter(None, (self.section, self.name))).upper()


def settings() -> Iterator[Setting]:
    """All settings, those without a section first, each section in the order of its class."""
    nested = []
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            nested.append((name, info.annotation))
        else:
            yield _setting("", name, info)
    for section, model in nested:
        for name, info in model.model_fields.items():
            yield _setting(section, name, info)


def settings_help() -> str:
    """All settings as plain lines, without an empty one among them."""
    known = list(settings())
    width = max(len(setting.variable) for setting in known)
    lines = ["Settings, as environment variables (default in parentheses):"]
    for one in known:
        lines.append(f"  {one.variable:{width}}  {one.description} ({one.default.strip('`')})")
    return "\n".join(lines)


def page() -> str:
    """The whole of ``docs/configuration.md``."""
    parts = [_HEAD]
    by_section: dict[str, list[Setting]] = {}
    for setting in settings():
        by_section.setdefault(setting.section, []).append(setting)
    for section, members in by_section.items():
        parts.append(f"\n## {_SECTIONS[section]}\n\n| variable | what | may be | default |\n|---|---|---|---|\n")
        for one in members:
            parts.append(
                f"| `{one.variable}` | {_cell(one.description)} | {_cell(one.values)} | {_cell(one.default)} |\n"
            )
    return "".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _setting(section: str, name: str, info: FieldInfo) -> Setting:
    return Setting(section, name, _values(info), _default(info), info.description or "")


def _values(info: FieldInfo) -> str:
    """What a setting may be, in words."""
    kind = _without_none(info.annotation)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(f"`{member}`" for member in kind)
    if typing.get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(kind))
    if typing.get_origin(kind) is list:
        return "list, parted by commas"
    words = {Path: "path", SecretStr: "secret", str: "text", bool: "`true`, `false`"}.get(kind)
    return words or _range("whole number" if kind is int else "number", info)


def _without_none(annotation: Any) -> Any:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return next(member for member in typing.get_args(annotation) if member is not type(None))
    return annotation


def _range(kind: str, info: FieldInfo) -> str:
    """A number with its bounds."""
    signs: list[str] = []
    for bound in info.metadata:
        match bound:
            case annotated_types.Ge(ge=value):
                signs.append(f"from {value}")
            case annotated_types.Gt(gt=value):
                signs.append(f"above {value}")
            case annotated_types.Le(le=value):
                signs.append(f"to {value}")
            case annotated_types.Lt(lt=value):
                signs.append(f"below {value}")
    return " ".join([kind, *signs])


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined or info.default == "":
        return "empty"
    if info.default is None:
        return "unset"
    if isinstance(info.default, list):
        return f"`{','.join(map(str, info.default))}`"
    if isinstance(info.default, bool):
        return f"`{str(info.default).lower()}`"
    return f"`{info.default}`"


if __name__ == "__main__":
    print(page(), end="")

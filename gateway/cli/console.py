"""The command line's console: results on standard output, everything else on standard error."""

from __future__ import annotations

from rich.console import Console

__all__ = ["err", "out", "print_json"]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(value: object) -> None:
    """Print ``value`` as one JSON document on standard output, for scripts."""
    import orjson

    print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())

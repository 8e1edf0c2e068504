"""The table of metrics in ``docs/operating.md``, told from :mod:`gateway.metrics`.

``python -m gateway.cli.metrics_doc docs/operating.md`` writes it into the page; a test holds the page equal to it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.metrics import REGISTRY

__all__ = ["BEGIN", "END", "table", "with_table"]

BEGIN = "<!-- metrics: made by `python -m gateway.cli.metrics_doc docs/operating.md` -->\n"
END = "<!-- /metrics -->\n"


def table() -> str:
    """Every metric: name, kind, labels, what it tells."""
    lines = ["| metric | kind | labels | what |", "|---|---|---|---|"]
    for collector in REGISTRY.collect():
        total = "_total" if collector.type == "counter" else ""
        labels = ", ".join(f"`{name}`" for name in _labels(collector.name))
        lines.append(f"| `{collector.name}{total}` | {collector.type} | {labels} | {collector.documentation} |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """``page`` with the table between its two marks."""
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}{table()}{END}{tail}"


def _labels(name: str) -> tuple[str, ...]:
    """Labels of a metric; prometheus_client tells them of the object only, and the registry tells the object."""
    collector = REGISTRY._names_to_collectors.get(name)
    return tuple(getattr(collector, "_labelnames", ()))


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")

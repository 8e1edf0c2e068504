from __future__ import annotations

from gateway.cli.metrics_doc import BEGIN, END, table, with_table
from gateway.metrics import REGISTRY


def test_every_metric_has_a_row_under_the_name_it_is_shown_with() -> None:
    rows = [line.split("`")[1] for line in table().splitlines()[2:]]
    assert len(rows) == len(set(rows)) == len(list(REGISTRY.collect()))
    assert "gateway_sockets" in rows
    assert "gateway_upgrades_total" in rows


def test_labels_are_told() -> None:
    assert "| `gateway_http_requests_total` | counter | `route`, `status` | API requests |" in table()


def test_only_what_stands_between_the_marks_is_changed() -> None:
    page = with_table(f"before\n{BEGIN}old\n{END}after\n")
    assert page == f"before\n{BEGIN}{table()}{END}after\n"
    assert with_table(page) == page

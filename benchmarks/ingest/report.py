"""The rows of ``bench_ingest``: what a message costs, which rounds count, the marks, the table and the plot. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["MARKS", "ROWS", "SECURE", "Mark", "Row", "best", "judged", "plot", "table"]

VOID_MS = 20.0
"""A load that was later than this at the 99th percentile proves nothing."""
SATURATED = 0.95
"""Of the time: who runs or wants to run that much is behind, and reads many messages at a time, which costs less than
keeping up."""
STOLEN = 0.1
"""Of the time: what others may take from a server that is saturated; from one that is not, twice as much."""
PROMPT_MS = 250.0
"""A server with time left answers sooner."""

ROWS = {
    "gated": "gateway, calls not started",
    "started": "gateway, started, model none",
    "bare": "bare uvloop protocol, discards",
    "buffered": "bare uvloop BufferedProtocol, discards",
    "picows": "picows + orjson + numpy",
    "websockets": "websockets + orjson + numpy",
    "aiohttp": "aiohttp + orjson + numpy",
    "nginx": "gateway, started, behind nginx (both)",
}
"""Plain sockets."""
SECURE = {
    "tls-gated": "TLS: gateway, calls not started",
    "tls-started": "TLS: gateway, started, model none",
    "tls-bare": "TLS: bare uvloop protocol, discards",
    "tls-websockets": "TLS: websockets + orjson + numpy",
    "tls-nginx": "gateway, started, TLS ended by nginx (both)",
}


@dataclass
class Row:
    """A measurement, or the one of several rounds that counts.

    ``us`` is microseconds of the server's processor time a message, ``cores`` that time over wall time, ``busy`` with
    what it waited for the core, ``load_cores`` the generator's. Rates are messages a second, lateness of the generator
    in ms. After the run ``lost`` messages (or bytes) had not come to the server, ``unsent`` had not left, and ``wrong``
    tells that its PCM was not what was said; ``proof`` is what was compared, empty where the server was not asked. A
    ``short`` run had its media end too early. ``round_ms`` is how often a gateway read its sockets, on average; 0 of
    who reads when something comes. ``answer_ms`` is how long a server took to tell what it had taken. So many
    messages as ``write`` left in one write.
    """

    calls: int
    seconds: float
    cores: float
    busy: float
    sent_rate: int
    taken_rate: int
    late_p50: float
    late_p99: float
    load_cores: float
    name: str = ""
    us: float = math.inf
    lost: int = 0
    unsent: int = 0
    wrong: bool = False
    short: bool = False
    round_ms: float = 0.0
    answer_ms: float = 0.0
    write: int = 1
    proof: str = ""

    @property
    def saturated(self) -> bool:
        """Whether the server had no time left: lateness is then its own."""
        return self.busy >= SATURATED and self.cores >= SATURATED - STOLEN

    @property
    def starved(self) -> bool:
        """Whether the server was behind because others took the core from it."""
        return not self.saturated and (self.busy - self.cores > 2 * STOLEN or self.answer_ms > PROMPT_MS)

    @property
    def void(self) -> bool:
        """Whether it tells nothing: the generator, or the machine, could not keep its time."""
        late = self.late_p99 > VOID_MS
        return not self.saturated and (late or self.short or self.starved or bool(self.unsent))

    @property
    def bad(self) -> bool:
        """Whether the server lost or garbled something."""
        return self.wrong or bool(self.lost)

    @property
    def verdict(self) -> str:
        """In a few words."""
        if self.saturated:
            return f"saturated: takes {self.taken_rate:,} of {self.asked:,} a second"
        words = [f"{self.lost} lost"] * bool(self.lost) + ["PCM is wrong"] * self.wrong
        words += [f"void: {self.unsent} not sent"] * bool(self.unsent)
        words += ["void: others took the core"] * self.starved
        words += [f"void: load late by {self.late_p99:.0f} ms at p99"] * (self.late_p99 > VOID_MS)
        words += ["void: media ended too early"] * self.short
        return "; ".join(words) or f"none lost, by {self.proof}"

    @property
    def asked(self) -> int:
        """Messages a second that the load is to send."""
        return 100 * self.calls


def best(rounds: Sequence[Row]) -> Row:
    """The least cost of the rounds that are not void, first of those that kept up; of void ones the least late load.

    What any round lost or got wrong is held against the row.
    """
    least = min(
        rounds, key=lambda row: (row.void, row.saturated, row.late_p99 if row.void and row.us < math.inf else row.us)
    )
    fault = next((row for row in rounds if row.bad), None)
    return fault if fault is not None else least


@dataclass(frozen=True, slots=True)
class Mark:
    """``row`` costs at most ``most`` times ``peer``."""

    row: str
    peer: str
    most: float


MARKED_CALLS = 1000
MARKS = (
    Mark("gated", "bare", 0.4),
    Mark("started", "bare", 0.5),
    Mark("started", "websockets", 0.12),
    Mark("tls-gated", "tls-bare", 1.1),
    Mark("tls-started", "tls-bare", 1.1),
)


def judged(rows: Iterable[Row], calls: int = MARKED_CALLS) -> list[dict[str, Any]]:
    """The marks that were measured: plain sockets at ``calls``, TLS at the most calls that its load could pace.

    Where one side was saturated, which makes it cheaper than it is, the most calls with which both kept up follow.
    """
    found = {(row.name, row.calls): row for row in rows}
    result = []
    for mark in MARKS:
        sizes = sorted(size for name, size in found if name == mark.row and (mark.peer, size) in found)
        pairs = [(found[mark.row, size], found[mark.peer, size]) for size in sizes]
        secure = mark.row.startswith("tls-")
        asked = [pair for pair in pairs if secure or pair[0].calls == calls]
        fair = [pair for pair in asked if not any(row.void for row in pair)]
        if fair or asked:
            result.append(_judged(mark, *(fair or asked)[-1]))
        idle = [pair for pair in pairs if not any(row.void or row.saturated for row in pair)]
        if fair and idle and any(row.saturated for row in fair[-1]):
            result.append(_judged(mark, *idle[-1]))
    return result


def _judged(mark: Mark, own: Row, peer: Row) -> dict[str, Any]:
    void = own.void or peer.void
    ratio = own.us / peer.us
    return asdict(mark) | {
        "calls": own.calls,
        "ratio": None if void else round(ratio, 3),
        "met": None if void else ratio <= mark.most and not own.bad,
        "saturated": [row.name for row in (own, peer) if row.saturated],
    }


def table(document: Mapping[str, Any]) -> str:
    """The result for a terminal."""
    lines = [
        document["machine"],
        ", ".join(f"{name} {number}" for name, number in document["versions"].items()),
        f"both tracks, {document['seconds']:g} s with all calls, least of {document['rounds']} rounds; "
        f"the gateway reads every {document['tickMs']} ms, more often or seldom by itself (round)",
        "sockets   server                                      a write   µs a message    core   × bare   round   "
        "load late p50, p99 ms",
    ]
    before = None
    for row in document["rows"]:
        if before not in (None, row["calls"]):
            lines.append("")
        before = row["calls"]
        cost, ratio = (f"{row[key]:.2f}" if row[key] is not None else "" for key in ("us", "toBare"))
        period = f"{row['round_ms']:.0f} ms" if row["round_ms"] else ""
        what = ROWS.get(row["name"]) or SECURE[row["name"]]
        lines.append(
            f"{row['calls']:7d}   {what:44} {row['write']:6} {cost:>13} {row['cores']:7.2f} "
            f"{ratio:>8} {period:>7} {row['late_p50']:15.1f}, {row['late_p99']:5.1f}   {row['verdict']}"
        )
    lines += [f"without {name}: {why}" for name, why in document["without"].items()]
    for mark in document["marks"]:
        verdict = {True: "met", False: "MISSED", None: "void"}[mark["met"]]
        ratio = "–" if mark["ratio"] is None else f"{mark['ratio']:.3f}"
        also = f" ({', '.join(mark['saturated'])} saturated)" if mark.get("saturated") else ""
        lines.append(
            f"{mark['row']:>11} / {mark['peer']:10} at {mark['calls']:5d} sockets {ratio:>6}, "
            f"mark ≤ {mark['most']:g}: {verdict}{also}"
        )
    return "\n".join(lines)


def as_rows(rows: Iterable[Row], rounds: Mapping[tuple[str, int], Sequence[Row]]) -> list[dict[str, Any]]:
    """Rows for JSON, with their cost in each round, and beside the bare protocol's on as many sockets."""
    rows = list(rows)
    bare = {(row.name, row.calls): row for row in rows if row.name.endswith("bare")}
    result = []
    for row in rows:
        floor = bare.get(("tls-bare" if row.name.startswith("tls-") else "bare", row.calls))
        result.append(
            asdict(row)
            | {
                "void": row.void,
                "saturated": row.saturated,
                "verdict": row.verdict,
                "us": _finite(row.us),
                "toBare": _finite(round(row.us / floor.us, 3)) if floor is not None and floor.us < math.inf else None,
                "roundsUs": [_finite(one.us) for one in rounds[row.name, row.calls]],
            }
        )
    return result


def _finite(value: float) -> float | None:
    return value if value < math.inf else None


def plot(document: Mapping[str, Any], path: Path) -> None:
    """Draw the cost of a message against sockets; the suffix of ``path`` tells the format.

    Raises:
        ImportError: matplotlib is not installed (dependency group ``bench``).
    """
    # Without a display.
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # What is drawn twice is the same file twice.
    matplotlib.rcParams["svg.hashsalt"] = "ingest"
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = [row for row in document["rows"] if not row["void"]]
    for number, name in enumerate(dict.fromkeys(row["name"] for row in shown)):
        own = sorted((row for row in shown if row["name"] == name), key=lambda row: row["calls"])
        style = "--" if name.startswith("tls-") else "-"
        calls, cost = [row["calls"] for row in own], [row["us"] for row in own]
        axes.plot(calls, cost, style, color=f"C{number}", label=ROWS.get(name) or SECURE[name])
        for row in own:
            face = "white" if row["saturated"] else f"C{number}"
            axes.plot(row["calls"], row["us"], "o", color=f"C{number}", markerfacecolor=face)
    sizes = sorted({row["calls"] for row in shown})
    axes.set(xscale="log", yscale="log", xlabel="sockets, both tracks", ylabel="processor time a message, µs")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axes.grid(alpha=0.3, which="both")
    figure.legend(loc="outside right upper", fontsize="small")
    axes.set_title("one core; hollow: saturated, reads many messages at a time", fontsize="medium")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)

"""Draw with matplotlib what a line of JSON on standard input says, into a PNG file.

``{"out": "x.png", "size": [width, height], "panels": [PANEL, …]}``, inches, panels from top to bottom; a panel has
``title``, ``x`` and ``y`` (labels), ``xlim``, ``ylim``; ``curves`` ``[{"x", "y", "label"}]``, ``steps`` the same drawn
as steps, ``lines`` ``[{"at", "colour", "dashed", "label"}]`` upright, and ``legend``.
"""

import json
import sys
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def draw(axes: Any, panel: dict[str, Any]) -> None:
    """One panel."""
    for kind, plot in (("curves", axes.plot), ("steps", axes.step)):
        for curve in panel.get(kind, []):
            plot(curve["x"], curve["y"], label=curve.get("label"), linewidth=0.8 if kind == "curves" else 1.5)
    for line in panel.get("lines", []):
        style = "--" if line.get("dashed") else "-"
        axes.axvline(line["at"], color=line["colour"], linestyle=style, linewidth=1, label=line.get("label"))
    axes.set(**{key: panel[key] for key in ("title", "xlim", "ylim") if key in panel})
    axes.set(xlabel=panel.get("x", ""), ylabel=panel.get("y", ""))
    axes.grid(alpha=0.3)
    if panel.get("legend"):
        axes.legend(loc="lower right", fontsize=8)


def main() -> None:
    """Draw the figure."""
    figure = json.loads(sys.stdin.read())
    canvas, panels = plt.subplots(len(figure["panels"]), 1, figsize=figure["size"], squeeze=False)
    for axes, panel in zip(panels[:, 0], figure["panels"], strict=True):
        draw(axes, panel)
    canvas.tight_layout()
    canvas.savefig(figure["out"], dpi=70)


if __name__ == "__main__":
    main()

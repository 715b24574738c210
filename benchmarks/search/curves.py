"""Pictures of comparisons: a line per method over what was spent, with the band that its mean lies in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from archloom.search import Interval

REFERENCE = "race"


def draw(
    path: Path, title: str, spends: Sequence[float], lines: Mapping[str, Sequence[Interval]], *, worth: str
) -> None:
    """Writes an SVG that is the same for the same numbers.

    Args:
        path: The file.
        title: What is compared, and on what.
        spends: Shares of the budget.
        lines: For each method the interval of its mean at each share.
        worth: What is on the vertical axis.
    """
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": path.name, "svg.fonttype": "none"}
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for number, (method, means) in enumerate(lines.items()):
        first = method == REFERENCE
        colour = "black" if first else f"C{number % 10}"
        style = "-" if number < 10 or first else "--"
        at = [100 * spend for spend in spends]
        axes.plot(at, [each.estimate for each in means], style, color=colour, lw=2.5 if first else 1.2, label=method)
        axes.fill_between(at, [each.low for each in means], [each.high for each in means], color=colour, alpha=0.08)
    axes.set_title(title, fontsize="medium", loc="left")
    axes.set(xlabel="spent, %", ylabel=worth, xticks=[100 * spend for spend in spends])
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)

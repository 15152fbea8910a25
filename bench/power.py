"""Draws the power of the independence tests: one panel per situation, one line per test, rows along the bottom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

# Colour says the family, the dashes tell its members apart.
STYLES = {
    "fisher_z": ("#1f5fa8", ""), "rank_z": ("#1f5fa8", "6 3"), "gcm": ("#3d9ad1", ""),
    "degenerate_gaussian": ("#3d9ad1", "6 3"), "conditional_gaussian": ("#3d9ad1", "2 2"),
    "chi2": ("#2c8a4b", ""), "g2": ("#2c8a4b", "6 3"),
    "kci": ("#c2401c", ""), "kci_lowrank": ("#c2401c", "6 3"), "kci_quantum": ("#c2401c", "2 2"),
    "rcot": ("#8a4fae", ""), "rcit": ("#8a4fae", "6 3"), "cmi_knn": ("#222222", ""),
}
WIDTH, HEIGHT, LEFT, TOP, GAP = 272, 250, 44, 58, 30  # of a panel's frame, its margins and what lies between
INNER_WIDTH, INNER_HEIGHT = WIDTH - LEFT, HEIGHT - TOP - 20
STYLE = ("text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:13.5px;fill:#111}"
         ".small{font-size:11px;fill:#666}.grid{stroke:#e4e4e4}.level{stroke:#999;stroke-dasharray:1 3}"
         "path{fill:none;stroke-width:2;stroke-linejoin:round}")


@dataclass(frozen=True)
class Panel:
    """title, what x and y do; rates: per test the share rejected at each of ``rows``."""

    title: str
    note: str
    rows: Sequence[int]
    rates: Mapping[str, Sequence[float]]


def _panel(panel: Panel, left: float, top: float) -> list[str]:
    x0, y0 = left + LEFT, top + TOP
    low, high = math.log(panel.rows[0]), math.log(panel.rows[-1])

    def at(n: float, rate: float) -> tuple[float, float]:
        return x0 + (math.log(n) - low) / (high - low) * INNER_WIDTH, y0 + (1 - rate) * INNER_HEIGHT

    out = [f'<text class="title" x="{x0}" y="{top + 18}">{escape(panel.title)}</text>',
           f'<text class="small" x="{x0}" y="{top + 36}">{escape(panel.note)}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = at(panel.rows[0], share)[1]
        out.append(f'<line class="grid" x1="{x0}" x2="{x0 + INNER_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text class="small" x="{x0 - 7}" y="{y + 4:.1f}" text-anchor="end">{share * 100:.0f} %</text>')
    y = at(panel.rows[0], 0.05)[1]
    out.append(f'<line class="level" x1="{x0}" x2="{x0 + INNER_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for n in panel.rows:
        x = at(n, 0)[0]
        out.append(f'<text class="small" x="{x:.1f}" y="{y0 + INNER_HEIGHT + 17}" text-anchor="middle">{n:,}</text>')
    for test, rates in panel.rates.items():
        points = " L".join("{:.1f} {:.1f}".format(*at(n, r)) for n, r in zip(panel.rows, rates, strict=True))
        told = ", ".join(f"{r:.0%} of {n:,} rows" for n, r in zip(panel.rows, rates, strict=True))
        out.append(f'<path d="M{points}" {_stroke(test)}><title>{test}: {told}</title></path>')
    return out


def _stroke(test: str) -> str:
    colour, dashes = STYLES[test]
    return f'stroke="{colour}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _legend(tests: Sequence[str], left: float, top: float) -> list[str]:
    out = [f'<text class="title" x="{left + LEFT}" y="{top + 18}">Tests</text>',
           f'<text class="small" x="{left + LEFT + 44}" y="{top + 18}">found at level 5 %, by number of rows</text>']
    for k, test in enumerate(tests):
        y = top + 38 + 16 * k
        out.append(f'<path d="M{left + LEFT} {y}h34" {_stroke(test)}/>')
        out.append(f'<text x="{left + LEFT + 44}" y="{y + 4}">{test}</text>')
    return out


def draw(panels: Sequence[Panel], across: int = 3) -> str:
    """The panels and a legend as one SVG picture, ``across`` in a row."""
    cells = len(panels) + 1
    width, height = across * (WIDTH + GAP) + 10, math.ceil(cells / across) * (HEIGHT + 14) + 8
    parts = []
    for k, panel in enumerate(panels):
        parts += _panel(panel, (k % across) * (WIDTH + GAP), (k // across) * (HEIGHT + 14))
    shown = [t for t in STYLES if any(t in panel.rates for panel in panels)]
    last = len(panels)
    parts += _legend(shown, (last % across) * (WIDTH + GAP), (last // across) * (HEIGHT + 14))
    told = "Share of dependences found at level 5 % against the number of rows, per situation and test."
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img"><title>Power of the independence tests</title><desc>{told}</desc><style>{STYLE}</style>'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')

"""A table of probabilities drawn as coloured squares: one SVG, light and dark, no scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

CELL, GAP, LABEL = 34, 6, 7.2
STYLE = (
    ".whence-table{--ink:#1f2937;--paper:#fff;--fill:#1d4ed8;font-family:system-ui,-apple-system,'Segoe UI',Roboto,"
    "'Helvetica Neue',Arial,sans-serif;font-size:12px;max-width:100%;height:auto}"
    "@media (prefers-color-scheme:dark){:root:not([data-theme='light']) .whence-table{DARK}}"
    "[data-theme='dark'] .whence-table{DARK}"
    ".whence-table text{fill:var(--ink)}.whence-table .n{font-size:11px;text-anchor:middle}"
    ".whence-table .n.on{fill:var(--paper)}.whence-table rect{fill:var(--fill);stroke:var(--ink);stroke-opacity:.15}"
    ".whence-table .t{font-weight:600;font-size:13px}"
).replace("DARK", "--ink:#e5e7eb;--paper:#111827;--fill:#60a5fa")


def probability_table(names: Sequence[str], tables: Sequence[tuple[str, np.ndarray]]) -> str:
    """SVG of (d, d) tables of probabilities side by side, rows before columns, each with its title."""
    short = [name if len(name) <= 22 else name[:21] + "…" for name in names]
    left = max(len(name) for name in short) * LABEL + GAP
    side = len(names) * CELL
    top = 26 + left
    each = left + side + 4 * GAP
    width, height = each * len(tables), top + side + GAP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" class="whence-table" viewBox="0 0 {width:.0f} {height:.0f}" '
             f'width="{width:.0f}" role="img"><title>{escape("; ".join(title for title, _ in tables))}</title>'
             f"<style>{STYLE}</style>"]
    for k, (title, values) in enumerate(tables):
        parts.append(f'<g transform="translate({k * each:.0f} 0)"><text class="t" x="{left:.0f}" y="16">'
                     f"{escape(title)}</text>")
        for i, name in enumerate(short):
            middle = i * CELL + CELL / 2
            parts.append(f'<text x="{left - GAP:.0f}" y="{top + middle + 4:.0f}" text-anchor="end">'
                         f"{escape(name)}</text>")
            parts.append(f'<text transform="translate({left + middle + 4:.0f} {top - GAP:.0f}) rotate(-90)">'
                         f"{escape(name)}</text>")
        parts += [_cell(names, i, j, float(values[i, j]), left, top)
                  for i in range(len(names)) for j in range(len(names)) if i != j]
        parts.append("</g>")
    return "".join(parts) + "</svg>"


def _cell(names: Sequence[str], i: int, j: int, value: float, left: float, top: float) -> str:
    x, y = left + j * CELL, top + i * CELL
    tone = ' class="n on"' if value > 0.55 else ' class="n"'
    said = escape(f"{names[i]} → {names[j]}: {value:.3f}")
    return (f'<g><title>{said}</title><rect x="{x:.0f}" y="{y:.0f}" width="{CELL - 2}" height="{CELL - 2}" '
            f'fill-opacity="{value:.3f}"/><text{tone} x="{x + CELL / 2 - 1:.0f}" y="{y + CELL / 2 + 3:.0f}">'
            f"{value:.2f}</text></g>")

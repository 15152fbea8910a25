"""A picture of the levels over which each edge holds: one bar per pair on a logarithmic axis."""

from __future__ import annotations

import html
import itertools
import math

from whence.discovery.alpha_path import AlphaPath

_WIDTH, _ROW, _LEFT = 460, 20, 170
_COLOURS = {None: "#e8e8e8", "-->": "#2b6cb0", "<--": "#b7791f", "---": "#8a8f98", "<->": "#9b2c2c"}
_OPEN = "#5a67a8"
MOST = 60  # pairs drawn


def to_html(path: AlphaPath) -> str:
    """A figure: a row for every pair that some level joins, coloured by edge, with the ends in the tooltips."""
    pairs = path.pairs[:MOST]
    rows = "".join(_row(path, a, b, 24 + _ROW * k) for k, (a, b) in enumerate(pairs))
    height = 24 + _ROW * len(pairs) + 24
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 20}" height="{height}" role="img" '
        f'font-family="sans-serif" font-size="11">{_axis(path, height)}{rows}</svg>'
    )
    more = f" The first {MOST} of {len(path.pairs)} pairs." if len(path.pairs) > MOST else ""
    said = (f"What joins each pair at each level of the tests, {path.alphas[0]:.2g} to {path.alphas[-1]:.2g}; pale "
            f"means not joined.{more}")
    return f"<figure>{picture}<figcaption>{said}</figcaption></figure>"


def _x(path: AlphaPath, alpha: float) -> float:
    first, last = math.log(path.alphas[0]), math.log(path.alphas[-1])
    return _LEFT + (_WIDTH * (math.log(alpha) - first) / (last - first) if last > first else 0)


def _axis(path: AlphaPath, height: int) -> str:
    low, high = (math.log10(path.alphas[k]) for k in (0, -1))
    ticks = [10.0**k for k in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)] or [path.alphas[0]]
    return "".join(
        f'<line x1="{_x(path, t):.1f}" x2="{_x(path, t):.1f}" y1="18" y2="{height - 20}" stroke="#ddd"/>'
        f'<text x="{_x(path, t):.1f}" y="12" text-anchor="middle">{t:g}</text>'
        for t in ticks
    )


def _row(path: AlphaPath, a: str, b: str, y: int) -> str:
    """The bars of one pair; each reaches halfway to the next level tried."""
    label = f"{a}, {b}" if len(a) + len(b) < 26 else f"{a[:11]}…, {b[:11]}…"
    out = [f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{html.escape(label)}</text>']
    held = path.of(a, b)
    ends = [_x(path, math.sqrt(h.high) * math.sqrt(g.low)) for h, g in itertools.pairwise(held)]
    for h, left, right in zip(held, [_LEFT, *ends], [*ends, _LEFT + _WIDTH], strict=True):
        edge = f"{a} {h.edge} {b}" if h.edge else f"{a} and {b} not joined"
        told = f"{edge}: {h.low:.3g} to {h.high:.3g}"
        told += f", until p = {h.p_value:.3g}" if h.p_value is not None else ""
        out.append(f'<rect x="{left:.1f}" y="{y + 3}" width="{max(right - left, 0.5):.1f}" height="{_ROW - 6}" '
                   f'fill="{_COLOURS.get(h.edge, _OPEN)}"><title>{html.escape(told)}</title></rect>')
        if h.edge and right - left > 30:
            out.append(f'<text x="{(left + right) / 2:.1f}" y="{y + 14}" text-anchor="middle" fill="white">'
                       f"{html.escape(h.edge)}</text>")
    return "".join(out)

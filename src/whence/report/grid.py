"""Effects by start and period as a grid, and how far trends may part before an answer changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whence.estimation.effect import Effect
from whence.report.axes import LABEL, MARGIN, TICK, WIDTH, axis_for, dot, line, n, picture, safe, text
from whence.report.curves import BOTTOM, LEFT, TOP, frame, upright
from whence.report.numbers import Scale, count, figures, scale

MOST_STARTS, MOST_PERIODS = 30, 40  # drawn; a larger grid would be dots
FAINTEST, STRONGEST = 0.08, 0.85
ROOM = 50.0  # a cell this wide has its number written in it


def group_time_grid(effect: Effect) -> str:
    """One row for those that start together, one column for each period; empty text where there are no such effects."""
    cells, named = effect.diagnostics.get("group_time"), effect.diagnostics.get("times")
    if not cells or not named:
        return ""
    seen = {c["time"] for c in cells} | {c["group"] for c in cells}
    starts, times = sorted({c["group"] for c in cells}), [t["time"] for t in named if t["time"] in seen]
    if len(starts) < 2 or len(starts) > MOST_STARTS or len(times) > MOST_PERIODS:
        return ""
    label = {t["time"]: t["label"] for t in named}
    left, top = 58.0, 18.0
    wide, tall = (WIDTH - MARGIN - left) / len(times), max(14.0, min(26.0, 240.0 / len(starts)))
    largest = max(abs(c["estimate"]) for c in cells) or 1.0
    parts = [text(left - 8, top - 4, "start", "tick end")]
    each = max(1, -(-len(times) * 34 // int(WIDTH - left)))
    parts += [text(left + (k + 0.5) * wide, top - 4, label[t], "tick middle", each * wide - 2, TICK)
              for k, t in enumerate(times) if k % each == each // 2]
    parts += [text(left - 8, top + (row + 0.5) * tall + 4, label[g], "tick end", left - 10, TICK)
              for row, g in enumerate(starts)]
    errors = sorted(c["standard_error"] for c in cells)
    written = scale(errors[len(errors) // 2], [c["estimate"] for c in cells])
    for c in cells:
        x, y = left + times.index(c["time"]) * wide, top + starts.index(c["group"]) * tall
        parts += _cell(c, x, y, wide, tall, largest, label, written)
    for row, g in enumerate(starts):  # where treatment begins
        x = left + times.index(g) * wide
        parts.append(line(x, top + row * tall, x, top + (row + 1) * tall, "actual"))
    bottom = top + len(starts) * tall
    clear = sum(abs(c["estimate"]) > 1.96 * c["standard_error"] for c in cells if c["time"] >= c["group"])
    after = [c for c in cells if c["time"] >= c["group"]]
    key = "blue above zero, orange below; framed: not zero; bar: start"
    parts.append(text(WIDTH - MARGIN, bottom + 18, key, "tick end", WIDTH - MARGIN, TICK))
    said = (f"Effects of {count(len(starts), 'start')} in {count(len(times), 'period')}. Of {len(after)} after the "
            f"start, {sum(c['estimate'] > 0 for c in after)} are above zero and {clear} have an interval without zero; "
            f"they run from {figures(min(c['estimate'] for c in after))} to "
            f"{figures(max(c['estimate'] for c in after))}.")
    return picture(bottom + 28, parts, "Effects by start and period", said)


def _cell(
    c: Mapping[str, Any], x: float, y: float, wide: float, tall: float, largest: float, label: Mapping[float, str],
    written: Scale,
) -> list[str]:
    size = abs(c["estimate"]) / largest
    css = "treated" if c["estimate"] >= 0 else "control"
    clear = abs(c["estimate"]) > 1.96 * c["standard_error"]
    note = (f"start {label[c['group']]}, period {label[c['time']]}: {figures(c['estimate'])}, standard error "
            f"{figures(c['standard_error'])}")
    frame_ = ' stroke="currentColor" stroke-width="1.2"' if clear else ""
    parts = [f'<rect class="{css}" fill-opacity="{n(FAINTEST + (STRONGEST - FAINTEST) * size)}"{frame_} '
             f'x="{n(x + 1)}" y="{n(y + 1)}" width="{n(wide - 2)}" height="{n(tall - 2)}">'
             f'<title>{safe(note)}</title></rect>']
    if wide >= ROOM:
        parts.append(text(x + wide / 2, y + tall / 2 + 4, written.number(c["estimate"]), "label middle num", wide - 3,
                          LABEL))
    return parts


def honest_trends(figure: Mapping[str, Any]) -> str:
    """The interval for the effect by how large steps after the start may be beside the largest before."""
    rows = figure["rows"]
    across = axis_for([r["times"] for r in rows], LEFT)
    upward = axis_for([v for r in rows for v in (r["low"], r["high"], 0.0)], BOTTOM, TOP)
    parts = [*upright(upward), line(LEFT, upward.at(0.0), across.end, upward.at(0.0), "zero")]
    parts += [text(across.at(r["times"]), BOTTOM + 15, f"{r['times']:g}", "tick middle") for r in rows]
    for r in rows:
        x, css = across.at(r["times"]), "main" if r["low"] > 0 or r["high"] < 0 else ""
        parts.append(line(x, upward.at(r["low"]), x, upward.at(r["high"]), f"whisker {css}".strip()))
        if r["times"] == 0:
            parts.append(dot(x, upward.at(figure["estimate"]), 3.4, f"estimate {css}".strip(),
                             f"parallel trends: {figures(figure['estimate'])}"))
    parts += frame(across, "steps after the start, times the largest before", "effect")
    out = [r for r in rows if r["low"] > 0 or r["high"] < 0]
    said = (f"{figure['level']:.0%} intervals for the effect if the gap moves each period by up to a multiple of its "
            "largest step before the start. "
            + (f"Zero is left out up to {figures(out[-1]['times'])} times in the picture." if out else
               "Zero is in all of them."))
    return picture(BOTTOM + 40, parts, "The effect when trends may part", said)

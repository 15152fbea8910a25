"""Does treatment start at some time for some? Times, units or groups, and the pattern of adoption."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from whence.data.table import Column, Table
from whence.estimation.adoption import times as time_numbers
from whence.stats.features import codes_of
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.hints import POST, TIME, UNIT, hint, said_of
from whence.studies.evidence.sheet import Sheet

MOST_CANDIDATES = 12
FEWEST_ROWS = 20
_PERIOD = re.compile(r"^(?:period|wave|round|year|time|term|t)_?\d*$", re.IGNORECASE)
ADOPTED = 6.0  # nats: status that switches on over time within units
FLAGGED = 3.0


@dataclass(frozen=True)
class _Coded:
    """A column as codes (n,) from 0; values: (levels,) as times, or None. said: the weight of its words."""

    name: str
    codes: np.ndarray
    levels: int
    said: float
    order: np.ndarray | None = None


def over_time(sheet: Sheet) -> tuple[Evidence, ...]:
    """Evidence for a comparison of changes over time, or against one where the table has no times.

    The strongest of: a status that switches on within units (or within groups sampled anew each time); a flag of the
    treated beside a flag or column of before and after; the product of two such flags; a date of adoption.
    """
    if sheet.treatment is None or sheet.n < FEWEST_ROWS:
        return ()
    rows = sheet.whole
    t = _treatment(sheet.table, sheet.treatment, rows)
    times = _times(sheet, rows)
    posts = _posts(sheet, rows)
    units = _units(sheet, rows)
    found = [e for e in (_status(sheet, t, times, units), _flags(sheet, t, posts, times, units),
                         _product(sheet, t, posts), _dates(sheet, t, times, units),
                         _followed(sheet, t, times, units)) if e is not None]
    if found:
        return (max(found, key=lambda e: e.strength),)
    if not times and not posts:
        text = "No column says when a row was observed, so changes over time cannot be compared."
        return (Evidence("did", -4.0, "data", text),)
    return (Evidence("did", -1.5, "data", "Treatment does not start at some time for some of the units."),)


def _treatment(table: Table, name: str, rows: np.ndarray) -> np.ndarray:
    column = table.column(name)
    if column.kind in ("text", "datetime") or (column.kind == "categorical" and not _numbered(column)):
        return codes_of(column, rows).astype(float)
    return column.numeric()[rows].astype(float)


def _numbered(column: Column) -> bool:
    return all(isinstance(v, (int, float)) for v in column.levels or ("",))


def _codes(sheet: Sheet, name: str, rows: np.ndarray, weight: float, ordered: bool = False) -> _Coded | None:
    column = sheet.table.column(name)
    if column.missing[rows].mean() > 0.05:
        return None
    if ordered:
        numbers = time_numbers(column, rows)
        levels, codes = np.unique(numbers, return_inverse=True)
        return _Coded(name, codes.ravel(), len(levels), weight, levels)
    raw = codes_of(column, rows)
    codes = np.unique(raw, return_inverse=True)[1].ravel()
    return _Coded(name, codes, int(codes.max()) + 1, weight)


def _whole(column: Column, rows: np.ndarray) -> bool:
    if column.kind not in ("continuous", "count", "ordinal", "binary") or (
            column.kind in ("ordinal", "binary") and not _numbered(column)):
        return False
    values = column.numeric()[rows]
    values = values[~np.isnan(values)]
    return bool(len(values)) and bool((values == np.floor(values)).all())


def _times(sheet: Sheet, rows: np.ndarray) -> list[_Coded]:
    """Columns that say when: dates, and whole numbers or words that are called so, with 2 to n / 2 values."""
    found = []
    for name in sheet.others_and_dates:
        column = sheet.table.column(name)
        said = hint(said_of(name, sheet.described), TIME)[0] + hint(said_of(name, {}), TIME)[0]
        if column.kind == "datetime":
            said += 3.0
        elif not said or not (_whole(column, rows) or column.kind in ("categorical", "ordinal", "text")):
            continue
        made = _codes(sheet, name, rows, said + _like_years(column, rows), column.kind != "text")
        if made is not None and 2 <= made.levels <= max(2, len(rows) // 2):
            found.append(made)
    return sorted(found, key=lambda c: (-c.said, c.name))[:MOST_CANDIDATES]


def _like_years(column: Column, rows: np.ndarray) -> float:
    if not _whole(column, rows):
        return 0.0
    values = column.numeric()[rows]
    return 2.0 if np.nanmin(values) >= 1800 and np.nanmax(values) <= 2100 else 0.0


def _posts(sheet: Sheet, rows: np.ndarray) -> list[_Coded]:
    """Columns of two values that say before or after."""
    found = []
    for name in sheet.others:
        if sheet.table.kind(name) != "binary":
            continue
        said = hint(said_of(name, sheet.described), POST)[0] + hint(said_of(name, {}), POST)[0] / 2
        made = _codes(sheet, name, rows, said, True) if said else None
        if made is not None and made.levels == 2:
            found.append(made)
    return sorted(found, key=lambda c: (-c.said, c.name))[:MOST_CANDIDATES]


def _units(sheet: Sheet, rows: np.ndarray) -> list[_Coded]:
    """Columns that may name units or groups: words or whole numbers with repeated values."""
    found = []
    for name in sheet.others_and_words:
        column = sheet.table.column(name)
        said = hint(said_of(name, {}), UNIT)[0] + hint(said_of(name, sheet.described), UNIT)[0] / 2
        if column.kind in ("categorical", "text"):
            said += 1.0
        elif not said or not _whole(column, rows):
            continue
        made = _codes(sheet, name, rows, said)
        if made is not None and 3 <= made.levels <= len(rows) // 2:
            found.append(made)
    return sorted(found, key=lambda c: (-c.said, c.name))[:MOST_CANDIDATES]


def _cells(t: np.ndarray, codes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, lowest and highest treatment of each cell, (size,)."""
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, codes, t)
    np.maximum.at(high, codes, t)
    return np.bincount(codes, minlength=size), low, high


def _status(sheet: Sheet, t: np.ndarray, times: list[_Coded], units: list[_Coded]) -> Evidence | None:
    """A status: the same for all rows of a unit at a time, off before, on after, at least for some."""
    best: Evidence | None = None
    for time in times:
        for unit in units:
            if unit.name == time.name or unit.levels * time.levels > 50_000_000:
                continue
            made = _adoption(sheet, t, time, unit)
            if made is not None and (best is None or made.strength > best.strength):
                best = made
    return best


def _adoption(sheet: Sheet, t: np.ndarray, time: _Coded, unit: _Coded) -> Evidence | None:
    index, cell = np.unique(unit.codes.astype(np.int64) * time.levels + time.codes, return_inverse=True)
    count, low, high = _cells(t, cell.ravel(), len(index))
    unique = float(count.mean())
    if (low < high).mean() > 0.02:  # people of one place and time differ
        return None
    of = index // time.levels
    seen = np.bincount(of, minlength=unit.levels)
    if (seen >= 2).mean() < 0.5:
        return None
    change = np.diff(low)[of[1:] == of[:-1]]  # in the order of unit, then time
    share = float((np.isclose(low, 0) | np.isclose(low, 1)).mean())
    on, off = int((change > 0).sum()), int((change < 0).sum())
    if on + off == 0 or unit.levels < 3:
        return None
    sampled = unique > 1.5
    roles = {"time": (time.name,), "unit": (unit.name,)}
    seen_by = {"on": on, "off": off, "units": unit.levels, "times": time.levels, "rows_per_cell": unique}
    if share < 0.8:
        text = f"{sheet.treatment} is an amount that changes within {unit.name} over {time.name}."
        return Evidence("did", -1.5, "data", text, roles, None, "", seen_by)
    # Chance switches off as often as on; a policy only on. Equal cells of many people are no chance either.
    strength = min(ADOPTED, (on - 2 * off) * math.log(2)) if off < on else 0.0
    if sampled:
        strength = max(strength, 3.0)
    elif off:
        strength = max(strength, 1.0)
    strength = min(strength + 0.1 * (time.said + unit.said), ADOPTED + 1)
    how = "only ever starts" if not off else "starts and stops"
    text = f"{sheet.treatment} {how} over {time.name} within {unit.name} ({on} starts, {off} stops)."
    return Evidence("did", strength, "data", text, roles, None, "", seen_by)


def _flags(
    sheet: Sheet, t: np.ndarray, posts: list[_Coded], times: list[_Coded], units: list[_Coded]
) -> Evidence | None:
    """A flag of the treated beside before and after: all four groups are there, and the flag does not turn on time."""
    levels = np.unique(t)
    called = {p.name for p in posts}
    two = posts + [c for c in times if c.levels == 2 and c.name not in called and (
        _PERIOD.search(c.name) or (c.order is not None and 1800 <= c.order[0] <= c.order[-1] <= 2100))]
    best: Evidence | None = None
    for post in two:
        if len(levels) != 2:
            continue
        flag = (t == levels[1]).astype(np.int64)
        four = np.bincount(flag * 2 + post.codes, minlength=4)
        if (four < max(2, 0.005 * len(t))).any():
            continue
        share = np.array([four[2] / (four[0] + four[2]), four[3] / (four[1] + four[3])])
        error = math.sqrt(flag.var() * (1 / (four[0] + four[2]) + 1 / (four[1] + four[3])))
        steady = abs(share[1] - share[0]) < 4 * error
        strength = FLAGGED * min(post.said, 4.5) / 4.5 + (0.5 if steady else -1.0)
        roles: dict[str, tuple[str, ...]] = {"time": (post.name,), "post": (post.name,)}
        within = _same_unit(flag, post, units)
        if within is not None:
            roles["unit"] = (within,)
            strength += 2.0
        if _has_product(sheet, flag, post):
            strength += 3.0
        text = f"{sheet.treatment} marks a group that is seen before and after ({post.name})."
        made = Evidence("did", strength, "data", text, roles, None, "",
                        {"rows": four.tolist(), "treated_share": share.tolist()})
        if best is None or made.strength > best.strength:
            best = made
    return best


def _same_unit(flag: np.ndarray, post: _Coded, units: list[_Coded]) -> str | None:
    """A unit seen in both periods within which the flag does not change."""
    for unit in units:
        _, low, high = _cells(flag.astype(float), unit.codes, unit.levels)
        _, first, last = _cells(post.codes.astype(float), unit.codes, unit.levels)
        if (low == high).all() and (first < last).mean() > 0.5:
            return unit.name
    return None


def _has_product(sheet: Sheet, flag: np.ndarray, post: _Coded) -> bool:
    """Whether a column is the product of flag and post, as made for a regression."""
    wanted = (flag * post.codes).astype(float)
    for name in sheet.others:
        column = sheet.table.column(name)
        if name != post.name and column.kind == "binary" and _numbered(column):
            values = column.numeric()[sheet.whole]
            if not np.isnan(values).any() and (values == wanted).all():
                return True
    return False


def _followed(sheet: Sheet, t: np.ndarray, times: list[_Coded], units: list[_Coded]) -> Evidence | None:
    """A flag of units that are seen at three times or more; when it began no column says."""
    if not np.isin(t, (0.0, 1.0)).all():
        return None
    for time in times:
        for unit in units:
            if unit.name == time.name or time.levels < 3:
                continue
            _, low, high = _cells(t, unit.codes, unit.levels)
            _, first, last = _cells(time.codes.astype(float), unit.codes, unit.levels)
            if (low == high).all() and (first < last).mean() > 0.8 and 2 <= low.sum() <= unit.levels - 2:
                text = f"{sheet.treatment} marks some of {unit.name}, which are followed over {time.name}."
                return Evidence("did", 1.0, "data", text, {"time": (time.name,), "unit": (unit.name,)})
    return None


def _product(sheet: Sheet, t: np.ndarray, posts: list[_Coded]) -> Evidence | None:
    """The treatment is itself the product of a flag and before-and-after."""
    if not np.isin(t, (0.0, 1.0)).all():
        return None
    for post in posts:
        if (t[post.codes == 0] != 0).any() or t.max() == 0:
            continue
        for name in sheet.others:
            column = sheet.table.column(name)
            if name == post.name or column.kind != "binary":
                continue
            flag = codes_of(column, sheet.whole)
            product = (flag == 1) & (post.codes == 1)
            if (flag >= 0).all() and (product == (t == 1)).all() and flag[post.codes == 0].any():
                text = f"{sheet.treatment} is on for those marked by {name}, after {post.name}."
                roles = {"time": (post.name,), "post": (post.name,), "group": (name,)}
                return Evidence("did", 5.0, "data", text, roles, None, "", {"treated": int(t.sum())})
    return None


def _dates(sheet: Sheet, t: np.ndarray, times: list[_Coded], units: list[_Coded]) -> Evidence | None:
    """The treatment is a date of adoption (constant within units, among the times), or names the unit itself."""
    for time in times:
        if time.order is None or time.levels < 3:
            continue
        started = t[np.isfinite(t) & (t > 0)]
        within = np.unique(started[started <= time.order[-1]])
        if len(within) and np.isin(within, time.order).all() and not np.isin(t, (0.0, 1.0)).all():
            for unit in units:
                _, low, high = _cells(t, unit.codes, unit.levels)
                if (low == high).all():
                    text = f"{sheet.treatment} is the {time.name} in which treatment starts, one for each {unit.name}."
                    return Evidence("did", 4.0, "data", text, {"time": (time.name,), "unit": (unit.name,)}, None, "",
                                    {"starts": len(within)})
    column = sheet.table.column(sheet.treatment or "")
    if column.kind in ("categorical", "text") and not _numbered(column):
        own = _codes(sheet, column.name, sheet.whole, 1.0)
        for time in times:
            if own is not None and own.levels >= 3:
                pairs = own.codes.astype(np.int64) * time.levels + time.codes
                if len(np.unique(pairs)) == len(pairs) and len(pairs) > 0.5 * own.levels * time.levels:
                    text = f"{column.name} names units seen over {time.name}."
                    return Evidence("did", 3.0, "data", text, {"time": (time.name,), "unit": (column.name,)})
    return None

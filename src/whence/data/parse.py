"""Text into numbers, dates and missing values. Nothing is guessed: a value reads fully or stays text."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence

import numpy as np

from whence.core.result import Remark
from whence.data.variables import Raw

# What means "missing" in a text file, after spaces around it are left out.
MARKERS = frozenset({
    "", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "-nan", "-NaN", "null", "NULL", "Null", "None", ".",
})

_ISO = re.compile(
    r"\d{4}([-/])\d{1,2}\1\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?\s?(Z|[+-]\d{2}(:?\d{2})?)?)?"
)
_DAY_MONTH = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})")
_GROUPED = re.compile(r"[^\w\s]?\s?[+-]?\d{1,3}([, '’]\d{3})+(\.\d+)?\s?%?")
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_DECORATED = re.compile(r"([$€£¥]\s?[+-]?\d[\d,]*(\.\d+)?)|([+-]?\d+(\.\d+)?\s?%)")


def number_of(text: str) -> float | None:
    """The number that ``text`` is, or None. Python's ``1_000`` is not a number here."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def parse_column(name: str, texts: Sequence[str], markers: frozenset[str]) -> Raw:
    """Numbers when every value present is one, dates when every value is one, else text."""
    numbers = _all_numbers(texts, markers)
    if numbers is not None:
        return Raw(name, "number", numbers)
    values = np.empty(len(texts), dtype=object)
    values[:] = [None if t in markers or t.strip() in markers else t for t in texts]
    dates = parse_dates(values)
    return Raw(name, "text", values) if dates is None else Raw(name, "datetime", dates)


def _all_numbers(texts: Sequence[str], markers: frozenset[str]) -> np.ndarray | None:
    numbers = None if _number_is_marker(markers) else _plain_numbers(texts)
    if numbers is None:
        try:
            numbers = np.array([np.nan if t in markers or t.strip() in markers else float(t) for t in texts])
        except ValueError:
            return None
    return None if "_" in "".join(texts) else numbers.astype(np.float64)


def _plain_numbers(texts: Sequence[str]) -> np.ndarray | None:
    """The quick way for a column that lacks nothing; None for any other."""
    try:
        return np.array(list(map(float, texts)))
    except ValueError:
        return None


def _number_is_marker(markers: frozenset[str]) -> bool:
    """Whether something that reads as a number means "missing"."""
    return any(number is not None and number == number for number in map(number_of, markers))


def date_style(texts: Iterable[str]) -> str | None:
    """How all of ``texts`` write dates: ``"iso"``, or a format for ``strptime`` when day and month are certain.

    None when they are not dates, mix styles, or never show which of two numbers is the month.
    """
    seen = list(texts)
    if not seen:
        return None
    if all(_ISO.fullmatch(t.strip()) for t in seen):
        return "iso"
    parts = [_DAY_MONTH.fullmatch(t.strip()) for t in seen]
    if not all(parts):
        return None
    separators = {p[2] for p in parts if p}
    first, second = max(int(p[1]) for p in parts if p), max(int(p[3]) for p in parts if p)
    if len(separators) > 1 or (first > 12) == (second > 12):
        return None
    separator = separators.pop()
    return separator.join(("%d", "%m", "%Y") if first > 12 else ("%m", "%d", "%Y"))


def ambiguous_dates(texts: Iterable[str]) -> bool:
    """Whether all of ``texts`` look like dates whose day and month cannot be told apart."""
    parts = [_DAY_MONTH.fullmatch(t.strip()) for t in texts]
    return bool(parts) and all(p and int(p[1]) <= 12 and int(p[3]) <= 12 for p in parts)


def parse_dates(values: np.ndarray) -> np.ndarray | None:
    """datetime64[us] of text values (None is NaT), zones turned into UTC; None unless all are dates."""
    present = np.array([v is not None for v in values], dtype=bool)
    texts: list[str] = values[present].tolist()
    if not texts or not (_ISO.fullmatch(texts[0].strip()) or _DAY_MONTH.fullmatch(texts[0].strip())):
        return None
    style = date_style(texts)
    if style is None:
        return None
    out = np.full(len(values), np.datetime64("NaT"), dtype="datetime64[us]")
    try:
        out[present] = [_date(t.strip(), style) for t in texts]
    except (ValueError, OverflowError):  # 30 February: text that looks like a date and is none
        return None
    return out


def _date(text: str, style: str) -> dt.datetime:
    if style != "iso":
        return dt.datetime.strptime(text, style)
    day, _, clock = text.replace("/", "-").replace("T", " ").partition(" ")
    year, month, number = day.split("-")
    clock = clock.replace(" ", "")
    if len(clock.partition(":")[0]) == 1:
        clock = "0" + clock
    moment = dt.datetime.fromisoformat(f"{year}-{month:0>2}-{number:0>2}" + (f"T{clock}" if clock else ""))
    return moment if moment.tzinfo is None else moment.astimezone(dt.UTC).replace(tzinfo=None)


def text_remarks(name: str, texts: Iterable[str | None]) -> list[Remark]:
    """What to say of a column that stayed text although much of it looks like numbers or dates.

    texts: values in row order, None for missing.
    """
    present = [(row, t) for row, t in enumerate(texts, start=1) if t is not None]
    if not present:
        return []
    words = [(row, t) for row, t in present if number_of(t) is None]
    numbers = len(present) - len(words)
    if not words:
        return [about_numbers_as_text(name, numbers)]
    if numbers >= len(present) / 2:
        return [about_stray_words(name, numbers, len(words), words)]
    formatted = [t for _, t in words if any(p.fullmatch(t.strip()) for p in (_GROUPED, _DECIMAL_COMMA, _DECORATED))]
    if formatted and len(formatted) + numbers >= 0.9 * len(present):
        text = (
            f"Column {name!r} was kept as text: its numbers are written with separators or signs, such as "
            f"{formatted[0]!r}. Write them plainly (1234.5) to have them read as numbers."
        )
        return [Remark("formatted_numbers", text, (name,), {"values": len(formatted), "examples": formatted[:3]})]
    if ambiguous_dates(t for _, t in present[:1000]) and ambiguous_dates(t for _, t in present):
        text = (
            f"Column {name!r} was kept as text: in dates such as {present[0][1]!r} day and month cannot be told "
            "apart. Write them as 2020-12-31."
        )
        return [Remark("ambiguous_dates", text, (name,), {"examples": [t for _, t in present[:3]]})]
    return []


def about_numbers_as_text(name: str, count: int) -> Remark:
    """The remark on a column of text in which every value is a number."""
    text = (
        f"Column {name!r} holds numbers written as text and was kept as text; "
        f"kinds={{{name!r}: 'continuous'}} reads them as numbers."
    )
    return Remark("numbers_as_text", text, (name,), {"values": count})


def about_stray_words(name: str, numbers: int, others: int, words: list[tuple[int, str]]) -> Remark:
    """The remark on a column of numbers with a few words; ``words``: row and text of the first ones."""
    shown = ", ".join(f"{t!r} in row {row}" for row, t in words[:3])
    text = (
        f"Column {name!r} was kept as text: {numbers} of its values are numbers, but {others} "
        f"{'is' if others == 1 else 'are'} not ({shown}{', ...' if others > 3 else ''}). "
        "If these mean a missing value, name them with missing=[...]."
    )
    evidence = {"numbers": numbers, "other": others, "rows": [row for row, _ in words[:20]],
                "examples": [t for _, t in words[:20]]}
    return Remark("mostly_numbers", text, (name,), evidence)

"""What the profile remarks on, family by family; the numbers come from the modules named after them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from whence.core.hashing import content_hash
from whence.core.result import Remark
from whence.data import collinearity, linearity, missing, normality, structure
from whence.data.moments import from_matrix, moments
from whence.data.summary import Summary
from whence.data.table import NUMERIC, Table

ALPHA = 0.05
SAMPLE = 20_000
GOLDEN = 2654435761  # 2**32 over the golden ratio
MAX_PAIR_COLUMNS = 20
MAX_NORMAL_COLUMNS = 200
MAX_MOMENT_COLUMNS = 300


def steps(table: Table, columns: Sequence[Summary]) -> list[Callable[[], list[Remark]]]:
    """The families of remarks, as functions to call in turn."""
    sample = some_rows(table)
    of = {c.name: c for c in columns}
    return [partial(step, table, sample, of) for step in STEPS]


def some_rows(table: Table) -> Table:
    """About ``SAMPLE`` rows from all over the table, always the same; the table itself when it has no more.

    Row i is in when the fraction of i times the golden ratio is small enough: spread evenly, yet, unlike
    each hundredth row, in step with no period of the data (Knuth, The Art of Computer Programming 6.4).
    """
    if table.n_rows <= SAMPLE:
        return table
    limit = (SAMPLE << 32) // table.n_rows
    if table.backing is not None:
        return table.backing.where(f"(rowid * {GOLDEN}) % {1 << 32} < {limit}", table)
    return table.take(np.flatnonzero((np.arange(table.n_rows) * GOLDEN) % (1 << 32) < limit))


def about_size(table: Table, sample: Table, of: dict[str, Summary]) -> list[Remark]:
    out = []
    if table.n_rows == 1:
        out.append(Remark("one_row", "There is only one row: nothing can be estimated from it.", (), {"rows": 1}))
    if sample.n_rows < table.n_rows:
        text = f"Tests used a fixed sample of {sample.n_rows:,} of {table.n_rows:,} rows."
        out.append(Remark("tests_on_sample", text, (), {"rows": sample.n_rows, "of": table.n_rows}))
    return out


def about_kinds(table: Table, sample: Table, of: dict[str, Summary]) -> list[Remark]:
    """Empty and constant columns, and whole numbers that may be bare labels."""
    out = []
    empty = [n for n, s in of.items() if s.n_missing == table.n_rows]
    if empty:
        out.append(Remark("all_missing", f"{_columns(empty)} no value at all.", tuple(empty), {"rows": table.n_rows}))
    constant = {n: _only_value(table, s) for n, s in of.items() if s.n_distinct == 1}
    if constant and table.n_rows > 1:
        text = f"{_columns(list(constant))} the same value in every row that has one."
        out.append(Remark("constant", text, tuple(constant), {"values": constant}))
    graded = [n for n, s in of.items() if s.kind == "ordinal" and s.whole]
    if graded:
        text = (
            f"{_columns(graded)} few values, all whole numbers, read as a graded scale (ordinal). If the numbers are "
            f"only labels, say so: kinds={{{graded[0]!r}: 'categorical'}}."
        )
        out.append(Remark("few_whole_numbers", text, tuple(graded), {n: [of[n].low, of[n].high] for n in graded}))
    return out + _near_levels(table, of)


def _only_value(table: Table, s: Summary) -> Any:
    return s.top[0][0] if s.top else s.low


def _near_levels(table: Table, of: dict[str, Summary]) -> list[Remark]:
    """Levels that differ only in spaces or in capital letters."""
    found: dict[str, list[str]] = {}
    for name, s in of.items():
        if s.kind in ("binary", "categorical", "ordinal"):
            words = [v for v in table.levels(name) or () if isinstance(v, str)]
            folded: dict[str, list[str]] = {}
            for word in words:
                folded.setdefault(" ".join(word.split()).casefold(), []).append(word)
            same = [group for group in folded.values() if len(group) > 1]
            if same:
                found[name] = same[0]
    if not found:
        return []
    name, words = next(iter(found.items()))
    text = f"Some levels differ only in spaces or capitals, such as {words[0]!r} and {words[1]!r} of {name!r}."
    return [Remark("near_levels", text, tuple(found), found)]


def about_missing(table: Table, sample: Table, of: dict[str, Summary]) -> list[Remark]:
    """How much is missing, which columns together, and what it depends on."""
    share = {n: s.n_missing / table.n_rows for n, s in of.items() if s.n_missing}
    if not share:
        return []
    ordered = sorted(share, key=lambda n: (-share[n], n))
    shown = ", ".join(f"{n!r} {share[n]:.1%}" for n in ordered[:5]) + (", ..." if len(ordered) > 5 else "")
    partly = [n for n in ordered if share[n] < 1][: missing.MAX_PATTERN_COLUMNS]
    evidence: dict[str, Any] = {"share": {n: share[n] for n in ordered}}
    text = f"Values are missing in {len(share)} column{'s' * (len(share) > 1)}: {shown}."
    if partly:
        masks = np.column_stack([sample.column(n).missing for n in partly])
        evidence |= {
            "patterns": [asdict(p) for p in missing.patterns(masks, partly)],
            "complete_rows": int((~masks.any(axis=1)).sum()), "rows": sample.n_rows,
        }
        text += f" {evidence['complete_rows'] / sample.n_rows:.1%} of rows have none missing in {_those(partly)}."
    ids = set(structure.identifiers(table, of))
    return [Remark("missing_values", text, tuple(ordered), evidence), *_missing_depends(sample, ids)]


def _those(names: Sequence[str]) -> str:
    return repr(names[0]) if len(names) == 1 else f"these {len(names)} columns"


def _missing_depends(sample: Table, ids: set[str]) -> list[Remark]:
    found, tried = missing.dependences(sample, [n for n in sample.names if n not in ids], ALPHA)
    if not found:
        return []
    strongest = max(found, key=lambda d: (d.effect, d.column, d.other))
    about = tuple(dict.fromkeys(d.column for d in found))
    text = (
        f"Where {strongest.column!r} is missing depends on {strongest.other!r} (chi-square "
        f"{strongest.statistic:.1f} on {strongest.df} degrees of freedom, p {_p(strongest.p_value)}): its values are "
        "not missing completely at random, and leaving those rows out can bias an answer."
    )
    if len(found) > 1:
        text += f" {len(found)} such pairs were found among {tried}."
    return [Remark("missing_depends", text, about, {
        "test": "Pearson chi-square, Holm-corrected", "size": ALPHA, "tried": tried,
        "found": [asdict(d) for d in found[:20]],
    })]


def about_duplicates(table: Table, sample: Table, of: dict[str, Summary]) -> list[Remark]:
    """Columns with the same content under several names."""
    alike: dict[str, list[str]] = {}
    for name, s in of.items():
        if s.n_distinct > 1:
            c = sample.column(name)
            levels = None if c.levels is None else [repr(v) for v in c.levels]
            alike.setdefault(content_hash(levels, c.values), []).append(name)
    same = [names for names in alike.values() if len(names) > 1]
    if table.backing is not None:
        same = [names for names in same if all(_equal(table, names[0], n) for n in names[1:])]
    if not same:
        return []
    shown = "; ".join(" = ".join(map(repr, names[:4])) for names in same[:5])
    text = f"Some columns hold the same values in every row: {shown}{'; ...' if len(same) > 5 else ''}."
    return [Remark("duplicate_content", text, tuple(n for names in same for n in names), {"groups": same[:50]})]


def _equal(table: Table, a: str, b: str) -> bool:
    first, second = table.backing.stored[a].sql, table.backing.stored[b].sql
    sql = f"SELECT count(*) FROM data WHERE {first} IS DISTINCT FROM {second}"
    ((different,),) = table.backing.database.rows(sql)
    return different == 0


def about_collinearity(table: Table, sample: Table, of: dict[str, Summary]) -> list[Remark]:
    """Columns that others nearly determine, over the rows complete in them."""
    twins = {n for r in about_duplicates(table, sample, of) for g in r.evidence["groups"] for n in g[1:]}
    ids = set(structure.identifiers(table, of))
    names = [n for n, s in of.items() if _numeric(s) and s.n_distinct > 1 and n not in twins | ids]
    used = sorted(names)[:MAX_MOMENT_COLUMNS]
    # Columns missing in most rows would leave too few complete ones.
    used = [n for n in used if of[n].n_missing <= table.n_rows / 2]
    if len(used) < 2:
        return []
    m = moments(table, used) if table.backing is not None else from_matrix(table.matrix(used), tuple(used))
    varying = np.flatnonzero(np.diag(m.covariance) > 0)
    if len(varying) < len(used) and m.n > 1:
        used = [used[i] for i in varying]
        m = moments(table, used)
    out = [_near_dependence(d, m.n) for d in collinearity.near_dependences(m)[:5]]
    if len(names) > MAX_MOMENT_COLUMNS:
        out.append(_cut("collinearity", MAX_MOMENT_COLUMNS, len(names)))
    elif m.n <= len(used) + 1:
        text = f"Collinearity was not looked at: {m.n} complete rows are too few for {len(used)} columns."
        out.append(Remark("not_examined", text, (), {"rows": m.n, "columns": len(used)}))
    return out


def _numeric(s: Summary) -> bool:
    return s.kind in NUMERIC or (s.kind in ("binary", "ordinal") and s.low is not None)


def _near_dependence(d: collinearity.NearDependence, rows: int) -> Remark:
    names = list(d.weights)
    shown = ", ".join(map(repr, names[:6])) + (", ..." if len(names) > 6 else "")
    if d.exact:
        text = f"{shown} determine each other exactly: one of them is a linear combination of the others."
    else:
        worst = max(d.inflation.values())
        text = (
            f"{shown} nearly determine each other (condition index {d.condition:.0f}, largest variance inflation "
            f"{worst:.0f}): their separate effects cannot be told apart well."
        )
    return Remark("near_collinear", text, tuple(names), {
        "condition_index": d.condition, "threshold": collinearity.MAX_CONDITION, "exact": d.exact,
        "weights": d.weights, "variance_inflation": d.inflation, "rows": rows,
    })


def about_normality(table: Table, sample: Table, of: dict[str, Summary]) -> list[Remark]:
    """Continuous and count columns that are not Gaussian, and by how much."""
    ids = set(structure.identifiers(table, of))
    names = sorted(n for n, s in of.items() if s.kind in NUMERIC and n not in ids)
    tested = {}
    for name in names[:MAX_NORMAL_COLUMNS]:
        column = sample.column(name)
        found = normality.anderson_darling(column.values[~column.missing])
        if found is not None:
            tested[name] = found
    kept = holm_names({n: t.p_value for n, t in tested.items()})
    out = []
    if kept:
        # With many rows the test sees departures too small to matter; the shape says which do matter.
        clear = [n for n in kept if abs(tested[n].skewness) > 1 or abs(tested[n].excess_kurtosis) > 2]
        worst = max(kept, key=lambda n: (abs(tested[n].skewness) + abs(tested[n].excess_kurtosis) / 2, n))
        text = (
            f"{len(kept)} of {len(tested)} numeric columns are not Gaussian (Anderson-Darling); {len(clear)} of them "
            f"clearly so in shape. Farthest is {worst!r}: skewness {tested[worst].skewness:.2f}, excess kurtosis "
            f"{tested[worst].excess_kurtosis:.2f}."
        )
        evidence = {n: {**asdict(tested[n]), "p_corrected": kept[n], "clear": n in clear} for n in list(kept)[:50]}
        out.append(Remark("non_gaussian", text, tuple(kept), {
            "test": "Anderson-Darling, Holm-corrected", "size": ALPHA, "tried": len(tested), "found": evidence,
        }))
    if len(names) > MAX_NORMAL_COLUMNS:
        out.append(_cut("non-Gaussianity", MAX_NORMAL_COLUMNS, len(names)))
    return out


def holm_names(p_values: dict[str, float]) -> dict[str, float]:
    """Names still below ``ALPHA`` after the correction of Holm (1979), with corrected p values."""
    kept: dict[str, float] = {}
    corrected = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda n: (p_values[n], n))):
        corrected = max(corrected, min(1.0, p_values[name] * (len(p_values) - rank)))
        if corrected > ALPHA:
            break
        kept[name] = corrected
    return kept


def about_linearity(table: Table, sample: Table, of: dict[str, Summary]) -> list[Remark]:
    """Pairs of numeric columns whose relation bends."""
    ids = set(structure.identifiers(table, of))
    names = sorted(n for n, s in of.items() if s.kind in NUMERIC and s.n_distinct > 2 and n not in ids)
    tested = linear_tests(sample, names[:MAX_PAIR_COLUMNS])
    kept = holm_names({f"{i}": t.p_value for i, t in enumerate(tested)})
    bent = sorted((tested[int(i)] for i in kept), key=lambda t: (-t.effect, t.cause, t.outcome))
    out = []
    if bent:
        t = bent[0]
        text = (
            f"{len(bent)} of {len(tested)} ordered pairs of numeric columns bend away from a straight line. "
            f"Strongest is {t.outcome!r} over {t.cause!r} (F {t.statistic:.1f} on {t.df1} and {t.df2} degrees of "
            f"freedom), where the bend explains {t.effect:.1%} of what the line leaves."
        )
        found = [{**asdict(b)} for b in bent[:20]]
        about = tuple(dict.fromkeys(n for b in bent for n in (b.cause, b.outcome)))
        out.append(Remark("nonlinear", text, about, {
            "test": "partition F test of lack of linear fit, Holm-corrected", "size": ALPHA, "tried": len(tested),
            "found": found,
        }))
    if len(names) > MAX_PAIR_COLUMNS:
        out.append(_cut("nonlinearity", MAX_PAIR_COLUMNS, len(names)))
    return out


def linear_tests(sample: Table, names: Sequence[str]) -> list[linearity.LackOfFit]:
    """Lack-of-fit tests of every ordered pair, each on the rows complete in both."""
    columns = {n: sample.column(n) for n in names}
    out = []
    for cause in names:
        together: dict[bytes, list[str]] = {}
        for outcome in names:
            if outcome != cause:
                gone = columns[cause].missing | columns[outcome].missing
                together.setdefault(gone.tobytes(), []).append(outcome)
        for mask, outcomes in together.items():
            rows = ~np.frombuffer(mask, dtype=bool)
            if rows.any():
                ys = np.column_stack([columns[o].values[rows] for o in outcomes])
                out += linearity.lack_of_fit(columns[cause].values[rows], ys, cause, tuple(outcomes))
    return out


def about_structure(table: Table, sample: Table, of: dict[str, Summary]) -> list[Remark]:
    """Identifiers, a panel, or an ordered series."""
    out = []
    ids = structure.identifiers(table, of)
    if ids:
        text = f"{_columns(ids)} a different value in every row: such a column names the rows and is not analysed."
        out.append(Remark("identifier", text, tuple(ids), {"rows": table.n_rows}))
    panel = structure.panel(table, of)
    if panel is not None:
        text = (
            f"The rows form {'a balanced' if panel.balanced else 'an unbalanced'} panel: {panel.n_units:,} values of "
            f"{panel.unit!r} at {panel.n_times:,} values of {panel.time!r}, each pair at most once. Rows of one unit "
            "are not independent."
        )
        out.append(Remark("panel", text, (panel.unit, panel.time), asdict(panel)))
    else:
        series = structure.series(table, of)
        if series is not None:
            pace = f"every {series.step}" if series.step else "at uneven distances"
            text = f"The rows are in the order of {series.time!r}, {pace}: neighbouring rows may not be independent."
            out.append(Remark("time_series", text, (series.time,), asdict(series)))
    return out


def _cut(what: str, used: int, there: int) -> Remark:
    text = f"Only the first {used} of {there:,} numeric columns (by name) were examined for {what}."
    return Remark("not_examined", text, (), {"columns": used, "of": there})


def _columns(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"Column {shown} has" if len(names) == 1 else f"Columns {shown} have"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


STEPS = (
    about_size, about_structure, about_kinds, about_missing, about_duplicates, about_collinearity, about_normality,
    about_linearity,
)

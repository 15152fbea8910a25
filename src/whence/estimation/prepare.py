"""From a table and a spec to the rows and numbers an estimator works on, with every lost row reported."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused, Remark
from whence.data.table import CODED, NUMERIC, Column, Table
from whence.estimation.calibration import calibration_only
from whence.estimation.copies import copied
from whence.estimation.missing_controls import filled, not_available, required_controls
from whence.estimation.treatment import Treatment, affirmative, canonical, code_treatments
from whence.identification.spec import PARTS, Condition, Spec
from whence.stats.covariance import Dependence
from whence.stats.features import Features, codes_of, features, independent, level_codes, plain

FEW_CLUSTERS = 10
SMALLEST_ARM = 2
LARGEST = 1e120
OVER_TIME = ("did", "event_study", "synthetic_control", "interrupted_series")
IN_TURN = ("longitudinal",)  # strategies of several treatments, one after the other
TOGETHER = ("rct", "adjustment", "iv")  # strategies that can have several treatments side by side
ONE_UNIT = ("synthetic_control", "interrupted_series")


@dataclass(frozen=True)
class Prepared:
    """What an estimator works on.

    spec: with cluster and weights filled in from the table's roles. rows: int (n,), rows of the table
    used, ascending. outcome: float (n,). weights: float (n,), mean 1, or None. clusters: int (n,) codes
    of the whole column, or None. designs: the controls' design columns made so far, by degree. dependence: of the rows
    on each other, where it is more than clusters. others: the treatments besides the first, each of two values or a
    dose.
    """

    table: Table
    spec: Spec
    rows: np.ndarray
    outcome: np.ndarray
    treatment: Treatment
    weights: np.ndarray | None
    clusters: np.ndarray | None
    remarks: tuple[Remark, ...]
    designs: dict[int, Features | Refused] = field(default_factory=dict, repr=False, compare=False)
    dependence: Dependence | None = None
    others: tuple[Treatment, ...] = ()

    @property
    def treatments(self) -> tuple[Treatment, ...]:
        """All treatments, in the spec's order."""
        return (self.treatment, *self.others)

    @property
    def n(self) -> int:
        return len(self.rows)

    @cached_property
    def n_clusters(self) -> int | None:
        return None if self.clusters is None else int(np.count_nonzero(np.bincount(self.clusters)))

    @property
    def w(self) -> np.ndarray:
        """Weights with mean 1, ones when there are none; float (n,)."""
        return np.ones(self.n) if self.weights is None else self.weights

    def features(self, degree: int = 1) -> Features | Refused:
        """Design columns of the controls on the rows used; made once per degree."""
        if degree not in self.designs:
            self.designs[degree] = features(self.table, self.spec.controls, self.rows, degree)
        return self.designs[degree]

    def take(self, keep: np.ndarray, *remarks: Remark) -> Prepared:
        """The same on some of the rows (boolean (n,)); weights keep mean 1."""
        weights = None if self.weights is None else self.weights[keep] / self.weights[keep].mean()
        return dataclasses.replace(
            self, rows=self.rows[keep], outcome=self.outcome[keep], treatment=self.treatment.take(keep),
            weights=weights, clusters=None if self.clusters is None else self.clusters[keep],
            remarks=self.remarks + remarks, designs={},
            dependence=None if self.dependence is None else self.dependence.take(keep),
            others=tuple(other.take(keep) for other in self.others),
        )


def prepare(table: Table, spec: Spec) -> Prepared | Refused:
    """Choose the rows, code treatment and outcome, and check what every estimator needs.

    Rows: those in the population with no missing value in treatment, outcome, controls (unless the spec or the design
    keeps rows that lack one, see ``missing_controls``), mediators (front door, parts of effects), the formula's
    columns (ID), instruments (IV), strata, cluster and weights; lost rows, and those kept with a gap, are counted by
    column in remarks.
    Refused, with evidence: ``no_rows``, ``treatment_constant``, ``outcome_constant``, ``outcome_not_numeric``,
    ``infinite_values``, ``out_of_scale``, ``small_arm``, ``too_few_clusters``, ``bad_weights``,
    ``control_is_treatment``, ``control_is_outcome``, ``missing_controls_not_available``, ``several_outcomes``,
    ``several_treatments`` (of a design for one), ``several_arms`` (of one of several treatments),
    ``treatment_determined`` (by other treatments and the controls).
    Raises ``WhenceError`` (``unknown_column``) for a name the table lacks.
    """
    for name in spec.columns:
        table.column(name)
    if len(spec.treatments) > 1 and spec.strategy not in (*IN_TURN, *TOGETHER):
        return several("treatment", spec.treatments)
    if len(spec.outcomes) > 1:
        return several("outcome", spec.outcomes)
    spec, remarks = complete_roles(table, spec)
    refused = not_available(spec)
    if refused is not None:
        return refused
    found = _rows(table, spec)
    if isinstance(found, Refused):
        return found
    rows, lost = found
    remarks += lost
    outcome = outcome_values(table.column(spec.outcome), rows)
    coded = code_treatments([table.column(name) for name in _side_by_side(spec)], rows, spec.contrast,
                            arms=spec.strategy == "rct")
    for step in (coded, outcome):
        if isinstance(step, Refused):
            return step
    (treatment, *others), said = coded  # pyright: ignore[reportGeneralTypeIssues]
    values, scored = outcome  # pyright: ignore[reportGeneralTypeIssues]
    weights = None
    if spec.weights is not None:
        weights = table.numeric(spec.weights)[rows]
        weights = weights / weights.mean()
    clusters = None if spec.cluster is None else codes_of(table.column(spec.cluster), rows)
    data = Prepared(table, spec, rows, values, treatment, weights, clusters, (*remarks, *said, *scored),
                    others=tuple(others))
    for precondition in (_finite, _varied, require_arms, _clusters, _copies, _apart):
        answer = precondition(data)
        if isinstance(answer, Refused):
            return answer
        data = answer
    return data


def complete_roles(table: Table, spec: Spec) -> tuple[Spec, list[Remark]]:
    """Cluster, unit and weights from the table's roles; repeated units become clusters."""
    remarks = []
    changes = {
        role: table.roles[role] for role in ("unit", "cluster", "weights")
        if getattr(spec, role) is None and role in table.roles
    }
    spec = spec.replace(**changes) if changes else spec
    if spec.cluster is None and spec.unit is not None and spec.strategy != "interrupted_series":
        codes = codes_of(table.column(spec.unit), np.arange(table.n_rows))
        seen = np.bincount(codes[codes >= 0])
        if seen.max(initial=0) > 1:
            spec = spec.replace(cluster=spec.unit)
            remarks.append(Remark(
                "clustered_by_unit", f"Rows repeat within {spec.unit!r}, so errors are clustered by it.",
                (spec.unit or "",), {"units": int((seen > 0).sum()), "rows": int(seen.sum())},
            ))
    return spec, remarks


def several(role: str, names: tuple[str, ...], by: str = "one effect", can: tuple[str, ...] = ()) -> Refused:
    """``several_treatments`` or ``several_outcomes``: ``by`` is what takes one, ``can`` the methods that take more."""
    instead = "Use " + " or ".join(f"method={method!r}" for method in can) + ", or estimate" if can else "Estimate"
    return Refused(
        f"several_{role}s", f"The spec names {len(names)} {role}s; {by} has one {role}.",
        {role + "s": list(names), "can": list(can)}, f"{instead} one {role} at a time"
        + (", with the others among the controls if they are held fixed." if role == "treatment" else "."),
    )


def _side_by_side(spec: Spec) -> tuple[str, ...]:
    """The treatments whose effects are looked for at once."""
    return spec.treatments if spec.strategy in TOGETHER else spec.treatments[:1]


def _rows(table: Table, spec: Spec) -> tuple[np.ndarray, list[Remark]] | Refused:
    """Rows used (int), with a remark on those lost."""
    remarks = []
    chosen = np.ones(table.n_rows, dtype=bool)
    for condition in spec.population:
        chosen &= satisfied(table.column(condition.column), condition)
    if not chosen.all():
        remarks.append(Remark(
            "population", f"The population conditions keep {chosen.sum():,} of {table.n_rows:,} rows.",
            tuple(c.column for c in spec.population), {"kept": int(chosen.sum()), "rows": table.n_rows},
        ))
    chosen &= ~calibration_only(table, spec, chosen)  # used by what corrects predictions, which says so
    needed = [*_side_by_side(spec), spec.outcome, *sorted({*required_controls(spec), *spec.strata, *_between(spec)})]
    needed += [name for name in (spec.cluster, spec.weights) if name is not None]
    gaps = {name: int((table.column(name).missing & chosen).sum()) for name in needed}
    complete = chosen & table.complete(needed)
    gaps = {name: k for name, k in gaps.items() if k}
    if spec.weights is not None:
        weights = table.numeric(spec.weights)
        if (weights[complete] < 0).any() or not np.isfinite(weights[complete]).all():
            return Refused("bad_weights", f"The weights {spec.weights!r} must be finite and not negative.",
                           {"negative": int((weights[complete] < 0).sum())}, "Correct or drop the weights column.")
        zero = int((weights[complete] == 0).sum())
        complete &= ~(weights == 0)
        gaps |= {f"{spec.weights} (weight 0)": zero} if zero else {}
    lost = int(chosen.sum() - complete.sum())
    if not complete.any():
        return Refused("no_rows", "No row has all the values this needs.",
                       {"rows": table.n_rows, "in_population": int(chosen.sum()), "missing": gaps},
                       "Widen the population, or drop the columns with the most missing values.")
    if lost:
        worst = ", ".join(f"{name} ({k:,})" for name, k in sorted(gaps.items(), key=lambda g: (-g[1], g[0]))[:5])
        remarks.append(Remark(
            "rows_dropped", f"{lost:,} of {chosen.sum():,} rows are left out for missing values: {worst}.",
            tuple(name for name in needed if name in gaps),
            {"dropped": lost, "used": int(complete.sum()), "missing": gaps},
        ))
    rows = np.flatnonzero(complete)
    return rows, [*remarks, *filled(table, spec, rows)]


def satisfied(column: Column, condition: Condition) -> np.ndarray:
    """Boolean (rows,): where one population condition holds; missing values never satisfy it."""
    wanted = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    if condition.operator in ("==", "!=", "in"):
        keys = {canonical(v) for v in wanted}
        codes, _ = level_codes(column, np.arange(len(column.values)))
        first = np.unique(codes[codes >= 0], return_index=True)
        originals = column.values[codes >= 0][first[1]].tolist()
        if column.kind in CODED and column.levels is not None:
            originals = [column.levels[j] for j in originals]
        hits = [code for code, value in zip(first[0], originals, strict=True) if canonical(value) in keys]
        inside = np.isin(codes, np.array(hits, dtype=codes.dtype))
        return inside if condition.operator != "!=" else ~inside & ~column.missing
    compare: dict[str, Any] = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
    if column.kind == "datetime":
        with_bound: Any = (column.values, np.datetime64(str(wanted[0])))
    else:
        bound = canonical(wanted[0])
        if isinstance(bound, str):
            raise WhenceError(
                f"The condition on {condition.column!r} compares with {wanted[0]!r}, which is not a number.",
                code="bad_condition", value=wanted[0], allowed="a number",
            )
        with_bound = (column.numeric(), bound)
    return compare[condition.operator](*with_bound) & ~column.missing


def _between(spec: Spec) -> tuple[str, ...]:
    """What the design uses besides treatment, outcome and controls."""
    running = (spec.running_variable,) if spec.running_variable is not None else ()
    between = {"frontdoor": spec.mediators, "id": spec.formula_columns, "iv": spec.instruments, "rdd": running}
    over_time = tuple(name for name in (spec.time, spec.unit) if name is not None)
    between |= dict.fromkeys(OVER_TIME, over_time)
    between["interference"] = () if spec.unit is None else (spec.unit,)
    between["longitudinal"] = (*spec.treatments[1:], *(name for names in spec.histories for name in names))
    between["proximal"] = (*spec.treatment_proxies, *spec.outcome_proxies)
    between |= dict.fromkeys(("rct", "adjustment"), (*(spec.mediators if spec.quantity in PARTS else ()),
                                                     *((spec.event,) if spec.event is not None else ())))
    return between.get(spec.strategy, ())


def outcome_values(column: Column, rows: np.ndarray) -> tuple[np.ndarray, list[Remark]] | Refused:
    """The outcome as numbers; words of a binary outcome become 0 and 1, of an ordinal one their rank."""
    if column.kind in NUMERIC:
        return column.values[rows].astype(float), []
    levels = column.levels or ()
    numbers = bool(levels) and all(isinstance(v, (int, float)) for v in levels)
    if column.kind in CODED and numbers and (len(levels) == 2 or column.kind == "ordinal"):
        return column.numeric()[rows], []
    if column.kind in CODED and len(levels) == 2:
        yes = affirmative(list(levels))
        said = Remark("outcome_coded", f"{column.name} counts {plain(levels[yes])!r} as 1 and "
                      f"{plain(levels[1 - yes])!r} as 0; effects are differences in probability.",
                      (column.name,), {"one": plain(levels[yes]), "zero": plain(levels[1 - yes])})
        return (column.values[rows] == yes).astype(float), [said]
    if column.kind == "ordinal":
        said = Remark("outcome_scored", f"The levels of {column.name} are scored 0 to {len(levels) - 1} in order.",
                      (column.name,), {"levels": [plain(v) for v in levels]})
        return column.numeric()[rows], [said]
    return Refused(
        "outcome_not_numeric", f"The outcome {column.name!r} is {column.kind}; a mean of it has no meaning.",
        {"column": column.name, "kind": column.kind, "levels": [plain(v) for v in levels[:12]]},
        "Choose one of its values and make a column that is 1 for it and 0 otherwise, or use a numeric outcome.",
    )


def _finite(data: Prepared) -> Prepared | Refused:
    numbers = {data.spec.outcome: data.outcome} | {t.name: t.values for t in data.treatments}
    for name in (*data.spec.controls, *_between(data.spec)):
        column = data.table.column(name)
        if column.kind in NUMERIC:
            numbers[name] = column.values[data.rows[~column.missing[data.rows]]]
    infinite = {name: int((~np.isfinite(v)).sum()) for name, v in numbers.items() if not np.isfinite(v).all()}
    if infinite:
        return Refused("infinite_values", "There are infinite values in " + ", ".join(sorted(infinite)) + ".",
                       {"infinite": infinite}, "Correct them or mark them as missing.")
    return data


def _varied(data: Prepared) -> Prepared | Refused:
    for name, values in ((data.spec.outcome, data.outcome), *((t.name, t.values) for t in data.treatments)):
        size = float(np.abs(values).max())
        if size > LARGEST or 0 < np.abs(values - values[0]).max() < 1 / LARGEST:
            return Refused("out_of_scale", f"The values of {name!r} are too large or too small to square.",
                           {"column": name, "largest": size}, "Express the column in another unit.")
    if np.ptp(data.outcome) == 0:
        return Refused(
            "outcome_constant", f"The outcome {data.spec.outcome!r} is {plain(float(data.outcome[0]))} on all "
            f"{data.n:,} rows used, so no effect on it can be seen.",
            {"column": data.spec.outcome, "value": float(data.outcome[0]), "rows": data.n},
            "Include rows where it differs, or choose another outcome.",
        )
    return data


def require_arms(data: Prepared, smallest: int = SMALLEST_ARM) -> Prepared | Refused:
    """Both arms compared need ``smallest`` rows; other arms that lack them are set aside, with a remark."""
    if data.spec.strategy in ONE_UNIT:
        smallest = 1  # one period after the start of one unit is enough
    for t in data.treatments:
        sizes = np.bincount(t.codes, minlength=len(t.arms))
        for arm in (0, 1) if t.discrete else ():
            if sizes[arm] < smallest:
                return Refused(
                    "small_arm", f"Only {sizes[arm]} of {data.n:,} rows have {t.name} = {t.arms[arm]}.",
                    {"sizes": dict(zip(t.arms, sizes.tolist(), strict=True)), "needed": smallest},
                    "More rows of that kind are needed to know how much they vary.",
                )
    t = data.treatment
    sizes = np.bincount(t.codes, minlength=len(t.arms))
    small = np.flatnonzero(sizes < smallest) if t.discrete else ()
    if len(small):
        names = [t.arms[j] for j in small]
        said = Remark("arms_dropped", f"Rows with {t.name} = {', '.join(names)} are left out: too few of them.",
                      (t.name,), {"dropped": {t.arms[j]: int(sizes[j]) for j in small}})
        data = data.take(~np.isin(t.codes, small), said)
        stay = [j for j in range(len(t.arms)) if j not in small]
        codes = np.searchsorted(stay, data.treatment.codes)
        new = Treatment(t.name, tuple(t.arms[j] for j in stay), codes, codes.astype(float))
        return dataclasses.replace(data, treatment=new)
    return data


def _clusters(data: Prepared) -> Prepared | Refused:
    if data.clusters is None:
        return data
    count, name = data.n_clusters or 0, data.spec.cluster or ""
    evidence: dict[str, Any] = {"clusters": count, "column": name}
    fewest = 2
    for t in data.treatments:
        if t.discrete and data.spec.strategy not in OVER_TIME:  # there, one unit can be treated
            arms = {arm: len(np.unique(data.clusters[t.codes == j])) for j, arm in enumerate(t.arms)}
            if "clusters_by_arm" not in evidence or min(arms.values()) < fewest:
                evidence["clusters_by_arm"] = arms
            fewest = min(fewest, *arms.values())
    if count < 2 and name == data.spec.unit and data.spec.strategy in OVER_TIME:
        return Refused("no_untreated", f"All rows have the same {name!r}, so no other unit shows what would have "
                       "happened without the treatment.", evidence, "Include other units; or compare the series "
                       "with itself: strategy='interrupted_series'.")
    if count < 2 or fewest < 2:
        where = f"{count} cluster(s)" if count < 2 else "an arm with a single cluster"
        return Refused("too_few_clusters", f"The column {name!r} gives {where}; errors cannot be clustered by it.",
                       evidence, "Use a finer cluster column, or none if rows are independent.")
    if count < FEW_CLUSTERS:
        said = Remark("few_clusters", f"There are only {count} clusters; cluster-robust intervals tend to be "
                      "too short with so few.", (name,), evidence)
        return dataclasses.replace(data, remarks=(*data.remarks, said))
    return data


def _copies(data: Prepared) -> Prepared | Refused:
    """A control that is the treatment or the outcome under another name makes the answer meaningless."""
    made = data.features()
    if isinstance(made, Refused) or not made.labels:
        return data  # each estimator says so in its own terms
    targets = {f"treatment {t.name!r}": ("control_is_treatment", t.values) for t in data.treatments}
    if len(data.treatment.arms) > 2:
        targets = {f"treatment {data.spec.treatment!r} = {arm}": ("control_is_treatment", data.treatment.codes == j)
                   for j, arm in enumerate(data.treatment.arms)}
    targets[f"outcome {data.spec.outcome!r}"] = ("control_is_outcome", data.outcome)
    found = copied(made, targets)
    return data if found is None else found


def _apart(data: Prepared) -> Prepared | Refused:
    """Of several treatments none may be a linear function of the others and the controls."""
    made = data.features()
    if isinstance(made, Refused) or not data.others or data.n <= made.matrix.shape[1] + len(data.treatments):
        return data
    values = [t.values for t in data.treatments]
    kept = independent(np.column_stack([made.matrix, *values]))[made.matrix.shape[1]:]
    for t, stays in zip(data.treatments, kept, strict=True):
        if not stays:
            return Refused(
                "treatment_determined", f"The other treatments{' and the controls' if made.labels else ''} determine "
                f"{t.name!r} exactly, so nothing can be said of it with them held fixed.",
                {"treatment": t.name, "rows": data.n}, "Leave out a treatment, or a control, that follows from the "
                "others.")
    return data

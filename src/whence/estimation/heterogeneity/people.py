"""Effects of people, and what can be asked of them: who benefits, whether the differences are real, whom to treat."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from whence.core.errors import unknown_name
from whence.core.progress import SILENT, Progress
from whence.core.registry import find_card, load_function
from whence.core.result import Provenance, Refused, Remark, fields_to_plain
from whence.data.table import Table
from whence.estimation.effect import Comparison
from whence.estimation.heterogeneity.best_linear_projection import Projection, best_linear_projection
from whence.estimation.heterogeneity.groups import (
    Groups,
    Levels,
    Trait,
    classification,
    group_effects,
    level_effects,
)
from whence.estimation.heterogeneity.policy import Policy, policy
from whence.estimation.heterogeneity.rate import Rate, rate
from whence.estimation.heterogeneity.sample import Fitted
from whence.estimation.heterogeneity.sequential import HeldOut, by_earlier_folds
from whence.estimation.heterogeneity.uplift import Uplift, uplift
from whence.estimation.prepare import Prepared
from whence.identification.spec import Spec
from whence.stats.features import Features, features, level_codes
from whence.stats.resample import folds as make_folds
from whence.stats.same_design import in_own_units, same_design


@dataclass(frozen=True)
class Predicted:
    """Effects of people in another table. rows: int (m,), those of it that have one. effects: (m,); errors and
    intervals, (m,) and (m, 2), or None for a method without them."""

    effects: np.ndarray
    errors: np.ndarray | None
    intervals: np.ndarray | None
    rows: np.ndarray
    level: float
    warnings: tuple[Remark, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)


@dataclass(frozen=True)
class Conditional:
    """How an effect differs between people.

    effects: (n,), in units of the outcome, each by a fit that did not see the person; errors: (n,), their standard
    errors, or None for a method without them; a row without one has NaN and is counted in warnings. rows: int (n,), of
    the table. average: of everybody. importance: by column, how much effects differ with it, summing to 1. by: columns
    by which effects may differ; features: their design. scores: (n,), doubly robust and out of fold: their mean over
    any group of people, chosen without looking at outcomes, estimates its average effect. All that ``rate``,
    ``groups``, ``projection``, ``uplift``, ``policy`` and ``within`` say rests on them, so it holds even where
    ``effects`` are poor.
    """

    effects: np.ndarray = field(repr=False, compare=False)
    errors: np.ndarray | None = field(repr=False, compare=False)
    average: Comparison
    importance: Mapping[str, float]
    by: tuple[str, ...]
    method: str
    contrast: str
    n: int
    level: float
    spec: Spec
    provenance: Provenance
    rows: np.ndarray = field(repr=False, compare=False)
    scores: np.ndarray = field(metadata={"plain": False}, repr=False, compare=False)
    features: Features = field(metadata={"plain": False}, repr=False, compare=False)
    fitted: Fitted = field(metadata={"plain": False}, repr=False, compare=False)
    parameters: Mapping[str, Any] = field(metadata={"plain": False}, repr=False, compare=False)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    warnings: tuple[Remark, ...] = ()
    _ranked: dict[int, HeldOut] = field(default_factory=dict, metadata={"plain": False}, repr=False, compare=False)

    @property
    def intervals(self) -> np.ndarray | None:
        """Pointwise, (n, 2): each holds its person's effect with probability ``level``, not all at once."""
        return _intervals(self.effects, self.errors, self.level)

    @property
    def _data(self) -> Prepared:
        return self.fitted.sample.data

    @property
    def _shared(self) -> dict[str, Any]:
        return {"weights": self._data.weights, "clusters": self._data.clusters, "level": self.level,
                "seed": self.provenance.seed}

    def predict(self, table: Any) -> Predicted | Refused:
        """Effects of the people in another table, by the method fitted to all rows of this one.

        Rows with a level never seen, or a gap where there was none, have no answer; they are counted. Refused:
        ``no_rows``. Raises ``WhenceError`` (``unknown_column``) for a column that is missing.
        """
        if not isinstance(table, Table):
            from whence.data.load import read

            table = read(table, kinds={name: self._data.table.kind(name) for name in self.by})
        for name in self.by:
            table.column(name)
        data, every = self._data, np.arange(table.n_rows)
        made = {d: same_design(f, data.table, data.rows, table, every) for d, f in self.fitted.designs.items()}
        strange = np.logical_or.reduce([one.strange for one in made.values()])
        unknown = next(iter(made.values())).unknown
        if strange.all():
            return Refused("no_rows", "No row has values like those the effects were learned from.",
                           {"rows": table.n_rows, "unknown": unknown}, "Learn from people like these.", self.method)
        said = () if not strange.any() else (Remark(
            "rows_dropped", f"{int(strange.sum()):,} of {table.n_rows:,} rows are left out: they have values that were "
            "never seen, or lack some.", tuple(sorted(unknown)), {"unknown": unknown}),)
        effects, errors = self.fitted.at({d: one.matrix[~strange] for d, one in made.items()})
        return Predicted(effects, errors, _intervals(effects, errors, self.level), np.flatnonzero(~strange), self.level,
                         said)

    def held_out(self, folds: int = 5, progress: Progress = SILENT) -> HeldOut:
        """Effects of all folds but the first, each learned from earlier folds alone, nuisances included: only these may
        be tested on the same people's scores (Wager 2024). A fold that earlier ones cannot teach has none: all 0."""
        if folds not in self._ranked:
            data, seed = self._data, self.provenance.seed
            learner = load_function(find_card("heterogeneity", self.method))

            def learn(old: np.ndarray, new: np.ndarray) -> np.ndarray:
                found = learner(data.take(np.isin(np.arange(data.n), old)), self.by, seed=seed, **self.parameters)
                if isinstance(found, Refused):
                    return np.zeros(len(new))
                narrow = found.sample.narrow
                return found.at({d: same_design(f, narrow.table, narrow.rows, data.table, data.rows[new]).matrix
                                 for d, f in found.designs.items()})[0]

            fold = make_folds(folds, data.treatment.codes, data.clusters, seed, "sequential")
            self._ranked[folds] = by_earlier_folds(learn, fold, progress)
        return self._ranked[folds]

    def rate(self, folds: int = 5, progress: Progress = SILENT) -> Rate | Refused:
        """Whether the method finds those who benefit most: AUTOC, Qini and the TOC curve on held-out folds."""
        return self._of_ranked(rate, folds, progress)

    def uplift(self, cost: float = 0.0, folds: int = 5, progress: Progress = SILENT) -> Uplift | Refused:
        """What treating those who benefit most first would gain, by the share treated."""
        return self._of_ranked(uplift, folds, progress, cost=cost)

    def groups(self, k: int = 4, folds: int = 5, progress: Progress = SILENT) -> Groups | Refused:
        """Effects of k groups sorted by their fitted effects, on held-out folds, with joint intervals."""
        return self._of_ranked(group_effects, folds, progress, groups=k)

    def traits(
        self, k: int = 4, columns: Sequence[str] | None = None, folds: int = 5, progress: Progress = SILENT
    ) -> tuple[Trait, ...] | Refused:
        """Who is most, who is least affected: ``columns`` (default: all in ``by``) in the outer of k groups."""
        made = self._in_units(columns, 0)
        if isinstance(made, Refused):
            return made
        sorted_in = self.groups(k, folds, progress)
        if isinstance(sorted_in, Refused):
            return sorted_in
        data, rows = self._data, self.held_out(folds).rows
        assert sorted_in.codes is not None
        return classification(
            made[0][rows], made[1], sorted_in.codes, level=self.level, seed=self.provenance.seed,
            weights=None if data.weights is None else data.weights[rows],
            clusters=None if data.clusters is None else data.clusters[rows])

    def _of_ranked(self, evaluate: Any, folds: int, progress: Progress, **more: Any) -> Any:
        held = self.held_out(folds, progress)
        data, rows = self._data, held.rows
        return evaluate(
            self.scores[rows], held.priorities, folds=held.folds, level=self.level, seed=self.provenance.seed,
            weights=None if data.weights is None else data.weights[rows],
            clusters=None if data.clusters is None else data.clusters[rows], **more)

    def projection(self, columns: Sequence[str] | None = None) -> Projection | Refused:
        """The straight line closest to the effect, in the units of ``columns`` (default: all in ``by``)."""
        made = self._in_units(columns, 1)
        return made if isinstance(made, Refused) else best_linear_projection(
            self.scores, made[0], made[1], **self._shared)

    def policy(
        self, depth: int = 2, cost: float = 0.0, prefer: Literal["higher", "lower"] = "higher",
        columns: Sequence[str] | None = None, progress: Progress = SILENT,
    ) -> Policy | Refused:
        """Whom to treat: a small tree in ``columns`` (default: all in ``by``) and its gain on held-out people."""
        made = self._in_units(columns, 0)
        return made if isinstance(made, Refused) else policy(
            self.scores, made[0], made[1], depth=depth, cost=cost, prefer=prefer, progress=progress, **self._shared)

    def within(self, column: str) -> Levels | Refused:
        """The average effect within each level of a column in ``by``; a number is cut at its quartiles."""
        if column not in self.by:
            raise unknown_name("column to tell people apart", column, self.by, code="unknown_column")
        codes, labels = _parts(self._data.table, column, self._data.rows)
        return level_effects(self.scores, codes, labels, column=column, **self._shared)

    def _in_units(self, columns: Sequence[str] | None, degree: int) -> tuple[np.ndarray, tuple[str, ...]] | Refused:
        """Design columns (n, k) in the units of the table, and their labels."""
        for name in columns or ():
            if name not in self.by:
                raise unknown_name("column to tell people apart", name, self.by, code="unknown_column")
        data = self._data
        made = features(data.table, columns or self.by, data.rows, degree)
        return made if isinstance(made, Refused) else (in_own_units(made, data.table, data.rows), made.labels)

    def to_dict(self) -> dict[str, Any]:
        intervals = self.intervals
        return fields_to_plain(self) | {"intervals": None if intervals is None else intervals.tolist()}

    def lines(self) -> list[tuple[str, str]]:
        """What there is to say in a few words, as pairs of what and how much."""
        low, high = self.average.interval
        ends = np.quantile(self.effects, (0.1, 0.9))
        said = [(f"average effect, {self.contrast}", f"{self.average.estimate:.4g} ({low:.4g} to {high:.4g})"),
                ("fitted effects, middle 80 % of people", f"{ends[0]:.4g} to {ends[1]:.4g}")]
        if self.errors is not None:
            above = [float((side > 0).mean()) for side in (self.intervals[:, 0], -self.intervals[:, 1])]  # pyright: ignore
            said.append(("people whose own interval is above, below zero", f"{above[0]:.0%}, {above[1]:.0%}"))
        first = [f"{name} ({part:.0%})" for name, part in list(self.importance.items())[:5] if part > 0]
        said.append(("differs most with", ", ".join(first) or "nothing"))
        return [*said, ("method, rows", f"{self.method}, {self.n:,}")]

    def __str__(self) -> str:
        return "\n".join(f"{what}: {much}" for what, much in self.lines())

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        from html import escape

        rows = [*self.lines(), *(("note", w.text) for w in self.warnings)]
        body = "".join(f"<tr><th style='text-align:left'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows)
        return f"<table>{body}</table>"


def _intervals(effects: np.ndarray, errors: np.ndarray | None, level: float) -> np.ndarray | None:
    from scipy.special import ndtri

    if errors is None:
        return None
    half = float(ndtri(0.5 + level / 2)) * errors
    return np.column_stack([effects - half, effects + half])


def _parts(table: Table, name: str, rows: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Code (n,) of each row's level, -1 where it has none, and the levels; numbers are cut at their quartiles."""
    column = table.column(name)
    if column.kind not in ("continuous", "count"):
        return level_codes(column, rows)
    values = column.numeric()[rows]
    known = ~column.missing[rows]
    if len(np.unique(values[known])) <= 5:
        return level_codes(column, rows)
    cuts = np.unique(np.quantile(values[known], (0.25, 0.5, 0.75)))
    ends = [f"{cut:.4g}" for cut in cuts]
    labels = [f"up to {ends[0]}", *(f"{a} to {b}" for a, b in itertools.pairwise(ends)), f"above {ends[-1]}"]
    return np.where(known, np.searchsorted(cuts, np.where(known, values, 0.0)), -1), labels

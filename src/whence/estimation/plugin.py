"""Effects by any identifying formula, evaluated on the distribution of the data: the plug-in estimator.

For effects that the ID algorithm identifies where neither adjustment nor the front door does. Every variable of the
formula enters by its levels; a numeric outcome enters by its mean where the formula allows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.data.table import CODED
from whence.estimation.functional import Masses, Node, conditions, enters_as_mean, evaluated
from whence.estimation.inference import Answer, cluster_factor
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.identification.expression import Expression, P, Product, Sum
from whence.identification.spec import Spec
from whence.stats.features import level_codes, plain

MOST_LEVELS = 20  # values of a numeric column that still count as levels
MOST_CELLS = 2_000_000
THIN = 5  # rows of a combination below which its share is hardly known
THIN_SHARE = 0.25  # of the rows, beyond which a table is too thin for an interval
SHOWN = 5

CARD = Card(
    name="plugin",
    task="estimation",
    title="Plug-in estimate of the identifying formula",
    summary="The formula that identifies the effect, with every probability in it replaced by its share in the data.",
    data_kinds=("binary", "categorical", "ordinal", "count"),
    assumptions=(
        "The graph is right, so that its formula gives the effect.",
        "Every combination of values that the formula conditions on occurs.",
    ),
    parameters=(LEVEL,),
    output="Effect",
    cost="Linear in the rows and in the combinations of values of the formula's columns.",
    citations=(
        "Shpitser and Pearl (2006), Identification of joint interventional distributions in recursive semi-Markovian "
        "causal models, AAAI",
        "Jaeckel (1972), The infinitesimal jackknife, Bell Laboratories Memorandum",
    ),
    function="whence.estimation.plugin:plugin",
    strategies=("id",),
    quantities=("ATE",),
)


@dataclass(frozen=True)
class _Cells:
    """The rows in cells. cell: (n,) flat position of each row. labels: the levels of each axis. mean: the outcome
    enters by its mean and has no axis."""

    table: Masses
    cell: np.ndarray
    labels: tuple[tuple[str, ...], ...]
    mean: bool
    scores: np.ndarray  # values of the outcome's levels, empty with ``mean``


def plugin(data: Prepared, *, level: float = 0.95, seed: int = 0, progress: Progress = SILENT) -> Answer | Refused:
    """E[Y | do(X = arm)] by the spec's formula on the weighted empirical distribution, and its differences.

    With p the masses of the cells and psi(p) the formula, row i has the influence value w_i dpsi/dp at its cell (and,
    where the outcome enters by its mean, y_i times the derivative by the cell's total); the formula does not change
    when all masses are multiplied, so these values have mean zero. A factor sqrt(n / (n - 1)), or that of CR1.
    Variables the formula mentions although its value is the same at all their levels are averaged over.

    Refused: ``continuous_treatment``, ``too_many_levels``, ``too_many_cells``, ``positivity`` with the
    combinations that lack, ``thin_cells``, ``not_identified``.
    """
    t = data.treatment
    if not t.discrete:
        return Refused(
            "continuous_treatment", f"{t.name!r} is a dose; the formula needs groups of it.",
            {"column": t.name, "values": len(np.unique(t.values))},
            f"Cut {t.name} into groups, or read it as categorical.",
        )
    expression = formula(data.spec)
    if isinstance(expression, Refused):
        return expression
    whole = _over_spare(expression, data.spec)
    cells = _in_cells(data, whole)
    if isinstance(cells, Refused):
        return cells
    root = evaluated(whole, cells.table)
    thin = _thin(data, cells, whole)
    for refusal in (_positivity(data, cells, root), thin[0]):
        if refusal is not None:
            return refusal
    values, influence = _differentiated(data, cells, root)
    factor = cluster_factor(data.clusters) if data.clusters is not None else math.sqrt(data.n / (data.n - 1))
    influence *= factor
    errors = np.sqrt((influence**2).sum(axis=0)) / data.n
    by_arm = {arm: {"n": int((t.codes == j).sum()), "mean": float(values[j]), "standard_error": float(errors[j])}
              for j, arm in enumerate(t.arms)}
    return Answer(
        data, estimates=values[1:] - values[0], influence=influence[:, 1:] - influence[:, [0]], remarks=thin[1],
        diagnostics={
            "formula": expression.text(), "arms": by_arm, "cells": int(cells.table.mass.size),
            "cells_with_rows": int((cells.table.mass > 0).sum()), "outcome_enters": "mean" if cells.mean else "levels",
            "smallest_condition": thin[2],
        },
    )


def formula(spec: Spec) -> Expression | Refused:
    """What identifies the effect, found again from the spec's graph; ``not_identified`` when nothing does,
    ``no_causal_path`` when the effect is zero by the graph.

    Raises ``WhenceError``: ``missing_role`` without a graph, and those of ``whence.graph`` and ``identify``.
    """
    from whence.graphs.build import graph
    from whence.identification.identify import identify
    from whence.identification.result import NotIdentified

    if spec.graph is None:
        raise WhenceError("The strategy 'id' needs the graph that the formula follows from.", code="missing_role",
                          value="graph", hint="Give the spec's graph as text, or use Identified.to_spec().")
    found = identify(graph(spec.graph), spec.treatments, spec.outcomes)
    if isinstance(found, NotIdentified):
        return Refused("not_identified", found.reason, {"witness": found.witness}, found.remedy)
    if found.no_effect:
        return Refused("no_causal_path", found.note, {"treatment": spec.treatment, "outcome": spec.outcome},
                       "Ask with a graph in which the treatment can affect the outcome.")
    return found.expression


def formula_columns(expression: Expression, spec: Spec) -> tuple[str, ...]:
    """The columns it uses besides treatment and outcome, by name."""
    return tuple(sorted(expression.variables.difference(spec.treatments, spec.outcomes)))


def _over_spare(expression: Expression, spec: Spec) -> Expression:
    """Averaged over free variables other than treatment and outcome, as often as their values occur."""
    spare = tuple(sorted(expression.free.difference(spec.treatments, spec.outcomes)))
    return Sum(spare, Product((P(spare), expression))) if spare else expression


def _in_cells(data: Prepared, expression: Expression) -> _Cells | Refused:
    t, outcome = data.treatment, data.spec.outcome
    mean = enters_as_mean(expression, outcome)
    names = tuple(sorted(expression.variables | {t.name}))
    names = tuple(n for n in names if n != outcome) if mean else names
    columns, labels, scores = [], [], np.empty(0)
    for name in names:
        if name == t.name:
            codes, said = t.codes, t.arms
        elif name == outcome:
            scores, codes = np.unique(data.outcome, return_inverse=True)
            said = tuple(plain(v) for v in scores.tolist())
        else:
            codes, said = _levels(data, name)
        if name != t.name and len(said) > MOST_LEVELS:
            return _too_many_levels(data, name, len(said), name == outcome)
        columns.append(codes)
        labels.append(said)
    shape = tuple(len(said) for said in labels)
    if math.prod(shape) > MOST_CELLS:
        return Refused(
            "too_many_cells", f"The formula's {len(names)} columns have {math.prod(shape):,} combinations of values.",
            {"levels": dict(zip(names, shape, strict=True)), "most": MOST_CELLS},
            "Merge levels of the columns that have the most.",
        )
    cell = np.asarray(np.ravel_multi_index(columns, shape))
    mass = np.bincount(cell, data.w, math.prod(shape)).reshape(shape)
    totals = np.bincount(cell, data.w * data.outcome, math.prod(shape)).reshape(shape) if mean else None
    return _Cells(Masses(names, mass, totals, outcome if mean else None), cell, tuple(labels), mean, scores)


def _levels(data: Prepared, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes of the levels that occur on the rows used, and their labels."""
    codes, labels = level_codes(data.table.column(name), data.rows)
    seen, codes = np.unique(codes, return_inverse=True)
    return codes, tuple(labels[j] for j in seen)


def _too_many_levels(data: Prepared, name: str, found: int, outcome: bool) -> Refused:
    kind = data.table.kind(name)
    why = " (the outcome occurs in more than one place, so its mean is not enough)" if outcome else ""
    remedy = f"Merge rare levels of {name}." if kind in CODED | {"text"} else (
        f"Cut {name} into a few groups, in a column of its own under this name.")
    return Refused(
        "too_many_levels", f"The formula needs {name!r} by its levels{why}, and it has {found:,} on {data.n:,} rows.",
        {"column": name, "kind": kind, "levels": found, "most": MOST_LEVELS}, remedy,
    )


def _differentiated(data: Prepared, cells: _Cells, root: Node) -> tuple[np.ndarray, np.ndarray]:
    """Mean outcome under each arm, (arms,), and its influence values (n, arms)."""
    table, t = cells.table, data.treatment
    weight = _outcome_scores(cells, data.spec.outcome)
    axis = table.names.index(t.name)
    values, influence = np.zeros(len(t.arms)), np.zeros((data.n, len(t.arms)))
    for arm in range(len(t.arms)):
        direction = np.broadcast_to(weight, root.value.shape) * _at(root.value.shape, axis, arm)
        table.clear()
        # Entries of other arms may be unknown; they have no part in this one.
        values[arm] = float((np.where(direction != 0, root.value, 0.0) * direction).sum())
        root.pull(direction)
        influence[:, arm] = table.by_mass.ravel()[cells.cell]
        if cells.mean:
            influence[:, arm] += data.outcome * table.by_total.ravel()[cells.cell]
    # Masses add up to n, so the derivative by a row's own mass is 1/n of that by its share.
    return values, influence * (data.n * data.w)[:, None]


def _outcome_scores(cells: _Cells, outcome: str) -> np.ndarray:
    """Values of the outcome along its axis; one when it has none."""
    if cells.mean:
        return np.ones((1,) * len(cells.table.names))
    axis = cells.table.names.index(outcome)
    return cells.scores.reshape([-1 if k == axis else 1 for k in range(len(cells.table.names))])


def _at(shape: tuple[int, ...], axis: int, level: int) -> np.ndarray:
    """1 at one level of an axis and 0 elsewhere; 1 everywhere when the values do not depend on that axis."""
    size = shape[axis]
    chosen = (np.arange(size) == level).astype(float) if size > 1 else np.ones(1)
    return chosen.reshape([-1 if k == axis else 1 for k in range(len(shape))])


def _positivity(data: Prepared, cells: _Cells, root: Node) -> Refused | None:
    """Names the combinations that the first comparison needs and the data lack."""
    unknown = np.isnan(root.value)
    if not unknown.any():
        return None
    found = [dict(items) for items in dict.fromkeys(tuple(sorted(c.items())) for c in root.lacking(unknown))]
    told = [_told(cells, c) for c in found[:SHOWN]]
    names = sorted(found[0]) if found else [data.treatment.name]
    more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
    return Refused(
        "positivity", f"No row has {told[0] if told else 'some combination'}{more}, and the formula needs what happens "
        "there.", {"lacking": told, "combinations": len(found), "columns": names},
        f"Merge levels of {', '.join(names)}, or ask about a population in which the combination occurs.",
    )


def _told(cells: _Cells, cell: dict[str, int]) -> str:
    return ", ".join(f"{name} = {cells.labels[cells.table.names.index(name)][k]}" for name, k in sorted(cell.items()))


def _thin(data: Prepared, cells: _Cells, expression: Expression
          ) -> tuple[Refused | None, tuple[Remark, ...], dict[str, Any]]:
    """Conditions that rest on few rows: a refusal when many rows lie in such, else a remark, and the smallest one."""
    table = cells.table
    counts = np.bincount(cells.cell, minlength=table.mass.size).reshape(table.mass.shape)
    smallest: dict[str, Any] = {}
    few, met, share = [], 0, 0.0
    for given in conditions(expression):
        sizes = table.marginal(counts, given)
        met += int((sizes > 0).sum())
        thin = (sizes > 0) & (sizes < THIN)
        share = max(share, float(sizes[thin].sum()) / data.n)
        axes = table.axes(given)
        few += [(int(sizes[tuple(place)]), _told(cells, {table.names[k]: int(place[k]) for k in axes}))
                for place in np.argwhere(thin)]
        low = int(sizes[sizes > 0].min())
        if not smallest or low < smallest["rows"]:
            smallest = {"columns": sorted(given), "rows": low}
    if not few:
        return None, (), smallest
    few.sort()
    evidence = {"thin": [f"{said}: {rows}" for rows, said in few[:SHOWN]], "combinations": len(few), "of": met,
                "share_of_rows": share, "fewest": THIN}
    text = (f"{len(few):,} of the {met:,} combinations of values that the formula conditions on hold fewer than {THIN} "
            f"rows (such as {few[0][1]})")
    if share > THIN_SHARE:
        return Refused("thin_cells", f"{text}, with {share:.0%} of the rows in them: too thin for an interval.",
                       evidence, "Merge levels, or gather more rows."), (), smallest
    return None, (Remark("thin_cells", f"{text}; the interval may be too short.", tuple(sorted(table.names)), evidence),
                  ), smallest

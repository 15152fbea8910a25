"""One small table that every kind of method can work on, and how a method of each task is called.

Run as a program it prints every method's answer as JSON, for a process with another number of threads.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whence.core.card import Card
from whence.core.registry import load_function, methods
from whence.core.result import to_plain
from whence.data.load import read
from whence.data.table import CODED, NUMERIC, Column, Table
from whence.identification.spec import Condition, Spec

ROWS = 300
# Less work of the same kind, for methods with such a parameter.
QUICK = {"n_splits": 2, "n_folds": 2, "replicates": 99, "trees": 60}
KINDS = {"dose": "binary", "site": "categorical", "age": "continuous", "income": "continuous", "score": "continuous",
         "grade": "ordinal"}


def columns(n: int = ROWS) -> dict[str, Any]:
    """Columns with a known story: age and site raise dose; age, income and dose raise score; grade follows age."""
    rng = np.random.default_rng(20)
    age, income = rng.normal(50, 10, n), rng.normal(0, 1, n)
    site = rng.choice(["east", "north", "south"], n)
    dose = (rng.random(n) < 1 / (1 + np.exp(-(age - 50) / 15 - 0.5 * (site == "north")))).astype(int)
    score = 2.0 * dose + 0.1 * age + income + rng.normal(0, 1, n)
    grade = np.digitize(age + rng.normal(0, 5, n), [45, 55])
    return {"age": age, "dose": dose, "grade": grade, "income": income, "score": score, "site": site}


@pytest.fixture(scope="session")
def table() -> Table:
    return read(columns(), kinds=KINDS)


@pytest.fixture(scope="session")
def reversed_table() -> Table:
    """The same table with its columns in the opposite order."""
    given = columns()
    return read({name: given[name] for name in reversed(given)}, kinds=KINDS)


SPEC = Spec("adjustment", ("dose",), ("score",), controls=("age", "income", "site"))


BETWEEN = Spec("frontdoor", ("dose",), ("score",), mediators=("age", "grade"), controls=("income",))
BY_FORMULA = Spec("id", ("dose",), ("score",), graph="site --> dose; dose --> grade; site --> grade; grade --> score; "
                  "site --> score; dose <-> score")
BY_CHANCE = Spec("iv", ("dose",), ("score",), controls=("income",), instruments=("age", "site"))
AT_CUTOFF = Spec("rdd", ("dose",), ("score",), controls=("age",), running_variable="income", cutoff=0.0)
OVER_TIME = Spec("did", ("dose",), ("score",), controls=("income",), time="grade", unit="age")
ONE_SERIES = Spec("interrupted_series", ("dose",), ("score",), controls=("income",), time="age")
IN_BLOCKS = Spec("rct", ("dose",), ("score",), strata=("site",))
STOOD_FOR = Spec("proximal", ("dose",), ("score",), controls=("income",), treatment_proxies=("age",),
                 outcome_proxies=("grade",))
SHIFTED = Spec("iv", ("income", "grade"), ("score",), instruments=("site", "age"), controls=("dose",))
IN_NETWORK = Spec("interference", ("dose",), ("score",), controls=("income",), unit="age", neighbours="site")
DURATIONS = SPEC.replace(quantity="RMST", outcomes=("income",), controls=("age", "site"), event="grade", horizon=2.0)
IN_TURN = Spec("longitudinal", ("dose", "grade"), ("score",), controls=("age",), histories=((), ("income",)))
BY_LOT = BY_CHANCE.replace(instruments=("site",), population=(Condition("site", "in", ("east", "north")),))
# Methods with a strategy of their own.
OWN = {"frontdoor": BETWEEN, "frontdoor_dr": BETWEEN, "plugin": BY_FORMULA, "iv": BY_CHANCE, "rdd": AT_CUTOFF,
       "quantile_effect": SPEC.replace(quantity="QTE"),
       "dose_response": Spec("adjustment", ("age",), ("score",), controls=("income", "site")),
       **dict.fromkeys(("twfe", "group_time", "imputation", "stacked", "local_projection", "sun_abraham", "switchers"),
                       OVER_TIME),
       "longitudinal": IN_TURN, "restricted_mean": DURATIONS,
       "mediation": SPEC.replace(quantity="NDE", mediators=("grade",)),
       "interrupted_series": ONE_SERIES, "structural_series": ONE_SERIES,
       "synthetic_control": OVER_TIME.replace(strategy="synthetic_control", controls=()),
       "measured_outcome": SPEC.replace(truth="grade"),
       "partially_linear_iv": BY_CHANCE, "late": BY_LOT, "invalid_instrument": BY_LOT, "interference": IN_NETWORK,
       "invariant_augmentation": SHIFTED, "proximal": STOOD_FOR,
       "stratified": IN_BLOCKS, "randomisation": IN_BLOCKS}


def usable(card: Card, table: Table) -> list[str]:
    """The columns whose kind the card takes, by name."""
    return sorted(name for name in table.names if table.kind(name) in card.data_kinds)


def run_method(card: Card, table: Table, seed: int = 3, **params: Any) -> Any:
    """The answer of a method on the table of this suite (any columns' order, any row loss)."""
    quick = {p.name: QUICK[p.name] for p in card.parameters if p.name in QUICK}
    return RUNNERS[card.task](card, table, seed, quick | params)


def _estimation(card: Card, table: Table, seed: int, params: dict[str, Any]) -> Any:
    from whence.estimation.estimate import estimate

    table = by_rule(table) if card.name == "rdd" else table
    table = with_truths(table) if OWN.get(card.name, SPEC).truth else table
    if OWN.get(card.name, SPEC) is STOOD_FOR:
        table = stood_for(table)
    if OWN.get(card.name, SPEC) is SHIFTED:
        table = shifted(table)
    if OWN.get(card.name, SPEC) is IN_TURN:
        again = (np.random.default_rng(6).random(table.n_rows) < 0.5).astype(np.int32)
        table = table.replace(Column("grade", "binary", again, (0, 1)))
    if OWN.get(card.name, SPEC) is DURATIONS:
        table = with_durations(table)
    if OWN.get(card.name, SPEC) is IN_NETWORK:
        table = in_network(table)
    if OWN.get(card.name, SPEC) is ONE_SERIES:
        table = one_series(table)
    elif OWN.get(card.name, SPEC).time:
        table = by_period(table)
    return estimate(table, OWN.get(card.name, SPEC), card.name, seed, **params)


def by_period(table: Table) -> Table:
    """The table with rows as six periods of units; of each three one starts the dose at 3, one at 4, one never."""
    rows = np.arange(table.n_rows)
    dose = (rows % 6 >= np.array([3, 4, 9])[rows // 6 % 3]).astype(np.int32)
    made = [Column("age", "continuous", rows // 6 + 0.0), Column("grade", "continuous", rows % 6 + 0.0),
            Column("dose", "binary", dose, (0, 1))]
    return functools.reduce(lambda t, column: t.replace(column), made, table)


def stood_for(table: Table) -> Table:
    """The table with age and grade as noisy copies of one hidden number."""
    drawn = np.random.default_rng(4).normal(size=(3, table.n_rows))
    made = [Column("age", "continuous", drawn[0] + drawn[1]), Column("grade", "continuous", drawn[0] + drawn[2])]
    return functools.reduce(lambda t, column: t.replace(column), made, table)


def shifted(table: Table) -> Table:
    """The table with a second dose by the name of grade, and shifts of both doses in one direction."""
    drawn = np.random.default_rng(3).normal(size=(3, table.n_rows))
    made = [Column("grade", "continuous", drawn[1]), Column("site", "continuous", drawn[0]),
            Column("age", "continuous", -2 * drawn[0])]
    return functools.reduce(lambda t, column: t.replace(column), made, table)


def in_network(table: Table) -> Table:
    """The table with its rows numbered by age, each linked with one or two rows before and after it, named by site."""
    n = table.n_rows
    lists = [" ".join(str(j) for j in (i - 1 - i % 3 % 2, i + 1) if 0 <= j < n) for i in range(n)]
    made = [Column("age", "continuous", np.arange(n) + 0.0), Column("site", "text", np.array(lists, dtype=object))]
    return functools.reduce(lambda t, column: t.replace(column), made, table)


def one_series(table: Table) -> Table:
    """The table with its rows as periods of one series, treated in the last third."""
    rows = np.arange(table.n_rows)
    dose = (rows >= 2 * table.n_rows // 3).astype(np.int32)
    made = [Column("age", "continuous", rows + 0.0), Column("dose", "binary", dose, (0, 1))]
    return functools.reduce(lambda t, column: t.replace(column), made, table)


def with_truths(table: Table) -> Table:
    """The table with the score as a prediction of the grade, known on the last third of the rows, where no dose is."""
    known = np.arange(table.n_rows) >= 2 * table.n_rows // 3
    truth = 2 * table.numeric("score") + np.random.default_rng(0).normal(size=table.n_rows)
    made = [Column("grade", "continuous", np.where(known, truth, np.nan)),
            Column("dose", "binary", np.where(known, -1, table.column("dose").values).astype(np.int32), (0, 1))]
    return functools.reduce(lambda t, column: t.replace(column), made, table)


def with_durations(table: Table) -> Table:
    """The table with times, cut off for about a third of the rows, in place of the income."""
    drawn = np.random.default_rng(5).exponential(size=(2, table.n_rows)) * [[1.5], [3.0]]
    made = [Column("income", "continuous", drawn.min(axis=0)),
            Column("grade", "binary", (drawn[0] <= drawn[1]).astype(np.int32), (0, 1))]
    return functools.reduce(lambda t, column: t.replace(column), made, table)


def by_rule(table: Table) -> Table:
    """The table with the dose given to those with an income of at least 0, where that can be."""
    if table.kind("income") not in NUMERIC:
        return table
    return table.replace(Column("dose", "binary", (table.numeric("income") >= 0).astype(np.int32), (0, 1)))


def _bounds(card: Card, table: Table, seed: int, params: dict[str, Any]) -> Any:
    from whence.estimation.bounds import bounds

    return bounds(table, SPEC.replace(controls=("site",)), card.name, seed, **params)


def _heterogeneity(card: Card, table: Table, seed: int, params: dict[str, Any]) -> Any:
    from whence.estimation.conditional import conditional

    return conditional(table, SPEC, card.name, None, seed, **params)


def _check(card: Card, table: Table, seed: int, params: dict[str, Any]) -> Any:
    from whence.estimation.estimate import estimate
    from whence.graphs.build import graph

    drawn = graph("age --> dose; site --> dose; dose --> score; age --> score; income --> score; age --> grade")
    effect = estimate(table, SPEC, "regression", seed)
    assert effect, effect
    return load_function(card)(table, effect, graph=drawn, seed=seed, **params)


def _discovery(card: Card, table: Table, seed: int, params: dict[str, Any]) -> Any:
    from whence.discovery.discovery import discover

    return discover(table.select([n for n in table.names if table.kind(n) in card.data_kinds]), card.name, seed=seed,
                    **params)


def _independence(card: Card, table: Table, seed: int, params: dict[str, Any]) -> Any:
    taken = usable(card, table)
    coded = [n for n in taken if table.kind(n) in CODED]
    numeric = [n for n in taken if table.kind(n) in NUMERIC]
    names = coded[:3] if len(coded) == len(taken) else [*numeric[:2], *coded[:1], *numeric[2:3]]
    return load_function(card)(table, names[0], names[1], tuple(names[2:]), **params)


def _score(card: Card, table: Table, seed: int, params: dict[str, Any]) -> Any:
    names = tuple(sorted(n for n in table.names if table.kind(n) in card.data_kinds))
    made = load_function(card)(table, names, **card.checked(params))
    return {f"{child} from {parents}": made.local(child, parents) for child in names
            for parents in ((), *((other,) for other in names if other != child))}


RUNNERS = {"estimation": _estimation, "heterogeneity": _heterogeneity, "bounds": _bounds, "check": _check,
           "discovery": _discovery, "independence_test": _independence, "score": _score}

@pytest.fixture(scope="session")
def run() -> Callable[..., Any]:
    """``run(card, table, seed=3, **params)`` -> the method's answer."""
    return run_method


@pytest.fixture(scope="session")
def answer(table: Table) -> Callable[[Card], Any]:
    """``answer(card)`` -> the method's answer with seed 3, computed once, as plain values."""
    return functools.cache(lambda card: to_plain(run_method(card, table)))


def main(threads: int) -> None:
    """Every method's answer, from a process that may use ``threads`` processors."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    table = read(columns(), kinds=KINDS)
    answers = {f"{card.task}/{card.name}": to_plain(run_method(card, table)) for card in methods()}
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main(int(sys.argv[1]))

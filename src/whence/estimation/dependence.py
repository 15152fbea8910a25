"""Errors for rows that depend on each other: two-way clusters, time, place. For every method with influence values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.table import CODED, NUMERIC, Column
from whence.estimation.inference import Answer, covariance_of
from whence.estimation.prepare import Prepared
from whence.identification.spec import Spec
from whence.stats.conley import Spatial
from whence.stats.covariance import Dependence
from whence.stats.features import level_codes
from whence.stats.newey_west import Serial, automatic_lags
from whence.stats.two_way import TwoWay

KINDS = ("two_way", "hac", "conley")
FEWEST_DF = 3.0  # with fewer degrees of freedom than this an interval says next to nothing

COVARIANCE = Parameter(
    "covariance", "choice", None, "Errors for rows that depend on each other: 'two_way', clustered by the spec's "
    "cluster and by also_cluster; 'hac', along the spec's time, within its unit if it has one; 'conley', by distance. "
    "None: rows or the spec's clusters are independent.", choices=KINDS, optional=True,
)
COMPANIONS = (
    Parameter("also_cluster", "str", None, "For covariance 'two_way': the column of the second grouping.",
              optional=True),
    Parameter("lags", "int", None, "For covariance 'hac': over how many periods rows depend on each other. None: 1.3 "
              "times the root of the number of periods.", 0, optional=True),
    Parameter("latitude", "str", None, "For covariance 'conley': the column of latitudes, in degrees.", optional=True),
    Parameter("longitude", "str", None, "For covariance 'conley': the column of longitudes, in degrees.",
              optional=True),
    Parameter("distance_km", "float", None, "For covariance 'conley': up to how far apart rows depend on each other.",
              0.0, open_ends=True, optional=True),
    Parameter("kernel", "choice", "bartlett", "For covariance 'conley': whether the dependence falls with the distance "
              "('bartlett') or stops at distance_km ('uniform').", choices=("bartlett", "uniform")),
)
SHARED = (COVARIANCE, *COMPANIONS)
NEEDS = {"two_way": ("also_cluster",), "hac": (), "conley": ("latitude", "longitude", "distance_km")}
BELONGS = {"also_cluster": "two_way", "lags": "hac", "latitude": "conley", "longitude": "conley",
           "distance_km": "conley", "kernel": "conley"}


def split(card: Card, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is asked of the errors, checked, and the parameters left for the method.

    A method whose card has a choice of covariances of its own keeps that one; ``covariance`` is then in both parts.
    Raises ``WhenceError``: ``bad_parameter``, ``missing_parameter`` (a companion that the covariance needs),
    ``unused_parameter`` (one that belongs to another covariance).
    """
    own = {p.name: p for p in card.parameters}
    asked = {p.name: p.checked(given[p.name], card.name) for p in COMPANIONS if p.name in given and
             p.name not in own}
    kind = given.get("covariance")
    if "covariance" not in own and "covariance" in given:
        kind = COVARIANCE.checked(kind, card.name)
    keeps = "covariance" in own and (kind not in KINDS or kind in own["covariance"].choices)
    rest = {k: v for k, v in given.items() if k not in asked and (k != "covariance" or keeps)}
    kind = kind if isinstance(kind, str) and kind in KINDS else None
    for name, value in asked.items():
        if BELONGS[name] != kind and value is not None:
            raise WhenceError(f"The parameter {name!r} belongs to covariance={BELONGS[name]!r}.",
            code="unused_parameter", value=value, hint=f"Give covariance={BELONGS[name]!r} too, or leave it out.")
    if kind is None:
        return {}, rest
    for name in NEEDS[kind]:
        if asked.get(name) is None:
            meaning = next(p.meaning for p in COMPANIONS if p.name == name)
            raise WhenceError(f"covariance={kind!r} needs the parameter {name!r}.", code="missing_parameter",
            value=name, hint=meaning)
    return {"covariance": kind} | asked, rest


def unclustered(spec: Spec, asked: Mapping[str, Any]) -> None:
    """Raises ``WhenceError`` where the spec's cluster and the errors asked for exclude each other."""
    kind = asked.get("covariance")
    if kind in ("hac", "conley") and spec.cluster is not None:
        raise WhenceError(f"covariance={kind!r} and the cluster {spec.cluster!r} are two answers to one question.",
                          code="two_dependences", value=spec.cluster,
                          hint="Leave the cluster out of the spec, or the covariance out of the parameters.")
    if kind == "two_way" and spec.cluster == asked["also_cluster"]:
        raise WhenceError(f"{spec.cluster!r} is given as both groupings.", code="two_dependences", value=spec.cluster,
                          hint="Name another column in also_cluster.")
    if kind == "hac" and spec.time is None:
        raise WhenceError("covariance='hac' needs the column that says when.", code="missing_role", value="time",
                          hint="Name it in the spec: time=..., and unit=... where there are several series.")


def with_dependence(data: Prepared, asked: Mapping[str, Any]) -> Prepared | Refused:
    """The data with the dependence of their rows.

    Refused: ``no_cluster``, ``too_few_clusters``, ``values_missing`` (in the column of the second grouping, the time or
    the coordinates), ``time_not_ordered`` (its column is not a number or a date), ``time_repeated``,
    ``not_coordinates``, ``too_much_dependence``. Raises ``WhenceError`` (``unknown_column``).
    """
    kind = asked.get("covariance")
    if kind is None:
        return data
    found = {"two_way": _two_way, "hac": _serial, "conley": _spatial}[kind](data, asked)
    if isinstance(found, Refused):
        return found
    if found.name != "two_way":
        data = dataclasses.replace(data, clusters=None, spec=data.spec.replace(cluster=None),
                                   remarks=tuple(r for r in data.remarks if r.code not in ("clustered_by_unit",
                                                                                           "few_clusters")))
    if found.name != "two_way" and found.df < FEWEST_DF:
        return Refused(
            "too_much_dependence", "So many rows are taken to depend on each other that too little independent "
            f"information is left ({found.df:.1f} degrees of freedom).", {"df": found.df, "rows": data.n},
            "Use fewer lags." if kind == "hac" else "Use a shorter distance.",
        )
    return dataclasses.replace(data, dependence=found)


def reproducible(answer: Answer) -> Answer | Refused:
    """The answer, if its errors are those of its influence values under the data's dependence.

    Refused: ``errors_not_available`` when the method has an interval of another kind; ``negative_variance`` (the
    uniform kernel can give one).
    """
    dependence = answer.data.dependence
    if dependence is None:
        return answer
    if answer.interval is not None and answer.errors is None:
        return Refused("errors_not_available", f"The interval of this method does not come from influence values, so "
                       f"covariance={dependence.name!r} cannot be had.", {"covariance": dependence.name},
                       "Use another method, or leave the covariance out.")
    variances = np.diagonal(covariance_of(answer))
    if (variances <= 0).any() and answer.influence.any():
        return Refused("negative_variance", "The estimated variance is not positive, which this kernel can give.",
                       {"variance": float(variances.min())}, "Use kernel='bartlett', or another distance.")
    return answer


def words(answer: Answer) -> str:
    """Which standard errors an answer carries, for a reader."""
    data = answer.data
    if answer.errors is not None:
        return answer.errors.words
    if data.dependence is not None:
        return data.dependence.words
    if data.n_clusters is not None:
        return f"clustered by {data.spec.cluster!r} ({data.n_clusters:,} clusters)"
    return "robust to unequal variances; rows are taken as independent"


def _values(data: Prepared, name: str, what: str) -> Column | Refused:
    column = data.table.column(name)
    gaps = int(column.missing[data.rows].sum())
    if gaps:
        return Refused("values_missing", f"{gaps:,} of {data.n:,} rows used have no {what} ({name!r}).",
                       {"missing": gaps, "column": name}, "Fill them in, or restrict the population to the other rows.")
    return column


def _numbers(column: Column) -> np.ndarray | None:
    """The column as numbers, or None when its values are words or dates."""
    if column.kind in CODED and not all(isinstance(v, (int, float)) for v in column.levels or ()):
        return column.numeric() if column.kind == "ordinal" else None
    return column.numeric() if column.kind in NUMERIC | CODED else None


def _two_way(data: Prepared, asked: Mapping[str, Any]) -> Dependence | Refused:
    if data.clusters is None:
        return Refused("no_cluster", "Two-way clusters need a first grouping, and the spec has no cluster.", {},
                       "Name it in the spec: cluster=....")
    column = _values(data, asked["also_cluster"], "second group")
    if isinstance(column, Refused):
        return column
    found = TwoWay(data.clusters, level_codes(column, data.rows)[0], (repr(data.spec.cluster), repr(column.name)))
    if min(found.groups) < 2:
        return Refused("too_few_clusters", f"All rows used have the same {column.name!r}.", {"clusters": found.groups},
                       "Use a finer column, or cluster by one.")
    return found


def _serial(data: Prepared, asked: Mapping[str, Any]) -> Dependence | Refused:
    column = _values(data, data.spec.time or "", "time")
    if isinstance(column, Refused):
        return column
    times = column.values.astype("datetime64[us]").astype(float) if column.kind == "datetime" else _numbers(column)
    if times is None:
        return Refused("time_not_ordered", f"The time {column.name!r} is {column.kind}; its values have no order.",
                       {"kind": column.kind}, "Use a number or a date.")
    unit, named = np.zeros(data.n, dtype=np.int64), data.spec.unit
    if named is not None:
        units = _values(data, named, "unit")
        if isinstance(units, Refused):
            return units
        unit = level_codes(units, data.rows)[0]
    position = _periods(times[data.rows])
    pairs, counts = np.unique(np.column_stack([unit, position]), axis=0, return_counts=True)
    if len(pairs) < data.n:
        twice = int((counts > 1).sum())
        return Refused(
            "time_repeated", f"{twice:,} values of {column.name!r} occur more than once"
            + (f" within a {named!r}." if named else "."), {"repeated": twice, "most": int(counts.max())},
            "Remove the copies." if named else "Name the column of the units in the spec: unit=....",
        )
    periods = int(np.bincount(np.unique(unit, return_inverse=True)[1]).max())
    lags = asked.get("lags")
    return Serial(unit, position, automatic_lags(periods) if lags is None else lags, repr(column.name))


def _periods(times: np.ndarray) -> np.ndarray:
    """Whole periods since the first: by the smallest step between times when all are multiples of it, else by rank."""
    distinct, rank = np.unique(times, return_inverse=True)
    if len(distinct) < 2:
        return rank
    counted = (distinct - distinct[0]) / np.diff(distinct).min()
    regular = counted[-1] < 100 * len(distinct) and np.abs(counted - np.round(counted)).max() < 1e-6
    return np.round(counted).astype(np.int64)[rank] if regular else rank


def _spatial(data: Prepared, asked: Mapping[str, Any]) -> Dependence | Refused:
    places = []
    for name, limit in ((asked["latitude"], 90.0), (asked["longitude"], 360.0)):
        column = _values(data, name, "place")
        if isinstance(column, Refused):
            return column
        numbers = _numbers(column)
        if numbers is None:
            return Refused("not_coordinates", f"The coordinate {name!r} is {column.kind}, not a number.",
                           {"kind": column.kind}, "Give degrees as numbers.")
        degrees = numbers[data.rows]
        outside = int((~(np.abs(degrees) <= limit)).sum())
        if outside:
            return Refused("not_coordinates", f"{outside:,} values of {name!r} are not between -{limit:.0f} and "
                           f"{limit:.0f} degrees.", {"outside": outside, "column": name},
                           "Give degrees north and degrees east, in this order.")
        places.append(degrees)
    return Spatial(places[0], places[1], asked["distance_km"], asked.get("kernel", "bartlett"))

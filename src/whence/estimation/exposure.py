"""What a row's neighbours expose it to: exposures, the controls that go with them, and errors along the network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused, Remark
from whence.data.network import Network, read_network
from whence.estimation.inference import Errors
from whence.estimation.prepare import Prepared
from whence.stats.features import features, independent, level_codes
from whence.stats.network_hac import Networked

MANY_PARTS = 40  # independent parts of a network from which errors clustered by part can be trusted
LARGEST_PART = 0.05  # of the rows
GROUPS = ("any", "threshold")  # exposures of two values


@dataclass(frozen=True)
class Exposed:
    """Rows with what they and their neighbours got.

    data: the rows used. network: of the whole table, whose rows these are some of. own: float (n,), 0 or 1, or a dose.
    exposure: float (n,). most: (n,), the exposure when every neighbour is treated; for a dose, what one more unit for
    every neighbour adds. degree: (n,). controls: (n, k), the row's controls, then the means of its neighbours', then
    functions of the degree; centred. names: (k,). ends: where the neighbours' means and where the degree begin.
    """

    data: Prepared
    network: Network
    own: np.ndarray
    exposure: np.ndarray
    most: np.ndarray
    degree: np.ndarray
    controls: np.ndarray
    names: tuple[str, ...]
    ends: tuple[int, int]

    @property
    def discrete(self) -> bool:
        """Whether the exposure is yes or no."""
        return bool(np.isin(self.most, (0.0, 1.0)).all() and np.isin(self.exposure, (0.0, 1.0)).all())


def exposed(data: Prepared, kind: str, threshold: int) -> Exposed | Refused:
    """The exposures of the rows used, by the treatments of all rows of the table, used or not.

    kind: ``"share"`` of neighbours treated (0 for rows without any), ``"count"``, ``"any"``, or ``"threshold"``, at
    least ``threshold`` of them. For a dose, the mean or the sum of the neighbours' doses. Rows with a neighbour whose
    treatment is missing are left out, with a remark.

    Refused: ``several_arms``, ``exposure_needs_groups``, ``neighbours_unknown``, those of ``read_network`` and of the
    design columns. Raises ``WhenceError`` (``missing_role``) without unit or neighbours.
    """
    spec, t = data.spec, data.treatment
    for role in ("neighbours", "unit"):
        if getattr(spec, role) is None:
            raise WhenceError(f"Interference needs the column of the {role}.", code="missing_role", value=role,
                              hint=f"Name it in the spec: {role}='...'.")
    if len(t.arms) > 2:
        return Refused("several_arms", f"The treatment {t.name!r} has {len(t.arms)} values that are not numbers.",
                       {"arms": list(t.arms)}, "Limit the population to two of them, or use a number.")
    if kind in GROUPS and not t.discrete:
        return Refused("exposure_needs_groups", f"exposure={kind!r} counts treated neighbours, and {t.name!r} is a "
                       "dose.", {"exposure": kind},
                       "Use exposure='share' (the neighbours' mean) or 'count' (their sum).")
    read = read_network(data.table.column(spec.unit or ""), data.table.column(spec.neighbours or ""))
    if isinstance(read, Refused):
        return read
    network, said = read
    given = _treatments(data)
    unknown = network.sums(np.isnan(given).astype(float))[data.rows] > 0
    data = dataclasses.replace(data, remarks=(*data.remarks, *said))
    if unknown.all():
        return Refused("neighbours_unknown", f"Every row has a neighbour whose {t.name!r} is missing.",
                       {"rows": data.n}, "Fill the treatment in where it is known.")
    if unknown.any():
        data = data.take(~unknown, Remark(
            "neighbours_unknown", f"{unknown.sum():,} rows are left out: the {t.name} of some of their neighbours is "
            "missing or is not one of the values compared.", (t.name,), {"rows": int(unknown.sum())}))
    degree = network.degree[data.rows].astype(float)
    alone = int((degree == 0).sum())
    if alone:
        data = dataclasses.replace(data, remarks=(*data.remarks, Remark(
            "no_neighbours", f"{alone:,} of {data.n:,} rows have no neighbours; their own treatment is all that can "
            "reach them.", (spec.neighbours or "",), {"rows": alone, "used": data.n})))
    sums = network.sums(np.where(np.isnan(given), 0.0, given))[data.rows]
    return _with_controls(data, network, degree, *_mapped(kind, sums, degree, threshold))


def _treatments(data: Prepared) -> np.ndarray:
    """The treatment of every row of the table, (N,): 0 or 1, or the dose; NaN where missing or another arm."""
    column, t = data.table.column(data.treatment.name), data.treatment
    if not t.discrete:
        return column.numeric()
    codes, labels = level_codes(column, np.arange(data.table.n_rows))
    arm = np.array([t.arms.index(label) if label in t.arms else np.nan for label in labels] + [np.nan])
    return arm[codes]


def _mapped(kind: str, sums: np.ndarray, degree: np.ndarray, threshold: int) -> tuple[np.ndarray, np.ndarray]:
    """Exposure (n,), and what it is when all neighbours are treated."""
    if kind == "count":
        return sums, degree
    if kind == "share":
        return sums / np.maximum(degree, 1.0), (degree > 0).astype(float)
    least = 1 if kind == "any" else threshold
    return (sums >= least).astype(float), (degree >= least).astype(float)


def _with_controls(
    data: Prepared, network: Network, degree: np.ndarray, exposure: np.ndarray, most: np.ndarray
) -> Exposed | Refused:
    own = data.features()
    everybody = features(data.table, data.spec.controls, np.arange(data.table.n_rows))
    for made in (own, everybody):
        if isinstance(made, Refused):
            return made
    assert not isinstance(own, Refused)
    assert not isinstance(everybody, Refused)
    means = network.sums(everybody.matrix)[data.rows] / np.maximum(degree, 1.0)[:, None]
    counted = np.column_stack([degree, np.log1p(degree), degree == 0])
    columns = np.column_stack([own.matrix, means, counted])
    names = [*own.labels, *(f"neighbours' {label}" for label in everybody.labels), "number of neighbours",
             "log number of neighbours", "no neighbours"]
    ends = [own.matrix.shape[1], own.matrix.shape[1] + means.shape[1]]
    centred = columns - np.average(columns, axis=0, weights=data.w)
    spread = np.sqrt(np.average(centred**2, axis=0, weights=data.w))
    kept = spread > 1e-9 * np.maximum(np.abs(columns).max(axis=0, initial=0.0), 1e-300)
    kept[kept] = independent(centred[:, kept] / spread[kept])
    ends = [int(kept[:end].sum()) for end in ends]
    return Exposed(data, network, data.treatment.values, exposure, most, degree, centred[:, kept] / spread[kept],
                   tuple(name for name, there in zip(names, kept, strict=True) if there), (ends[0], ends[1]))


def with_network_errors(found: Exposed, kind: str, steps: int) -> tuple[Exposed, Errors | None] | Refused:
    """The rows with their dependence: what the user named, else by part of the network, else by steps in it.

    Refused: ``network_too_dense``, ``too_few_parts``.
    """
    data, network = found.data, found.network
    if data.clusters is not None or data.dependence is not None:
        return found, None
    sizes = np.bincount(network.components[data.rows])
    parts = int((sizes > 0).sum())
    if kind == "components" and parts < 2:
        return Refused("too_few_parts", "All rows are connected, so errors cannot be clustered by part of the network.",
                       {"parts": parts}, "Use errors='network'.")
    if kind == "components" or (kind == "auto" and parts >= MANY_PARTS and sizes.max() <= LARGEST_PART * data.n):
        data = dataclasses.replace(data, clusters=network.components[data.rows])
        return dataclasses.replace(found, data=data), Errors(
            "components", f"clustered by unconnected part of the network ({parts:,} parts)")
    dependence = Networked(network.mutual.matrix, data.rows, steps)
    if dependence.near is None:
        return Refused("network_too_dense", f"Too many rows are within {steps} steps of each other for errors along "
                       "the network to mean anything.", {"rows": data.n, "links": len(network.links), "steps": steps},
                       "Use steps=1, or name a column of groups between which rows are independent: cluster=....")
    if dependence.df < 1:
        return Refused("network_too_dense", f"Nearly all rows are within {steps} steps of each other, so too little "
                       "independent information is left.", {"rows": data.n, "df": dependence.df, "steps": steps},
                       "Use steps=1, or more rows.")
    return dataclasses.replace(found, data=dataclasses.replace(data, dependence=dependence)), None

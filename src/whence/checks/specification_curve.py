"""Specification curve: the estimate under many choices of controls, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.linear import basis, centred, leverage, regress_each
from whence.checks.setting import Setting, setting
from whence.checks.words import count, number, percent
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.core.rng import generator
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.graphs.graph import Graph
from whence.stats.features import independent

BATCH = 400_000  # numbers in the arrays of one batch of specifications
FEWEST = 2  # controls
SHOWN = 200  # specifications in the figure

CARD = Card(
    name="specification_curve",
    task="check",
    title="Does the answer hang on the choice of controls?",
    summary="The linear estimate under every subset of the controls, or many of them, with and without their powers.",
    data_kinds=("binary", "categorical", "continuous"),
    assumptions=("Each specification is a linear regression of the outcome on the treatment and some of the "
                 "controls.",),
    parameters=(
        Parameter("most", "int", None, "Largest number of specifications; beyond it a random sample of subsets. None: "
                                       "256, "
                  "fewer beyond 20,000 rows.", 4, 100_000, optional=True),
    ),
    output="whence.checks.check.Check",
    cost="One Gram matrix; then rows x columns for each specification.",
    citations=(
        "Simonsohn, U., Simmons, J. P. and Nelson, L. D. (2020). Specification curve analysis. Nature Human Behaviour "
        "4(11), 1208-1214.",
    ),
    function="whence.checks.specification_curve:specification_curve",
)


@dataclass(frozen=True)
class Curve:
    """members: bool (S, K), which control is in which specification; the first row has all. powers: bool (S,), whether
    powers of the controls are in too. estimates, errors: (S,)."""

    members: np.ndarray
    powers: np.ndarray
    estimates: np.ndarray
    errors: np.ndarray


def subsets(k: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Bool (S, k): all subsets when they are at most ``most``, else a sample without repeats; the full one first, the
    empty one last. Sizes are as likely as each other, so that the sample is not all of middling size."""
    if k < 31 and 2**k <= most:
        codes = np.arange(2**k - 1, -1, -1)
        return (codes[:, None] >> np.arange(k)) & 1 == 1
    found = {tuple([True] * k): None}
    while len(found) < most - 1:
        size = int(rng.integers(1, k))
        chosen = np.zeros(k, dtype=bool)
        chosen[rng.permutation(k)[:size]] = True
        found[tuple(chosen.tolist())] = None
    return np.array([*found, [False] * k])


def curve(s: Setting, most: int, rng: np.random.Generator) -> Curve:
    """Estimates and robust errors (HC3, or CR1 with clusters) of many specifications.

    The coefficients all come from one matrix of products. Leverage is that of all controls, which errs on the wide
    side.
    """
    s = s.columns(np.flatnonzero(independent(s.controls)))
    straight = np.zeros(len(s.labels), dtype=bool)
    straight[s.plain_columns] = True
    forms = (True,) if straight.all() else (True, False)
    chosen = subsets(len(s.names), most // len(forms), rng)
    source = np.array([s.names.index(name) for name in s.sources])
    members = np.vstack([chosen] * len(forms))
    powers = np.repeat(forms, len(chosen))
    inside = members[:, source] & (powers[:, None] | straight)
    x, both = centred(s.controls, s.weights), centred(np.column_stack([s.treatment, s.outcome]), s.weights)
    size = np.sqrt(np.einsum("ij,ij->j", x, x))
    x = x / size
    gram, cross = x.T @ x, x.T @ both
    slopes = np.zeros((len(inside), x.shape[1], 2))
    for each, columns in zip(slopes, inside, strict=True):
        each[columns] = np.linalg.solve(gram[np.ix_(columns, columns)], cross[columns])
    base, total = leverage(basis(x)[0], s.weights), float(both[:, 0] @ both[:, 0])
    batch = max(1, BATCH // s.n)
    estimates, errors = [], []
    for start in range(0, len(inside), batch):
        part = slopes[start : start + batch]
        d, y = (both[:, [j]] - x @ part[:, :, j].T for j in (0, 1))
        freedom = s.n - inside[start : start + batch].sum(axis=1) - 2
        found = regress_each(d, y, total, freedom, base, s.clusters)
        estimates.append(found.estimate)
        errors.append(found.standard_error)
    return Curve(members, powers, np.concatenate(estimates), np.concatenate(errors))


def specification_curve(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """The treatment's coefficient under subsets of the controls.

    ``numbers``: the range, the median, how many have the sign of the full specification and exclude zero, and for each
    control the mean estimate with and without it. Worry: a specification with at least half of the controls excludes
    zero on the other side. Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    p = CARD.checked(params)
    s = setting(table, effect)
    if len(s.names) < FEWEST:
        return does_not_apply(CARD, "There are fewer than two controls to choose among.")
    most = p["most"] or int(np.clip(256 * 20_000 / s.n, 32, 256))
    found = curve(s, most, generator(seed, "specification_curve"))
    names = tuple(s.columns(np.flatnonzero(independent(s.controls))).names)
    numbers = _numbers(found, names, effect)
    return Check(
        CARD.name, CARD.title, "worry" if numbers["opposed"] else "pass" if numbers["full_excludes_zero"]
        else "informational",
        worry="With half of the controls or more, some choice of them gives an effect of the other sign, its interval "
              "without zero.",
        saw=_saw(numbers),
        cannot_show=("Choices without a control that matters are biased, so a wide curve is no evidence against the "
                     "full "
                     "choice; and all of them can be biased alike by what nobody measured, so a narrow one is no "
                     "evidence "
                     "for it."),
        numbers=to_plain(numbers), figure=to_plain(_figure(found, names, effect.level)),
    )


def _half(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def _numbers(found: Curve, names: tuple[str, ...], effect: Effect) -> dict[str, Any]:
    full, half = float(found.estimates[0]), _half(effect.level) * found.errors
    side = 1.0 if full >= 0 else -1.0
    clear = np.abs(found.estimates) > half
    same = found.estimates * side > 0
    enough = found.members.sum(axis=1) >= len(names) / 2
    pull = _pull(found)
    most = int(np.argmax(np.abs(pull)))
    return {
        "specifications": len(found.estimates), "controls": len(names), "all": len(found.estimates) >= 2 ** len(names),
        "full": full, "full_excludes_zero": bool(clear[0]), "smallest": float(found.estimates.min()),
        "largest": float(found.estimates.max()), "median": float(np.median(found.estimates)),
        "same_sign": float(same.mean()), "same_sign_excluding_zero": float((same & clear).mean()),
        "opposed": int((enough & clear & ~same).sum()), "matters_most": names[most], "pull": float(pull[most]),
        "pull_size": abs(float(pull[most])),
        "effect": effect.estimate,
    }


def _pull(found: Curve) -> np.ndarray:
    """(K,): mean estimate with each control less that without it."""
    inside = found.members.astype(float)
    counts = inside.sum(axis=0)
    with_it = found.estimates @ inside / counts
    return with_it - (found.estimates.sum() - found.estimates @ inside) / (len(inside) - counts)


def _saw(numbers: dict[str, Any]) -> str:
    size = count(numbers["specifications"], "linear specification")
    ends = " to ".join(number(numbers[end]) for end in ("smallest", "largest"))
    way = "higher" if numbers["pull"] > 0 else "lower"
    text = (f"{'All' if numbers['all'] else 'A sample of'} {size} of {count(numbers['controls'], 'control')} give "
            f"estimates from {ends}, median {number(numbers['median'])}; with all controls it is "
            f"{number(numbers['full'])}. {percent(numbers['same_sign'])} have that sign, and "
            f"{percent(numbers['same_sign_excluding_zero'])} exclude zero on that side. {numbers['matters_most']!r} "
            f"matters most: with it the estimate is {number(numbers['pull_size'])} {way} on average.")
    if numbers["opposed"]:
        text += (f" {count(numbers['opposed'], 'specification')} with at least half of the controls "
                 f"{'excludes' if numbers['opposed'] == 1 else 'exclude'} zero on the other side.")
    return text


def _figure(found: Curve, names: tuple[str, ...], level: float) -> dict[str, Any]:
    order = np.argsort(found.estimates, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), SHOWN)).astype(int))]
    half, pull = _half(level) * found.errors, _pull(found)
    inside = found.members.astype(float)
    with_it = found.estimates @ inside / inside.sum(axis=0)
    return {
        "kind": "specification_curve", "estimates": found.estimates[shown], "low": (found.estimates - half)[shown],
        "high": (found.estimates + half)[shown], "full": found.estimates[0], "specifications": len(order),
        "rows": [{"label": name, "mean_with_it": with_it[k], "mean_without_it": with_it[k] - pull[k]}
                 for k, name in sorted(enumerate(names), key=lambda kn: (-abs(pull[kn[0]]), kn[1]))],
    }

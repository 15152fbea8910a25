"""Proximal causal inference: stand-ins for a hidden cause, two of a kind, in place of the cause itself.

Stand-ins on the treatment's side (Z) do not affect the outcome; the treatment does not affect those on the outcome's
side (W). What Z says of W beyond the treatment is then what the hidden cause says of both, and the outcome's dependence
on it can be taken out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer
from whence.estimation.k_class import overidentified
from whence.estimation.parameters import LEVEL
from whence.estimation.partialled import Partialled
from whence.estimation.prepare import Prepared
from whence.estimation.several_moved import conditional_f
from whence.stats.features import Features, features, independent

STRONG = 10.0  # of the conditional F, the rule of thumb of Staiger and Stock (1997)
SEEN = 0.01  # p-value above which the stand-ins are not seen to go together
LEFT = 1e-8  # share of a column, below which others determine it

CARD = Card(
    name="proximal",
    task="estimation",
    title="Proximal two-stage least squares",
    summary="Adjusts for a hidden cause through stand-ins for it on the treatment's side and on the outcome's.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Given the hidden causes and the controls, the stand-ins on the treatment's side have nothing to do with the "
        "outcome beyond the treatment, and neither the treatment nor they affect those on the outcome's side.",
        "There are no more hidden common causes than stand-ins on the outcome's side, and these respond to every one "
        "of them (completeness): what they do not respond to stays in the answer, and the data cannot show it.",
        "Outcome and the outcome's stand-ins are linear in treatment, hidden causes and controls; the effect is the "
        "same for everybody.",
    ),
    parameters=(LEVEL,),
    output="Effect",
    cost="n k^2 for n rows and k columns of controls and stand-ins.",
    citations=(
        "Tchetgen Tchetgen, Ying, Cui, Shi and Miao (2024), An introduction to proximal causal inference, Statistical "
        "Science 39",
        "Miao, Geng and Tchetgen Tchetgen (2018), Identifying causal effects with proxy variables of an unmeasured "
        "confounder, Biometrika 105",
        "Sanderson and Windmeijer (2016), A weak instrument F-test in linear IV models with multiple endogenous "
        "variables, Journal of Econometrics 190",
    ),
    function="whence.estimation.proximal:proximal",
    strategies=("proximal",),
    quantities=("ATE",),
    roles=("treatment_proxies", "outcome_proxies"),
)


@dataclass(frozen=True)
class _Sides:
    """Controls taken out, rows times the root of their weights. treatment: (n, p), an indicator of each later arm, or
    the dose. made: the outcome, its stand-ins in place of treatments, and the treatment's in place of instruments, the
    treatment taken out of all, too. labels: of the outcome's stand-ins. outcome, stand_ins, others: the outcome, its
    stand-ins and the treatment's, with the treatment in."""

    treatment: np.ndarray
    made: Partialled
    labels: tuple[str, ...]
    outcome: np.ndarray
    stand_ins: np.ndarray
    others: np.ndarray


def proximal(
    data: Prepared, *, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """The treatment's coefficients when the outcome's stand-ins W enter by what treatment, controls and the treatment's
    stand-ins Z say of them.

    First stage: W on A, Z and controls. Second: Y on A, the fitted W and controls (Tchetgen Tchetgen et al. 2024,
    section 4). With D the treatment and W, D^ the same with W fitted, controls taken out, b = (D^'D^)^-1 D^'Y, and
    influence values n (D^'D^)^-1 D^_i (Y_i - D_i b), in which the first stage is allowed for (HC1; CR1 with clusters).
    Each of W has to go together with Z apart from the others, given the treatment (conditional F of Sanderson and
    Windmeijer). Diagnostics name stand-ins by their design columns, which have standard deviation 1.

    Refused: ``proxy_is_treatment``, ``proxy_is_outcome``, ``proxy_constant``, ``too_few_proxies`` (fewer of the
    treatment's stand-ins than of the outcome's), ``proxies_unrelated`` (at 1 %), ``treatment_is_control``,
    ``too_few_rows``, those of the design columns.
    Raises ``WhenceError`` (``missing_role``) without stand-ins on both sides.
    """
    sides = _sides(data)
    if isinstance(sides, Refused):
        return sides
    made = sides.made
    q = np.linalg.qr(made.instruments)[0]
    strength = {name: conditional_f(made, q, j) for j, name in enumerate(sides.labels)}
    weakest = min(strength, key=lambda name: (-strength[name]["p_value"], name))
    if strength[weakest]["p_value"] > SEEN:
        return _unrelated(data, weakest, strength[weakest])
    d = np.column_stack([sides.treatment, sides.stand_ins])
    basis = np.linalg.qr(np.column_stack([sides.treatment, made.instruments]))[0]
    fitted = basis @ (basis.T @ d)
    bread = np.linalg.inv(fitted.T @ fitted)
    slopes = bread @ (fitted.T @ sides.outcome)
    residuals = sides.outcome - d @ slopes
    p, steps = sides.treatment.shape[1], data.treatment.step
    influence = data.n * (fitted @ bread) * residuals[:, None] * np.sqrt(made.factor)
    bridge = slopes[p:]
    diagnostics = {
        "conditional_f": {name: each["f"] for name, each in strength.items()},
        "conditional_p": {name: each["p_value"] for name, each in strength.items()},
        "outcome_on_stand_ins": dict(zip(sides.labels, bridge.tolist(), strict=True)),
        "hidden_cause_p": _none(data, bridge, influence[:, p:]), **_beside(sides, steps),
        **overidentified(made, residuals),
    }
    df = None if data.clusters is not None else np.full(p, made.df)
    return Answer(data, slopes[:p] * steps, influence[:, :p] * steps, df, diagnostics,
                  tuple(_remarks(data, sides, diagnostics)))


def _sides(data: Prepared) -> _Sides | Refused:
    made = _columns(data)
    if isinstance(made, Refused):
        return made
    controls, z_made, w_made = made
    t, root = data.treatment, np.sqrt(data.w)[:, None]
    base = np.column_stack([np.ones(data.n), controls.matrix]) * root
    base = np.linalg.qr(base[:, independent(base, intercept=False)])[0]
    a = np.column_stack([t.codes == j for j in range(1, len(t.arms))] if t.discrete else [t.values]) * root
    width = base.shape[1] + a.shape[1] + w_made.matrix.shape[1] + z_made.matrix.shape[1]
    if data.n <= width + 1:
        return Refused("too_few_rows", f"{data.n:,} rows are too few for {width:,} columns of treatment, controls and "
                       "stand-ins.", {"rows": data.n, "columns": width}, "Use fewer controls or stand-ins.")
    outer = Partialled(a[:, 0], a[:, 0], a, base, None)
    y, a, w, z = (outer.left(v) for v in (data.outcome[:, None] * root, a, w_made.matrix * root, z_made.matrix * root))
    if ((a**2).sum(axis=0) <= LEFT * data.n).any() or not independent(a, intercept=False).all():
        return Refused("treatment_is_control", f"The controls explain {t.name!r} completely.", {"treatment": t.name},
                       "Leave out the controls that determine it.")
    inner = Partialled(y[:, 0], y[:, 0], z, np.column_stack([base, np.linalg.qr(a)[0]]), data.clusters, data.dependence)
    rest = [inner.left(v) for v in (y, w, z)]
    told = _told_apart(data, (y, w, z), rest, (w_made, z_made))
    if isinstance(told, Refused):
        return told
    keep_w, keep_z = told
    rw, rz = rest[1][:, keep_w], rest[2][:, keep_z]
    stood = Partialled(rest[0][:, 0], rw[:, 0], rz / np.sqrt((rz**2).mean(axis=0)), inner.base, data.clusters,
                       data.dependence, rw[:, 1:] if rw.shape[1] > 1 else None)
    labels = tuple(label for label, kept in zip(w_made.labels, keep_w, strict=True) if kept)
    return _Sides(a, stood, labels, y[:, 0], w[:, keep_w], z[:, keep_z])


def _columns(data: Prepared) -> tuple[Features, Features, Features] | Refused:
    """Design columns of the controls, of the treatment's stand-ins and of the outcome's."""
    spec, found = data.spec, []
    for role, names in (("treatment_proxies", spec.treatment_proxies), ("outcome_proxies", spec.outcome_proxies)):
        if not names:
            raise WhenceError("Stand-ins are needed on both sides of the hidden cause.", code="missing_role",
                              value=role, hint=f"Name them in the spec: {role}=(...).")
    for names in (spec.controls, spec.treatment_proxies, spec.outcome_proxies):
        made = features(data.table, names, data.rows)
        if isinstance(made, Refused):
            return made
        if names and not made.matrix.shape[1] and names != spec.controls:
            return Refused("proxy_constant", f"{', '.join(names)} is the same on every row used.",
                           {"columns": list(names)}, "Choose stand-ins that vary.")
        found.append(made)
    return found[0], found[1], found[2]


def _told_apart(
    data: Prepared, whole: tuple[np.ndarray, ...], rest: list[np.ndarray], made: tuple[Features, Features]
) -> tuple[np.ndarray, np.ndarray] | Refused:
    """Which columns of the stand-ins, outcome's and treatment's, go their own ways beside treatment and controls."""
    t, kept = data.treatment.name, []
    for values, left, columns in zip(whole[1:], rest[1:], made, strict=True):
        varies = (left**2).sum(axis=0) > LEFT * np.maximum((values**2).sum(axis=0), LEFT * data.n)
        lost = sorted({source for source, own in zip(columns.sources, varies, strict=True) if not own})
        if lost:
            return Refused("proxy_is_treatment", f"Treatment and controls determine {lost[0]!r}, so it says nothing of "
                           "a hidden cause.", {"columns": lost, "treatment": t}, "Choose other stand-ins.")
        kept.append(independent(left / np.sqrt((left**2).mean(axis=0)), intercept=False))
    for left, keep, columns in zip(rest[1:], kept, made, strict=True):
        basis = np.linalg.qr(left[:, keep])[0]
        off = rest[0][:, 0] - basis @ (basis.T @ rest[0][:, 0])
        if off @ off <= LEFT * (rest[0][:, 0] @ rest[0][:, 0]):
            names = sorted(set(columns.sources))
            return Refused("proxy_is_outcome", f"The stand-ins {', '.join(names)} determine the outcome with treatment "
                           "and controls.", {"columns": names}, "Leave out what the outcome is made of.")
    if kept[1].sum() < kept[0].sum():
        return Refused(
            "too_few_proxies", f"{kept[0].sum()} columns of stand-ins on the outcome's side need as many on the "
            f"treatment's that go their own ways, and there are {kept[1].sum()}.",
            {"outcome_proxies": int(kept[0].sum()), "treatment_proxies": int(kept[1].sum())},
            "Name more stand-ins on the treatment's side, or fewer on the outcome's.",
        )
    return kept[0], kept[1]


def _unrelated(data: Prepared, weakest: str, found: dict[str, float]) -> Refused:
    names = ", ".join(data.spec.treatment_proxies)
    return Refused(
        "proxies_unrelated", f"Given treatment and controls, the data do not show that {names} goes together with "
        f"{weakest}" + (" apart from the other stand-ins" if len(data.spec.outcome_proxies) > 1 else "")
        + f" (F {found['f']:.2f}, p {found['p_value']:.2g}).",
        {"stand_in": weakest, **found}, "If they stood for the same hidden cause they would. Choose other stand-ins; "
        "if there is no hidden cause, strategy='adjustment' needs none.",
    )


def _none(data: Prepared, slopes: np.ndarray, influence: np.ndarray) -> float:
    """p-value that the outcome does not respond to its stand-ins: that no hidden cause is seen through them."""
    from scipy.special import chdtrc

    spread = Answer(data, slopes, influence).covariance
    return float(chdtrc(len(slopes), max(float(slopes @ np.linalg.pinv(spread, hermitian=True) @ slopes), 0.0)))


def _beside(sides: _Sides, step: float) -> dict[str, list[float]]:
    """The treatment's coefficients by least squares: with controls alone, and with all stand-ins as controls."""
    p = sides.treatment.shape[1]
    alone = np.linalg.lstsq(sides.treatment, sides.outcome, rcond=None)[0]
    every = np.column_stack([sides.treatment, sides.stand_ins, sides.others])
    among = np.linalg.lstsq(every, sides.outcome, rcond=None)[0]
    return {"least_squares": (alone * step).tolist(), "stand_ins_as_controls": (among[:p] * step).tolist()}


def _remarks(data: Prepared, sides: _Sides, found: dict[str, Any]) -> Iterator[Remark]:
    k, names = len(sides.labels), (*data.spec.treatment_proxies, *data.spec.outcome_proxies)
    yield Remark(
        "completeness", f"With {k} stand-in{'s' if k > 1 else ''} on the outcome's side at most {k} hidden common "
        f"cause{'s' if k > 1 else ''} can be taken out. How many there are, and whether the stand-ins respond to each, "
        "cannot be seen in the data.", data.spec.outcome_proxies, {"outcome_proxies": k})
    weakest = min(found["conditional_f"], key=lambda name: (found["conditional_f"][name], name))
    if found["conditional_f"][weakest] < STRONG:
        yield Remark("weak_proxies", "The stand-ins on the treatment's side say little of "
                     f"{weakest} (conditional F {found['conditional_f'][weakest]:.1f}, below {STRONG:g}): a part of "
                     "the hidden cause stays in the answer, and the interval may be too narrow.", names,
                     {"conditional_f": found["conditional_f"], "strong": STRONG})
    if found.get("hansen_p", 1.0) < 0.05:
        yield Remark("proxies_disagree", f"The stand-ins on the treatment's side do not agree (Hansen's J, p "
                     f"{found['hansen_p']:.2g}): one of them may affect the outcome or its stand-ins, or there are "
                     "more hidden causes than these can tell.", names, {"p_value": found["hansen_p"]})

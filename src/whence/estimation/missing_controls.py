"""What becomes of rows with a missing control, what that takes for granted, and what is said about it."""

from __future__ import annotations

import numpy as np

from whence.core.result import Refused, Remark
from whence.data.table import Table
from whence.identification.spec import PARTS, Spec

KEEPING = ("rct", "adjustment", "iv")  # strategies whose methods see controls only as design columns
NAMED = 5  # controls named in a sentence


def handling(spec: Spec) -> str:
    """``"drop"``, ``"indicator"`` or ``"impute"``: what the spec asks for, else the second for experiments alone.

    In an experiment a missing value is one more thing known before treatment, whatever made it missing, so keeping
    the rows with an indicator costs nothing and cannot bias (Zhao and Ding 2022). Elsewhere it may hide what decided
    the treatment, so nothing is assumed that was not asked for; nor for parts of an effect, whose mediators nobody
    drew by lot.
    """
    drawn = spec.strategy == "rct" and spec.quantity not in PARTS
    return spec.missing_controls or ("indicator" if drawn else "drop")


def required_controls(spec: Spec) -> tuple[str, ...]:
    """The controls without which a row cannot be used."""
    return spec.controls if handling(spec) == "drop" else ()


def not_available(spec: Spec) -> Refused | None:
    """``missing_controls_not_available`` where the strategy's methods need every value; None elsewhere."""
    if handling(spec) == "drop" or spec.strategy in KEEPING:
        return None
    return Refused(
        "missing_controls_not_available", f"The methods for the strategy {spec.strategy!r} need every control of a "
        "row.", {"strategy": spec.strategy, "missing_controls": spec.missing_controls}, "Use missing_controls='drop'.",
    )


def filled(table: Table, spec: Spec, rows: np.ndarray) -> tuple[Remark, ...]:
    """The remark on ``rows`` (int (n,)) that are used although a control is missing, or nothing."""
    if handling(spec) == "drop":
        return ()
    masks = {name: table.column(name).missing[rows] for name in sorted(spec.controls)}
    gaps = {name: int(mask.sum()) for name, mask in masks.items() if mask.any()}
    if not gaps:
        return ()
    lacking = int(np.logical_or.reduce(list(masks.values())).sum())
    how = ("The mean stands in for it, or no level of a category, and a column that says where it is missing is a "
           "control too.")
    if handling(spec) == "impute":
        how = ("Its value is drawn many times from what else is known of the row, outcome and treatment included, and "
               "the answers are pooled.")
    worst = sorted(gaps.items(), key=lambda g: (-g[1], g[0]))[:NAMED]
    named = ", ".join(f"{name} ({k:,})" for name, k in worst) + (", ..." if len(gaps) > NAMED else "")
    return (Remark(
        "controls_filled", f"{lacking:,} of the {len(rows):,} rows used lack a control: {named}. {how}", tuple(gaps),
        {"rows": lacking, "used": len(rows), "missing": gaps},
    ),)


def assumed(spec: Spec, remarks: tuple[Remark, ...]) -> tuple[str, ...]:
    """What the handling of the missing controls takes for granted, where there were any."""
    if any(r.code == "controls_filled" for r in remarks):
        if handling(spec) == "impute":
            return ("Whether a control is missing depends on nothing but what is known of the row: its outcome, its "
                    "treatment and its other controls; and the regressions from which values are drawn fit.",)
        if spec.strategy == "rct":
            return ("The controls, and which of them are missing, were settled before the treatment.",)
        return ("Where a control is missing, its unknown value has nothing to do with "
                + ("the instruments" if spec.strategy == "iv" else "who was treated")
                + " beyond what the other controls and its being missing tell.",)
    lost = next((r.evidence.get("missing", {}) for r in remarks if r.code == "rows_dropped"), {})
    if not set(lost) & set(spec.controls):
        return ()
    return ("Whether a control is missing does not depend on the outcome, given treatment and controls; the effect is "
            "about people like those with every control.",)

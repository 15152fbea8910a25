"""Rows of a treatment that starts and stays, without units treated from the first period on: the ground of methods
that follow effects from the start."""

from __future__ import annotations

import numpy as np

from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption, adoption
from whence.estimation.prepare import Prepared


def several(found: Adoption) -> bool:
    """Whether most units have several rows in a period, so that they are places or classes and not those followed."""
    if found.in_order:
        return False
    return bool((found.seen > 1).sum() > (found.seen == 1).sum())


def starts_in(found: Adoption) -> np.ndarray:
    """The index of the period in which each unit starts, the number of periods for never, (units,)."""
    return np.searchsorted(found.when, np.where(np.isfinite(found.begins), found.begins, np.inf))


def started(found: Adoption) -> np.ndarray:
    """``starts_in`` of each row's unit, (n,)."""
    return starts_in(found)[found.unit]


def starting(
    data: Prepared, these_are: str, sampled: bool = False
) -> tuple[Prepared, Adoption, tuple[Remark, ...]] | Refused:
    """The rows to use, how treatment comes to them, and remarks.

    these_are: what needs it, in words. sampled: whether rows may be samples of groups. Refused: those of ``adoption``,
    ``treatment_switches``, ``no_unit``, ``repeated_rows`` (a unit twice in a period).
    """
    read = adoption(data)
    if isinstance(read, Refused):
        return read
    found, remarks = read
    refused = _unsuited(data, found, these_are, sampled)
    if refused is not None:
        return refused
    always = found.begins <= found.when[0]
    if not always.any():
        return data, found, remarks
    count, always = int(always.sum()), always[found.unit]
    data = data.take(~always, Remark(
        "always_treated", f"{count:,} units are treated from the first period on and are left out: there is no before "
        "to compare with.", (data.treatment.name,), {"units": count}))
    read = adoption(data)
    return read if isinstance(read, Refused) else (data, *read)


def _unsuited(data: Prepared, found: Adoption, these_are: str, sampled: bool) -> Refused | None:
    name = data.treatment.name
    if found.kind in ("switching", "dose"):
        what = "switches off again" if found.kind == "switching" else "is a dose"
        return Refused("treatment_switches", f"{name!r} {what}; {these_are} for treatments that start and stay.",
                       {"kind": found.kind}, "Use method='switchers' or 'twfe'." if found.kind == "switching" else
                       "Use method='twfe'.")
    if sampled and (found.groups != "units" or several(found)):
        return None
    if found.groups != "units":
        return Refused("no_unit", f"The spec names no unit, and {these_are} for units followed over time.", {},
                       "Name the unit, or use method='group_time' or 'twfe'.")
    twice = data.n - int((found.seen > 0).sum())
    if twice:
        return Refused("repeated_rows", f"{twice:,} rows are a second row of a unit in one period.", {"rows": twice},
                       "Average them first, or name a finer unit; or use method='twfe'.")
    return None

"""Was the treatment assigned by chance? Its independence of what came before, jointly."""

from __future__ import annotations

import numpy as np

from whence.studies.evidence.balance import explained, log_dependence
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.hints import ASSIGNED, TRAIT, hint, said_of
from whence.studies.evidence.sheet import Sheet

MOST = 4.0  # nats: balance is what chance gives, but other things can give it as well
FEWEST_TRAITS = 3


def chance(sheet: Sheet, moved: bool = False) -> tuple[Evidence, ...]:
    """Evidence for or against random assignment from the treatment's independence of the columns before it.

    moved: whether something else, such as an offer, is seen to move the treatment; then it was not itself drawn by lot,
    however balanced. In a small table, balance says little; the Bayes factor knows.
    """
    names = earlier(sheet)
    if not names or sheet.n < 20:
        return ()
    for_all, r2, k = dependence(sheet, names)
    if for_all <= 0 and moved:
        return ()
    if for_all <= 0:
        text = f"The treatment is independent of the {len(names)} columns before it, as chance would make it."
        return (Evidence("rct", min(-for_all, MOST), "data", text, {}, None, "", {"r2": r2, "columns": k}),)
    strength = min(for_all, MOST)
    text = f"The treatment goes with the columns before it (they explain {r2:.1%} of it), so it was not left to chance."
    seen = {"r2": r2, "columns": k}
    # An offer, a cutoff or a policy leaves the treatment dependent as well: only chance is spoken against.
    return (Evidence("rct", -strength, "data", text, {"controls": names}, None, "", seen),)


def earlier(sheet: Sheet) -> tuple[str, ...]:
    """The covariates that balance is judged by: the traits among them where there are some, or else all."""
    names = tuple(n for n in sheet.covariates
                  if hint(said_of(n, sheet.described), ASSIGNED)[0] < 2.5)
    traits = tuple(n for n in names if hint(said_of(n, sheet.described), TRAIT)[0])
    return traits if len(traits) >= FEWEST_TRAITS else names


def dependence(sheet: Sheet, names: tuple[str, ...], target: np.ndarray | None = None) -> tuple[float, float, int]:
    """Log Bayes factor for dependence of ``target`` (the treatment) on ``names``, R squared and columns used."""
    matrix, _ = sheet.matrix(names)
    y = sheet.t if target is None else target
    whole = ~np.isnan(y)
    most = max(1, int(whole.sum()) // 10)
    matrix = matrix[whole][:, :most]
    r2, k = explained(y[whole], matrix)
    return log_dependence(r2, int(whole.sum()), k), r2, k

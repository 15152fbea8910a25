"""The Anderson-Rubin set: every effect that the data do not reject, right however weak the instruments are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.estimation.partialled import Partialled

GRID = 2001


@dataclass(frozen=True)
class AndersonRubin:
    """interval: the smallest that holds the set; None when it is empty. unbounded: the set has no end on one side or
    both. p_value: of no effect. mute: there are too few clusters for the test to reject anything."""

    interval: tuple[float, float] | None
    unbounded: bool
    p_value: float
    mute: bool = False


def anderson_rubin(made: Partialled, level: float) -> AndersonRubin:
    """All b for which the instruments do not predict y - b d, by a robust test (Anderson and Rubin 1949; Chernozhukov
    and Hansen 2008 for the robust form).

    One instrument: the roots of a quadratic. Several: the statistic is a ratio of polynomials in b; the ends of the
    set are bracketed on a grid that reaches to infinity on both sides, then bisected.
    """
    from scipy.special import fdtrc, fdtri

    count, df = made.instruments.shape[1], made.df
    limit = count * float(fdtri(count, df, level))
    form = _Form.of(made)
    p_value = float(fdtrc(count, df, form.statistic(np.array([0.0]), np.array([1.0]))[0] / count))
    unbounded = bool(form.statistic(np.array([1.0]), np.array([0.0]))[0] <= limit)
    if unbounded:
        # The square of a sum over G clusters is at most G times the sum of their squares.
        mute = made.clusters is not None and made.dependence is None and \
            len(np.unique(made.clusters)) / made.factor <= limit
        return AndersonRubin(None, unbounded, p_value, mute)
    return AndersonRubin(_roots(form, limit) if count == 1 else _search(made, form, limit), unbounded, p_value)


@dataclass(frozen=True)
class _Form:
    """The sums behind the test of zero mean of ``a y - b d``: totals (L,) of the scores and the covariances (L, L) of
    these totals."""

    y: np.ndarray
    d: np.ndarray
    yy: np.ndarray
    yd: np.ndarray
    dd: np.ndarray

    @staticmethod
    def of(made: Partialled) -> _Form:
        y, d = (made.instruments * values[:, None] for values in (made.outcome, made.treatment))
        all_products, count = made.products(np.column_stack([y, d])), y.shape[1]
        yy, cross, dd = all_products[:count, :count], all_products[:count, count:], all_products[count:, count:]
        return _Form(y.sum(axis=0), d.sum(axis=0), yy, cross + cross.T, dd)

    def statistic(self, b: np.ndarray, a: np.ndarray) -> np.ndarray:
        """For arrays (m,) of both; a = 0 is the limit of large b."""
        a, b = a[:, None], b[:, None]
        total = a * self.y - b * self.d
        spread = (a**2)[:, :, None] * self.yy - (a * b)[:, :, None] * self.yd + (b**2)[:, :, None] * self.dd
        return np.einsum("ij,ijk,ik->i", total, np.linalg.pinv(spread, hermitian=True), total)


def _roots(form: _Form, limit: float) -> tuple[float, float]:
    """(sum y - b sum d)^2 = limit sum (y - b d)^2, solved for b."""
    y, d, yy, yd, dd = (float(v.ravel()[0]) for v in (form.y, form.d, form.yy, form.yd, form.dd))
    lead, half, last = d * d - limit * dd, y * d - limit * yd / 2, y * y - limit * yy
    width = np.sqrt(max(half**2 - lead * last, 0.0))
    return (half - width) / lead, (half + width) / lead


def _search(made: Partialled, form: _Form, limit: float) -> tuple[float, float] | None:
    """The outermost ends of the set on a tangent grid around the two-stage estimate."""
    q, _ = np.linalg.qr(made.instruments)
    along = q.T @ made.treatment
    centre = float(along @ (q.T @ made.outcome) / (along @ along))
    rest = made.outcome - centre * made.treatment
    spread = np.sqrt(made.factor * float(rest @ rest) / len(rest) / float(along @ along))

    def outside(angles: np.ndarray) -> np.ndarray:
        return form.statistic(centre * np.cos(angles) + spread * np.sin(angles), np.cos(angles)) > limit

    angles = np.linspace(-np.pi / 2, np.pi / 2, GRID + 2)
    inside = np.flatnonzero(~outside(angles))
    if not len(inside):
        return None
    ends = []
    for at, out in ((inside[0], -1), (inside[-1], 1)):
        within, beyond = angles[at], angles[at + out]
        for _ in range(60):
            middle = (within + beyond) / 2
            within, beyond = (within, middle) if outside(np.array([middle]))[0] else (middle, beyond)
        ends.append(float(centre + spread * np.tan(within)))
    return ends[0], ends[1]

"""Standard errors and instrument estimates beside statsmodels, linearmodels, pyfixest and wildboottest.

    python bench/errors.py [--tables 10]

Runs what can be imported, on random tables: numbers and a category among the controls, unequal variances, clusters of
unequal size and a second grouping. Prints the largest relative difference of each number over the tables. Where a
definition differs, the peer is told ours, or the line says what differs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import numpy as np

from whence.data.table import Column, Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

warnings.filterwarnings("ignore")
Numbers = Iterator[tuple[str, float, float]]  # what, ours, theirs
CONTROLS = ("a", "b", "k")
OLS = Spec("adjustment", ("d",), ("y",), controls=CONTROLS)
IV = Spec("iv", ("d",), ("y",), controls=CONTROLS, instruments=("z0", "z1", "z2"))
LINEAR = {"degree": 1, "interactions": False}
KINDS = {"HC0": "HC0", "HC1": "HC1", "HC2": "HC2", "HC3": "HC3"}


def drawn(seed: int, n: int = 400) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    g, h = np.sort(rng.integers(0, 25, n)), rng.integers(0, 18, n)
    shared = rng.standard_normal(25)[g] + 0.5 * rng.standard_normal(18)[h]
    a, b, hidden = rng.standard_normal((3, n))
    z = rng.standard_normal((3, n)) + 0.4 * rng.standard_normal((3, 25))[:, g]
    k = rng.integers(0, 4, n)
    d = z.sum(axis=0) * 0.4 + 0.5 * a + 0.3 * (k == 2) + hidden + 0.3 * shared + rng.standard_normal(n)
    y = 0.7 * d + a - 0.4 * b + 0.5 * (k == 1) + hidden + shared + rng.standard_normal(n) * (0.5 + np.abs(b))
    return {"y": y, "d": d, "a": a, "b": b, "k": k, "g": g, "h": h, "z0": z[0], "z1": z[1], "z2": z[2]}


def table_of(columns: dict[str, np.ndarray]) -> Table:
    made = {name: Column(name, "continuous", v.astype(float)) for name, v in columns.items() if name not in "kgh"}
    for name in "kgh":
        levels, codes = np.unique(columns[name], return_inverse=True)
        made[name] = Column(name, "categorical", codes.astype(np.int32), tuple(levels.tolist()))
    return Table(MappingProxyType(made), len(columns["y"]))


def ours(table: Table, spec: Spec, **params: Any) -> Effect:
    found = estimate(table, spec, "iv" if spec.strategy == "iv" else "regression", **params)
    assert isinstance(found, Effect), found
    return found


def exogenous(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Intercept, controls and dummies (n, 6)."""
    dummies = (columns["k"][:, None] == np.arange(1, 4)).astype(float)
    return np.column_stack([np.ones(len(columns["y"])), columns["a"], columns["b"], dummies])


def by_statsmodels(columns: dict[str, np.ndarray], table: Table) -> Numbers:
    import statsmodels.api as sm
    from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

    model = sm.OLS(columns["y"], np.column_stack([columns["d"], exogenous(columns)]))
    for kind in KINDS:
        mine, fit = ours(table, OLS, covariance=kind, **LINEAR), model.fit(cov_type=kind, use_t=True)
        yield "least squares, estimate", mine.estimate, float(fit.params[0])
        yield f"least squares, {kind}", mine.standard_error, float(fit.bse[0])
        yield f"least squares, {kind}, upper end", mine.interval[1], float(fit.conf_int()[0, 1])
    one = {c: model.fit(cov_type="cluster", cov_kwds={"groups": columns[c]}) for c in "gh"}
    mine = ours(table, OLS.replace(cluster="g"), covariance="CR1", **LINEAR)
    yield "least squares, CR1", mine.standard_error, float(one["g"].bse[0])
    two = float(cov_cluster_2groups(model.fit(), columns["g"], columns["h"])[0][0, 0])
    mine = ours(table, OLS.replace(cluster="g"), covariance="two_way", also_cluster="h", **LINEAR)
    both = max(two, *(float(f.bse[0]) ** 2 for f in one.values()))  # ours is never below either one-way error
    yield "least squares, two-way", mine.standard_error, both**0.5


def by_pyfixest(columns: dict[str, np.ndarray], table: Table) -> Numbers:
    import pandas as pd
    import pyfixest

    frame, formula = pd.DataFrame(columns), "y ~ d + a + b + C(k)"
    plain = pyfixest.ssc(k_adj=False, G_adj=False)  # by default theirs has (n - 1) / (n - k) with HC2, HC3 and CR3 too
    for kind, vcov, cluster, factors in (
        ("HC1", "HC1", None, {}), ("HC2", "HC2", None, {"ssc": plain}), ("HC3", "HC3", None, {"ssc": plain}),
        ("CR1", {"CRV1": "g"}, "g", {}), ("CR3", {"CRV3": "g"}, "g", {"ssc": plain}),
    ):
        mine = ours(table, OLS.replace(cluster=cluster), covariance=kind, **LINEAR)
        error = float(pyfixest.feols(formula, frame, vcov=vcov, **factors).se()["d"])
        groups = len(np.unique(columns["g"]))
        yield f"least squares, {kind}", mine.standard_error, error * (
            np.sqrt((groups - 1) / groups) if kind == "CR3" else 1.0)  # theirs is the sum, ours the jackknife
    for kind, vcov, cluster in (("HC1", "HC1", None), ("CR1", {"CRV1": "g"}, "g")):
        mine = ours(table, IV.replace(cluster=cluster, instruments=("z0",)), covariance=kind, interval="wald")
        fit = pyfixest.feols("y ~ a + b + C(k) | d ~ z0", frame, vcov=vcov)
        yield "2SLS, one instrument", mine.estimate, float(fit.coef()["d"])
        yield f"2SLS, one instrument, {kind}", mine.standard_error, float(fit.se()["d"])


def by_linearmodels(columns: dict[str, np.ndarray], table: Table) -> Numbers:
    from linearmodels.iv import IV2SLS, IVGMM, IVLIML

    n, x = len(columns["y"]), exogenous(columns)
    z = np.column_stack([columns[f"z{j}"] for j in range(3)])
    made = {"2sls": IV2SLS(columns["y"], x, columns["d"], z), "liml": IVLIML(columns["y"], x, columns["d"], z),
            "fuller": IVLIML(columns["y"], x, columns["d"], z, fuller=1)}
    for name, model in made.items():
        for kind, cluster, options in (("HC1", None, {"cov_type": "robust"}),
                                       ("CR1", "g", {"cov_type": "clustered", "clusters": columns["g"]})):
            mine = ours(table, IV.replace(cluster=cluster), estimator=name, covariance=kind, interval="wald")
            fit = model.fit(debiased=True, **options)
            yield f"{name}, estimate", mine.estimate, float(fit.params.iloc[-1])
            differs = "" if name == "2sls" else " (theirs scores with the first stage, ours with the k-class)"
            yield f"{name}, {kind}{differs}", mine.standard_error, float(fit.std_errors.iloc[-1])
            if differs:
                yield f"{name}, {kind}, their scores by hand", _first_stage_scores(
                    columns, model._estimate_kappa() - (name == "fuller") / (n - 9), cluster), float(
                    fit.std_errors.iloc[-1])
    mine, fit = ours(table, IV), made["2sls"].fit(cov_type="unadjusted")
    yield "partial R2 of the first stage", mine.diagnostics["partial_r2"], float(
        fit.first_stage.diagnostics["partial.rsquared"].iloc[0])
    gmm = IVGMM(columns["y"], x, columns["d"], z, weight_type="robust").fit()
    yield "Hansen's J, p", mine.diagnostics["hansen_p"], float(gmm.j_stat.pval)


def _first_stage_scores(columns: dict[str, np.ndarray], kappa: float, cluster: str | None) -> float:
    """The k-class error whose scores are residuals times what the first stage fits, not times the k-class regressor."""
    x = np.column_stack([exogenous(columns), columns["d"]])
    z = np.column_stack([exogenous(columns), *(columns[f"z{j}"] for j in range(3))])
    fitted = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    mixed, n = (1 - kappa) * x + kappa * fitted, len(x)
    bread = np.linalg.inv(mixed.T @ x)
    scores = fitted * (columns["y"] - x @ (bread @ (mixed.T @ columns["y"])))[:, None]
    factor = n / (n - x.shape[1])
    if cluster is not None:
        scores = np.array([scores[columns[cluster] == g].sum(axis=0) for g in np.unique(columns[cluster])])
        factor = len(scores) / (len(scores) - 1) * (n - 1) / (n - x.shape[1])
    return float(np.sqrt(factor * (bread @ scores.T @ scores @ bread.T)[-1, -1]))


def by_wildboottest(columns: dict[str, np.ndarray], table: Table) -> Numbers:
    """Ours is WCR-S, theirs of that name "31". Both draw, so p-values agree to their Monte Carlo error."""
    from wildboottest.wildboottest import WildboottestCL

    x = np.column_stack([columns["d"], exogenous(columns)])
    shifted = columns["y"] - (ours(table, OLS, **LINEAR).estimate - 0.15) * columns["d"]
    moved = table_of(columns | {"y": shifted})
    mine = ours(moved, OLS.replace(cluster="g"), covariance="wild", bootstrap_draws=99_999, **LINEAR)
    theirs = WildboottestCL(X=x, Y=shifted, cluster=columns["g"], R=np.eye(7)[0], B=99_999, seed=1)
    theirs.get_scores(bootstrap_type="31", impose_null=True)
    theirs.get_weights(weights_type="rademacher")
    theirs.get_numer(), theirs.get_denom(), theirs.get_tboot(), theirs.get_vcov(), theirs.get_tstat()
    theirs.get_pvalue(pval_type="two-tailed")
    spread = (2 * mine.p_value * (1 - mine.p_value) / 99_999) ** 0.5
    yield "wild cluster bootstrap, p-values, in Monte Carlo errors", 1 + (mine.p_value - theirs.pvalue) / spread, 1.0


PEERS: dict[str, Callable[[dict[str, np.ndarray], Table], Numbers]] = {
    "statsmodels": by_statsmodels, "pyfixest": by_pyfixest, "linearmodels": by_linearmodels,
    "wildboottest": by_wildboottest,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", type=int, default=10)
    tables = parser.parse_args().tables
    for name, compare in PEERS.items():
        worst: dict[str, float] = {}
        try:
            for seed in range(tables):
                columns = drawn(seed)
                with contextlib.redirect_stdout(io.StringIO()):
                    pairs = list(compare(columns, table_of(columns)))
                for what, mine, theirs in pairs:
                    worst[what] = max(worst.get(what, 0.0), abs(mine - theirs) / abs(theirs))
        except ImportError as missing:
            print(f"{name}: not here ({missing})")
            continue
        for what, gap in worst.items():
            print(f"{name:13s} {what:76s} {gap:.1e}")


if __name__ == "__main__":
    main()

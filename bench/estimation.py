"""CPU time and memory of double machine learning, checks and placebos, beside DoubleML, EconML and DoWhy.

    python bench/estimation.py [--python PATH ...] [--runs 7] [--only NAME ...]

``--python`` names interpreters of environments that have doubleml, econml or dowhy; each library is run in the first
that can import it, alternately with ours, on one thread. Times are process CPU seconds, the least of the runs, from a
table (for the peers: a data frame) in memory to the answer with its standard error. Memory is the peak above what the
imports took.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

N, P = 10_000, 20

# What a peer's process runs: one task by name for each line it reads, and the CPU seconds and estimate as JSON.
PEER = r'''
import contextlib, io, json, logging, os, sys, time, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.CRITICAL)
import numpy as np, pandas as pd
library, out = sys.argv[1], sys.stdout
def data(n, p, binary):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p)); push = x @ np.linspace(1, 0, p) / 2
    d = (rng.random(n) < 1 / (1 + np.exp(-push))).astype(float) if binary else push + rng.normal(size=n)
    return x, d, d + x @ np.linspace(1, 0, p) + rng.normal(size=n)
if library == "doubleml":
    import doubleml
    from sklearn.linear_model import LinearRegression
elif library == "econml":
    from econml.dml import LinearDML
    from sklearn.linear_model import LinearRegression
elif library == "dowhy":
    import dowhy
def doubleml_plr(n, p):
    x, d, y = data(n, p, False)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(p)]).assign(d=d, y=y)
    start = time.process_time()
    held = doubleml.DoubleMLData(frame, "y", "d")
    model = doubleml.DoubleMLPLR(held, LinearRegression(), LinearRegression(), n_folds=5)
    model.fit()
    return time.process_time() - start, float(model.coef[0])
def econml_plr(n, p):
    x, d, y = data(n, p, False)
    start = time.process_time()
    model = LinearDML(model_y=LinearRegression(), model_t=LinearRegression(), cv=5, random_state=0)
    model.fit(y, d, X=None, W=x)
    low, high = model.effect_interval(T0=0, T1=1)
    return time.process_time() - start, float(np.ravel(low + high)[0] / 2)
def dowhy_checks(n, p):
    x, d, y = data(n, p, True)
    names = [f"x{j}" for j in range(p)]
    frame = pd.DataFrame(x, columns=names).assign(d=d.astype(bool), y=y)
    start = time.process_time()
    model = dowhy.CausalModel(frame, "d", "y", common_causes=names)
    found = model.identify_effect(proceed_when_unidentifiable=True)
    effect = model.estimate_effect(found, method_name="backdoor.linear_regression", test_significance=True)
    for name, more in (("random_common_cause", {}), ("placebo_treatment_refuter", {"placebo_type": "permute"}),
                       ("data_subset_refuter", {}), ("bootstrap_refuter", {}), ("dummy_outcome_refuter", {})):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            model.refute_estimate(found, effect, method_name=name, **more)
    return time.process_time() - start, float(effect.value)
for line in sys.stdin:
    name, n, p = json.loads(line)
    with contextlib.redirect_stdout(io.StringIO()):
        answer = globals()[name](n, p)
    out.write(json.dumps(answer) + "\n"); out.flush()
'''


def sample(n: int, p: int, binary: bool) -> tuple[Any, Any]:
    """Table and spec: effect 1 of d on y, linear in p controls. The peers draw the same numbers."""
    from whence.data.load import read
    from whence.identification.spec import Spec

    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p))
    push = x @ np.linspace(1, 0, p) / 2
    d = (rng.random(n) < 1 / (1 + np.exp(-push))).astype(float) if binary else push + rng.normal(size=n)
    y = d + x @ np.linspace(1, 0, p) + rng.normal(size=n)
    names = [f"x{j}" for j in range(p)]
    table = read({"d": d, "y": y, **dict(zip(names, x.T, strict=True))}, kinds={"d": "binary"} if binary else {})
    return table, Spec("adjustment", ("d",), ("y",), controls=tuple(names))


def seconds(work: Callable[..., Any], *given: Any, **named: Any) -> float:
    start = time.process_time()
    work(*given, **named)
    return time.process_time() - start


class Peer:
    """A library in a process of its own."""

    def __init__(self, library: str, pythons: list[str]) -> None:
        self.process = None
        for python in pythons:
            probe = subprocess.run([python, "-c", f"import {library}"], capture_output=True)
            if probe.returncode == 0:
                self.process = subprocess.Popen([python, "-c", PEER, library], stdin=subprocess.PIPE,
                                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                return

    def run(self, task: str, n: int, p: int) -> tuple[float, float]:
        assert self.process and self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([task, n, p]) + "\n")
        self.process.stdin.flush()
        return tuple(json.loads(self.process.stdout.readline()))


def plr_linear(pythons: list[str], runs: int) -> None:
    from whence.estimation.crossfit import SHARED
    from whence.estimation.estimate import estimate

    table, spec = sample(N, P, False)
    _ = table.hash
    peers = {name: Peer(name, pythons) for name in ("doubleml", "econml")}
    ours, again, theirs = [], [], {name: [] for name, peer in peers.items() if peer.process}
    learners = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
    for run in range(runs + 1):
        SHARED.clear()
        ours.append(seconds(estimate, table, spec, "partially_linear", run, **learners))
        again.append(seconds(estimate, table, spec, "partially_linear", run, **learners))
        for name in theirs:
            theirs[name].append(peers[name].run(f"{name}_plr", N, P)[0])
    print(f"partially linear, linear nuisances, {N:,} x {P}: ours {1000 * min(ours):.1f} ms, asked again "
          f"{1000 * min(again):.1f} ms")
    for name, spent in theirs.items():
        print(f"    {name} {1000 * min(spent):.1f} ms: ours takes {min(ours) / min(spent):.2f} of that")


def boosting(pythons: list[str], runs: int) -> None:
    """Partially linear model and AIPW with boosted trees, and what scikit-learn's fits and predictions take of that."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    from whence.estimation.crossfit import SHARED
    from whence.estimation.estimate import estimate

    for method, binary in (("partially_linear", False), ("aipw", True)):
        table, spec = sample(N, P, binary)
        given: dict[str, Any] = {"outcome_learner": "boosting", "treatment_learner": "boosting", "n_splits": 1}
        ours, fits = [], []
        for run in range(max(2, runs // 2)):
            SHARED.clear()
            spent = 0.0

            def timed(original: Callable[..., Any]) -> Callable[..., Any]:
                def call(*inside: Any, **named: Any) -> Any:
                    nonlocal spent
                    start = time.process_time()
                    answer = original(*inside, **named)
                    spent += time.process_time() - start
                    return answer

                return call

            kept = {}
            for kind, names in ((HistGradientBoostingRegressor, ("fit", "predict", "staged_predict")),
                                (HistGradientBoostingClassifier, ("fit", "predict_proba", "staged_predict_proba"))):
                for name in names:
                    kept[kind, name] = original = getattr(kind, name)
                    # A generator is used up inside, so that its work is counted.
                    setattr(kind, name, timed(original if "staged" not in name else
                                              lambda *a, of=original: list(of(*a))))
            whole = seconds(estimate, table, spec, method, run, **given)
            for (kind, name), original in kept.items():
                setattr(kind, name, original)
            ours.append(whole)
            fits.append(spent)
        best = int(np.argmin(ours))
        print(f"{method}, boosting, {N:,} x {P}: {ours[best]:.2f} s, of which scikit-learn's fits and predictions "
              f"{fits[best]:.2f} s: {min(o / f for o, f in zip(ours, fits, strict=True)):.3f}")


def checks(pythons: list[str], runs: int) -> None:
    from whence.checks.run import check
    from whence.estimation.estimate import estimate

    five = ("placebo", "dropped", "robustness", "balance", "overlap")
    peer = Peer("dowhy", pythons)
    for n, p in ((1_000, 5), (10_000, 20)):
        table, spec = sample(n, p, True)
        _ = table.hash
        ours, theirs, count = [], [], 0

        def work(table: Any = table, spec: Any = spec) -> None:
            check(table, estimate(table, spec, "regression"), five)

        for _ in range(max(2, runs // 2)):
            ours.append(seconds(work))
            if peer.process:
                theirs.append(peer.run("dowhy_checks", n, p)[0])
        count = len(five)
        print(f"estimate and {count} checks, {n:,} x {p}: ours {min(ours):.3f} s" + (
            f", dowhy {min(theirs):.2f} s: {min(theirs) / min(ours):.0f} times" if theirs else ""))


def placebo(pythons: list[str], runs: int) -> None:
    from whence.checks.placebo import placebos

    for n, p in ((1_000, 20), (10_000, 20)):
        table, spec = sample(n, p, True)
        x = np.column_stack([table.numeric(name) for name in spec.controls])
        y, d = table.numeric("y"), table.numeric("d")
        spent = [seconds(placebos, y, d, x, 1_000, np.random.default_rng(0)) for _ in range(runs)]
        print(f"1,000 placebo replicates, {n:,} x {p}: {min(spent):.3f} s")


LARGE = """
import resource, sys, time, numpy as np, scipy.special, scipy.optimize
from types import MappingProxyType
from whence.data.table import Column, Table
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
from whence.core.registry import methods; methods("estimation")
before = peak()
rng, n, p = np.random.default_rng(0), 1_000_000, 50
columns = {f"x{j}": rng.normal(size=n) for j in range(p)}
push = sum(columns[f"x{j}"] for j in range(5)) / 4
t = rng.random(n) < 1 / (1 + np.exp(-push))
columns["y"] = t + push + rng.normal(size=n)
made = {name: Column(name, "continuous", values) for name, values in columns.items()}
made["t"] = Column("t", "binary", t.astype(np.int32), (0, 1))
table = Table(MappingProxyType(made), n)
held = peak()
start = time.process_time()
e = estimate(table, Spec("adjustment", ("t",), ("y",), controls=tuple(f"x{j}" for j in range(p))), sys.argv[1],
             outcome_learner="linear", treatment_learner="linear", n_splits=1)
print(f"1,000,000 x 50, {sys.argv[1]}, linear nuisances: {time.process_time() - start:.1f} s, peak "
      f"{peak() - before:,.0f} MB above import, of which the table {held - before:,.0f}; "
      f"{e.estimate:.4f} ({e.standard_error:.4f})")
"""


def large(pythons: list[str], runs: int) -> None:
    for method in ("aipw", "partially_linear"):
        subprocess.run([sys.executable, "-c", LARGE, method], check=True)


TASKS: dict[str, Callable[[list[str], int], None]] = {
    "plr_linear": plr_linear, "boosting": boosting, "checks": checks, "placebo": placebo, "large": large,
}


def main() -> None:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if not threads.items() <= os.environ.items():  # read once, when NumPy is imported
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | threads)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="*", default=[], help="interpreters that have the peers")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", nargs="*", default=list(TASKS), choices=list(TASKS))
    given = parser.parse_args()
    for name in given.only:
        TASKS[name](given.python, given.runs)
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()

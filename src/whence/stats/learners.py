"""Learners of a mean or of class probabilities, by name or as scikit-learn objects.

A learner is a pair of functions from training arrays and new rows to predictions. scikit-learn is
imported when a learner that needs it runs. Every fit uses one OpenMP thread, so that its answer does
not depend on how many there are.
"""

from __future__ import annotations

import inspect
import pickle
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.stats import boosting
from whence.stats.boosting import MANY_ROWS as MANY_ROWS
from whence.stats.foldwise import Rows, least_squares, logistic, ridge, ridge_logistic
from whence.stats.logit import multinomial
from whence.stats.one_thread import one_thread
from whence.stats.regress import ols

# (features, target, weights, new features, seed) -> predictions (m,), or probabilities (m, classes)
Numbers = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
Classes = Callable[[np.ndarray, np.ndarray, int, np.ndarray, np.ndarray, int], np.ndarray]
# (rows by fold, target) -> out-of-fold predictions (n,), or with the number of classes (n, classes); None: not this way
NumbersByFold = Callable[[Rows, np.ndarray], np.ndarray | None]
ClassesByFold = Callable[[Rows, np.ndarray, int], np.ndarray | None]

SMALL_PENALTY = 0.01  # keeps logit nuisances finite under separation; nothing to a fit that is finite anyway
LONG = 20_000  # steps of coordinate descent and of stochastic gradients, which end far earlier where they can
CLOSE = 1e-4  # Newton converges quadratically: the step after this one would be about its square


@dataclass(frozen=True)
class Learner:
    """name: for people and for caches. degree: of the features it wants (2 adds squares, 0 is for trees).

    numbers: fits a mean and predicts it. classes: fits probabilities of classes 0 .. k - 1; None when the
    learner cannot. numbers_by_fold, classes_by_fold: the same for all folds at once, where there is a shorter way.
    Two learners are the same one when all of these are.
    """

    name: str
    degree: int
    numbers: Numbers | None
    classes: Classes | None
    numbers_by_fold: NumbersByFold | None = None
    classes_by_fold: ClassesByFold | None = None


def _with_intercept(x: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(x)), x])


def linear_numbers(x: np.ndarray, y: np.ndarray, w: np.ndarray, new: np.ndarray, seed: int) -> np.ndarray:
    """Least squares."""
    return _with_intercept(new) @ ols(_with_intercept(x), y, w).coefficients


def linear_classes(
    x: np.ndarray, codes: np.ndarray, k: int, w: np.ndarray, new: np.ndarray, seed: int
) -> np.ndarray:
    """(Multinomial) logit with a penalty of 0.01 on the squared coefficients."""
    present, compact = np.unique(codes, return_inverse=True)
    out = np.zeros((len(new), k))
    if len(present) == 1:
        out[:, present[0]] = 1.0
        return out
    fit = multinomial(_with_intercept(x), compact, len(present), w, SMALL_PENALTY, CLOSE)
    eta = np.column_stack([np.zeros(len(new)), _with_intercept(new) @ fit.coefficients])
    p = np.exp(eta - eta.max(axis=1, keepdims=True))
    out[:, present] = p / p.sum(axis=1, keepdims=True)
    return out


def linear_classes_by_fold(rows: Rows, codes: np.ndarray, k: int) -> np.ndarray | None:
    """As ``linear_classes``, for all folds at once."""
    return logistic(rows, codes, k, SMALL_PENALTY)


def _sklearn(make: Callable[[int, int], Any]) -> Callable[..., np.ndarray]:
    """A learner's function from ``make(rows, seed)``, an unfitted scikit-learn estimator."""

    def predict(x: np.ndarray, target: np.ndarray, *rest: Any) -> np.ndarray:
        *classes, w, new, seed = rest
        return fit_predict(make(len(x), seed), x, target, w, new, classes[0] if classes else None)

    return predict


def _lasso_numbers(rows: int, seed: int) -> Any:
    from sklearn.linear_model import LassoCV
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Tables often come sorted, so the inner folds are shuffled.
    return make_pipeline(StandardScaler(), LassoCV(cv=KFold(5, shuffle=True, random_state=seed), max_iter=LONG))


def _penalised_classes(l1_ratio: float) -> Classes:
    """A logit on standardised columns, its penalty chosen by inner folds that all hold every class."""

    def predict(x: np.ndarray, codes: np.ndarray, k: int, w: np.ndarray, new: np.ndarray, seed: int) -> np.ndarray:
        seen = np.bincount(codes)
        inner = min(5, int(seen[seen > 0].min()))
        return fit_predict(_penalised_logit(l1_ratio, inner, seed), x, codes, w, new, k)

    return predict


def _penalised_logit(l1_ratio: float, inner: int, seed: int) -> Any:
    """An unfitted logit; with fewer than two inner folds the penalty is as much as one row's information (C = 1)."""
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    common: dict[str, Any] = {"solver": "saga", "max_iter": LONG, "tol": 1e-3, "random_state": seed}
    # Releases before 1.8 spell the mixture of penalties out.
    known = inspect.signature(LogisticRegressionCV).parameters
    newer = "use_legacy_attributes" in known
    common |= {} if newer else {"penalty": "elasticnet"}
    if inner < 2:
        return make_pipeline(StandardScaler(), LogisticRegression(l1_ratio=l1_ratio, **common))
    common |= {"l1_ratios": [l1_ratio]} | ({"use_legacy_attributes": False} if newer else {})
    cv = StratifiedKFold(inner, shuffle=True, random_state=seed)
    return make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=8, cv=cv, scoring="neg_log_loss", **common))


def _ridge_numbers(rows: int, seed: int) -> Any:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-3, 4, 15)))


def _lightgbm(kind: str) -> Callable[[int, int], Any]:
    def make(rows: int, seed: int) -> Any:
        try:
            import lightgbm  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise WhenceError(
                "The learner 'lightgbm' needs the package lightgbm, which is not installed.", code="not_installed",
                value="lightgbm", allowed=NAMES, hint="pip install lightgbm, or use 'boosting'.",
            ) from None
        few = rows < MANY_ROWS
        return getattr(lightgbm, kind)(
            learning_rate=0.1, n_estimators=50 if few else 150, num_leaves=6 if few else 15, min_child_samples=20,
            reg_lambda=1.0, random_state=seed, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1,
        )

    return make


LEARNERS: dict[str, Learner] = {
    "linear": Learner("linear", 1, linear_numbers, linear_classes, least_squares, linear_classes_by_fold),
    "quadratic": Learner("quadratic", 2, linear_numbers, linear_classes, least_squares, linear_classes_by_fold),
    "boosting": Learner("boosting", 0, _sklearn(boosting.boosted_numbers), _sklearn(boosting.boosted_classes),
                        boosting.numbers_by_fold, boosting.classes_by_fold),
    "lasso": Learner("lasso", 2, _sklearn(_lasso_numbers), _penalised_classes(1.0)),
    "ridge": Learner("ridge", 2, _sklearn(_ridge_numbers), _penalised_classes(0.0), ridge, ridge_logistic),
    "lightgbm": Learner("lightgbm", 0, _sklearn(_lightgbm("LGBMRegressor")), _sklearn(_lightgbm("LGBMClassifier"))),
}
# "auto" stacks these: a straight line, a parabola, a parabola shrunk, and steps with interactions.
STACKED = ("linear", "quadratic", "ridge", "boosting")
NAMES = ("auto", *LEARNERS)


def candidates(given: Any, rows: int, columns: int, squares: bool = True) -> tuple[Learner, ...]:
    """The learners behind a name or an object; several are to be stacked.

    rows: the fewest rows a fit will see; columns: of the design with squares, intercept included;
    squares: whether that design differs from the one without.
    ``"auto"`` leaves out the quadratic fit below 5 rows per column and boosting below 100 rows, where they
    only add noise, and both when there is nothing to learn from; ridge joins below 30 rows per column.
    Raises ``WhenceError`` (``unknown_learner``).
    """
    if given == "auto":
        names = ["linear"]
        names += ["quadratic"] if squares and columns > 1 and rows >= 5 * columns else []
        names += ["ridge"] if columns > 1 and rows < 30 * columns else []
        names += ["boosting"] if columns > 1 and rows >= 100 else []
        return tuple(LEARNERS[name] for name in names)
    if isinstance(given, str):
        if given not in LEARNERS:
            raise unknown_name("learner", given, NAMES, code="unknown_learner")
        return (LEARNERS[given],)
    return (from_object(given),)


def from_object(estimator: Any) -> Learner:
    """A learner from an object with scikit-learn's ``fit`` and ``predict`` (or ``predict_proba``).

    The same object in the same state gives the same learner, so that its fits can be remembered. Later changes to the
    object do not change the learner.
    """
    try:
        state = pickle.dumps(estimator)
        with _LOCK:
            before, learner = _OBJECTS.get(estimator, (b"", None))
            if learner is None or before != state:
                learner = _learner_of(estimator)
                _OBJECTS[estimator] = (state, learner)
            return learner
    except Exception:  # what cannot be pickled, hashed or referred to weakly is a learner of its own every time
        return _learner_of(estimator)


_OBJECTS: weakref.WeakKeyDictionary[Any, tuple[bytes, Learner]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def _learner_of(estimator: Any) -> Learner:
    pattern = _unfitted(estimator)

    def make(rows: int, seed: int) -> Any:
        fresh = _unfitted(pattern)
        if hasattr(fresh, "get_params") and fresh.get_params().get("random_state", seed) is None:
            fresh.set_params(random_state=seed)
        return fresh

    classifies = hasattr(estimator, "predict_proba")
    name = " ".join(repr(estimator).split())
    fit = _sklearn(make)
    return Learner(name, 1, None if classifies else fit, fit if classifies else None)


def _unfitted(estimator: Any) -> Any:
    import copy

    from sklearn.base import clone

    return clone(estimator) if hasattr(estimator, "get_params") else copy.deepcopy(estimator)


def fit_predict(
    estimator: Any, x: np.ndarray, target: np.ndarray, w: np.ndarray, new: np.ndarray, k: int | None
) -> np.ndarray:
    """Fit on (x, target) and predict ``new``: numbers (m,) when ``k`` is None, else probabilities (m, k)."""
    if x.shape[1] == 0 or (k is not None and np.ptp(target) == 0):
        if k is None:
            return np.full(len(new), np.average(target, weights=w))
        return np.tile(np.bincount(target, weights=w, minlength=k) / w.sum(), (len(new), 1))
    with one_thread():
        weighted = {} if np.ptp(w) == 0 else _weight_argument(estimator, w)
        estimator.fit(x, target, **weighted)
        if k is None:
            return np.asarray(estimator.predict(new), dtype=float).reshape(len(new))
        out = np.zeros((len(new), k))
        out[:, np.asarray(estimator.classes_, dtype=np.int64)] = estimator.predict_proba(new)
        return out


def _weight_argument(estimator: Any, w: np.ndarray) -> dict[str, np.ndarray]:
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    if isinstance(estimator, Pipeline):
        return {f"{estimator.steps[-1][0]}__sample_weight": w}
    if not has_fit_parameter(estimator, "sample_weight"):
        raise WhenceError(
            f"The learner {type(estimator).__name__} takes no weights, and the spec has them.",
            code="bad_learner", value=type(estimator).__name__, hint="Use a learner whose fit takes sample_weight.",
        )
    return {"sample_weight": w}


def simplex_weights(predictions: np.ndarray, target: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Weights (l,), not negative, summing to 1, of the mixture of ``predictions`` (n, l) closest to ``target``.

    Least squares by non-negative least squares with the sum as a heavy extra row. Used on out-of-fold
    predictions this is short-stacking (Ahrens, Hansen, Schaffer and Wiemann 2025, J. Applied Econometrics 40).
    """
    from scipy.optimize import nnls

    root = np.sqrt(w)[:, None]
    # Differences from the target, so that the sum-to-one constraint holds exactly in the objective.
    gaps = (predictions - target[:, None]) * root
    scale = float(np.sqrt((gaps**2).sum(axis=0).max(initial=0.0)))
    if predictions.shape[1] == 1 or scale == 0:
        return np.full(predictions.shape[1], 1 / predictions.shape[1])
    r = np.linalg.qr(gaps / scale, mode="r")
    heavy = 1e4
    design = np.vstack([r, np.full((1, predictions.shape[1]), heavy)])
    weights, _ = nnls(design, np.append(np.zeros(len(r)), heavy))
    return weights / weights.sum()

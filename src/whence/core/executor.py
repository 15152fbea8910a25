"""Coarse parallel work through ``concurrent.futures.Executor``.

Anything that speaks that interface fits: the standard thread and process pools, a Dask client's
executor, Ray or MPI pools. Results come back in the order of the items, so the answer does not
depend on the executor.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from whence.core.progress import SILENT, Progress

Item = TypeVar("Item")
Out = TypeVar("Out")


SMALL = 500  # rows of a square matrix below which threads of the linear algebra cost more than they save


def one_blas_thread(size: int) -> AbstractContextManager[Any]:
    """While matrices of this size are worked on, linear algebra on one thread: on small ones its threads mostly wait,
    spinning on the processors that the kernels' own threads need."""
    return _linear_algebra().limit(limits=1, user_api="blas") if size < SMALL else nullcontext()


@functools.cache
def _linear_algebra() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class SerialExecutor(Executor):
    """Runs each call at once, in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def map_in_order(
    fn: Callable[[Item], Out],
    items: Iterable[Item],
    *,
    executor: Executor | None = None,
    progress: Progress = SILENT,
    label: str = "working",
) -> list[Out]:
    """``[fn(item) for item in items]``, spread over ``executor`` when one is given.

    The first failure cancels what has not started and is raised; so does Ctrl-C.
    """
    items = list(items)
    progress.begin(label, len(items))
    try:
        if executor is None:
            out = []
            for item in items:
                out.append(fn(item))
                progress.step()
            return out
        futures = [executor.submit(fn, item) for item in items]
        try:
            out = []
            for future in futures:
                out.append(future.result())
                progress.step()
            return out
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    finally:
        progress.end()

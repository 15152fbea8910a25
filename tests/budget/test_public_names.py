"""The flat public namespace: every name resolves, is explained, and swallows no keyword argument."""

from __future__ import annotations

import importlib
import inspect

import pytest

import whence

# Callables that take further keyword arguments by design, and who checks them.
CHECKED_ELSEWHERE = {
    "read": "roles: an unknown one is refused, see below",
    "discover": "the method's parameters: the card refuses unknown ones",
    "estimate": "the method's parameters: the card refuses unknown ones",
    "conditional": "the method's parameters: the card refuses unknown ones",
    "bounds": "the method's parameters: the card refuses unknown ones",
}
NAMES = [name for name in whence.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", NAMES)
def test_name_resolves_where_it_is_said_to_live(name: str) -> None:
    value = getattr(whence, name)
    assert value is getattr(importlib.import_module(whence._PUBLIC[name]), name)
    assert value.__module__ == whence._PUBLIC[name], "the module that defines it, not one that passes it on"


@pytest.mark.parametrize("name", NAMES)
def test_name_is_explained(name: str) -> None:
    value = getattr(whence, name)
    text = inspect.getdoc(value) or ""
    assert len(text) > 20
    # A dataclass without a docstring gets its signature for one.
    assert not text.startswith(f"{name}(")


@pytest.mark.parametrize("name", NAMES)
def test_no_keyword_argument_is_swallowed(name: str) -> None:
    value = getattr(whence, name)
    kinds = {p.kind for p in inspect.signature(value).parameters.values()}
    assert (inspect.Parameter.VAR_KEYWORD in kinds) == (name in CHECKED_ELSEWHERE)


@pytest.mark.parametrize("name", [n for n in NAMES if n.islower()])
def test_functions_are_annotated(name: str) -> None:
    signature = inspect.signature(getattr(whence, name))
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


def test_keyword_arguments_checked_elsewhere_are_refused() -> None:
    data = {"t": [0, 1] * 20, "y": [float(i % 7) for i in range(40)]}
    with pytest.raises(whence.WhenceError, match="nonsense"):
        whence.read(data, nonsense="t")
    with pytest.raises(whence.WhenceError, match="nonsense"):
        whence.discover(whence.read(data), method="pc", nonsense=1)
    with pytest.raises(whence.WhenceError, match="nonsense"):
        whence.estimate(whence.read(data), whence.Spec("rct", ("t",), ("y",)), nonsense=1)
    with pytest.raises(whence.WhenceError, match="nonsense"):
        whence.conditional(whence.read(data), whence.Spec("rct", ("t",), ("y",)), nonsense=1)
    with pytest.raises(whence.WhenceError, match="nonsense"):
        whence.bounds(whence.read(data), whence.Spec("rct", ("t",), ("y",)), nonsense=1)


def test_unknown_names_are_refused_and_dir_is_complete() -> None:
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = whence.nothing_here
    assert set(whence.__all__) == set(dir(whence))

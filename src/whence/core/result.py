"""The result contract: plain, frozen, traceable values.

Every answer is a frozen dataclass that ``to_plain`` turns into JSON. Three small ones are
shared by all layers: ``Remark`` (a warning or observation with its evidence), ``Refused``
(an honest no) and ``Provenance`` (how to get the same number again).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any


def to_plain(value: Any) -> Any:
    """``value`` as JSON-ready Python: dataclasses become dicts, arrays lists, NaN and infinity None.

    Dataclass fields whose metadata has ``plain=False`` are left out (large arrays kept for
    computation, such as influence functions). An object with its own ``to_dict`` decides for itself.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "to_dict") and not isinstance(value, type):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return fields_to_plain(value)
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted((to_plain(v) for v in value), key=repr)
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    to_list = getattr(value, "tolist", None)  # NumPy scalar or array, without importing NumPy here
    return to_plain(to_list()) if to_list is not None else str(value)


def fields_to_plain(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON-ready values, without those marked ``plain=False``."""
    return {
        f.name: to_plain(getattr(value, f.name))
        for f in dataclasses.fields(value)
        if f.metadata.get("plain", True)
    }


@dataclass(frozen=True)
class Remark:
    """Something worth saying, with the numbers behind it.

    code: stable identifier, e.g. ``"rows_dropped"``. text: one plain sentence.
    about: the columns concerned. evidence: the numbers, by name.
    """

    code: str
    text: str
    about: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Refused:
    """An honest no: the precondition that failed, what was seen, and what would help.

    It is falsy, so ``if effect:`` reads as intended.
    """

    code: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    remedy: str = ""
    method: str | None = None

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"Refused: {self.reason}" + (f" {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Provenance:
    """Everything needed to get the same number again.

    data: content hash of the table. rows: rows in the table. spec: content hash of the spec.
    parameters: every parameter of the method with its value. versions: package versions.
    """

    data: str
    rows: int
    spec: str | None
    method: str
    parameters: Mapping[str, Any]
    seed: int
    versions: Mapping[str, str]
    citations: tuple[str, ...] = ()


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, whence and the named packages (those installed)."""
    found = {name: _version(name) for name in ("whence", *packages)}
    return {"python": platform.python_version()} | {name: v for name, v in found.items() if v is not None}


@functools.cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

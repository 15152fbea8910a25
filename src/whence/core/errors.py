"""One error class. It names the value, what is allowed, and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class WhenceError(Exception):
    """Input that cannot be used, with what would be accepted.

    An analysis that the data or the assumptions do not support is not an error: it is a
    ``Refused`` or ``NotIdentified`` value.

    code: stable identifier, e.g. ``"unknown_column"``.
    value: what was given. allowed: what would be accepted. hint: the remedy, one sentence.
    retryable: whether the caller can succeed by changing the call.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        value: Any = None,
        allowed: Iterable[Any] | str | None = None,
        hint: str | None = None,
        retryable: bool = True,
    ) -> None:
        self.message = message
        self.code = code
        self.value = value
        self.allowed = allowed if isinstance(allowed, str) or allowed is None else tuple(allowed)
        self.hint = hint
        self.retryable = retryable
        super().__init__(message)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"

    def __reduce__(self) -> Any:
        # Keyword-only arguments do not survive the default pickling that process pools use.
        return _rebuild, (self.message, self.code, self.value, self.allowed, self.hint, self.retryable)

    def to_dict(self) -> dict[str, Any]:
        from whence.core.result import to_plain

        return {
            "code": self.code,
            "message": self.message,
            "value": to_plain(self.value),
            "allowed": to_plain(self.allowed),
            "hint": self.hint,
            "retryable": self.retryable,
        }


def _rebuild(message: str, code: str, value: Any, allowed: Any, hint: Any, retryable: bool) -> WhenceError:
    return WhenceError(message, code=code, value=value, allowed=allowed, hint=hint, retryable=retryable)


def unknown_name(what: str, name: Any, allowed: Iterable[str], *, code: str) -> WhenceError:
    """The error for a name that is not one of ``allowed``; the hint offers the closest ones."""
    allowed = tuple(allowed)
    close = difflib.get_close_matches(str(name), allowed, n=3, cutoff=0.5)
    if close:
        hint = "Did you mean " + " or ".join(repr(c) for c in close) + "?"
    else:
        shown = ", ".join(repr(a) for a in allowed[:12]) + (", ..." if len(allowed) > 12 else "")
        hint = f"Allowed: {shown}."
    return WhenceError(f"There is no {what} {name!r}.", code=code, value=name, allowed=allowed, hint=hint)

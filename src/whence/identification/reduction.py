"""Sums of products of probabilities in their short form, by the rules of probability alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from whence.identification.expression import Expression, P, Product, Quotient, Sum


def total(over: Iterable[str], factors: Sequence[Expression]) -> Expression:
    """The sum over ``over`` of the product of ``factors``, reduced until no rule applies.

    Chain rule: P(a | b, c) P(b | c) is P(a, b | c). Marginals: a variable that is summed over and occurs in one
    probability alone, left of its bar, goes away. A product of nothing is one, as ``Product(())``.
    """
    left = list(over)
    parts = _flat(factors)
    while _joined(parts) or _summed_out(left, parts):
        pass
    body = parts[0] if len(parts) == 1 else Product(tuple(parts))
    if not left:
        return body
    if isinstance(body, Sum):
        return Sum((*left, *body.over), body.body)
    return Sum(tuple(left), body)


def ratio(above: Expression, below: Expression) -> Expression:
    """``above`` over ``below``: common factors cancel, and P(a, b | c) over P(b | c) is P(a | b, c)."""
    upper, lower = _flat([above]), _flat([below])
    for factor in list(lower):
        if factor in upper:
            upper.remove(factor)
            lower.remove(factor)
    if len(upper) == len(lower) == 1 and isinstance(a := upper[0], P) and isinstance(b := lower[0], P):
        rest = tuple(v for v in a.outcomes if v not in b.outcomes)
        if set(a.given) == set(b.given) and len(rest) == len(a.outcomes) - len(b.outcomes) > 0:
            return P(rest, (*b.outcomes, *a.given))
    top = total((), upper)
    return Quotient(top, total((), lower)) if lower else top


def _flat(factors: Iterable[Expression]) -> list[Expression]:
    out: list[Expression] = []
    for factor in factors:
        out += _flat(factor.factors) if isinstance(factor, Product) else [factor]
    return out


def _joined(parts: list[Expression]) -> bool:
    """Join two probabilities by the chain rule, in place; whether two were found."""
    known = {frozenset((*p.outcomes, *p.given)): k for k, p in enumerate(parts) if isinstance(p, P)}
    for k, a in enumerate(parts):
        other = known.get(frozenset(a.given)) if isinstance(a, P) else None
        b = parts[other] if other is not None and other != k else None
        if isinstance(a, P) and isinstance(b, P):
            parts[k] = P((*a.outcomes, *b.outcomes), b.given)
            del parts[parts.index(b)]
            return True
    return False


def _summed_out(over: list[str], parts: list[Expression]) -> bool:
    """Take one variable out of a sum, in place; whether one was found."""
    for name in over:
        holders = [k for k, part in enumerate(parts) if name in part.free]
        holder = parts[holders[0]] if len(holders) == 1 else None
        if isinstance(holder, P) and name in holder.outcomes:
            rest = tuple(v for v in holder.outcomes if v != name)
            parts[holders[0] : holders[0] + 1] = [P(rest, holder.given)] if rest else []
            over.remove(name)
            return True
    return False

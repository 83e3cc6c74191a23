"""``match`` patterns: tested against static structure, with run-time tests for values."""

from __future__ import annotations

from typing import Any

import gast

from weft.frontend import expressions
from weft.frontend.frame import Frame
from weft.staged import arith
from weft.staged.value import Staged


def _and(a: Any, b: Any) -> Any:
    if a is True:
        return b
    if a is False or b is True:
        return a
    return False if b is False else arith.bitand(a, b)


def _or(a: Any, b: Any) -> Any:
    if a is False:
        return b
    if a is True or b is False:
        return a
    return True if b is True else arith.bitor(a, b)


def match_pattern(p: Any, x: Any, bound: dict[str, Any], frame: Frame) -> Any:
    """Whether ``x`` matches: a bool, or a staged bool. Captured names are put in ``bound``."""
    match p:
        case gast.MatchValue():
            if isinstance(x, list | tuple | dict):
                return False
            return expressions.compare(gast.Eq(), x, expressions.evaluate(p.value, frame), p, frame)
        case gast.MatchSingleton():
            return x is p.value
        case gast.MatchAs():
            ok = True if p.pattern is None else match_pattern(p.pattern, x, bound, frame)
            if p.name is not None:
                bound[p.name] = x
            return ok
        case gast.MatchOr():
            out: Any = False
            for q in p.patterns:
                out = _or(out, match_pattern(q, x, bound, frame))
                if out is True:
                    break
            return out
        case gast.MatchSequence():
            return _sequence(p, x, bound, frame)
        case gast.MatchMapping():
            if not isinstance(x, dict):
                return False
            out = True
            keys = [expressions.evaluate(k, frame) for k in p.keys]
            for key, q in zip(keys, p.patterns, strict=True):
                if key not in x:
                    return False
                out = _and(out, match_pattern(q, x[key], bound, frame))
            if p.rest is not None:
                bound[p.rest] = expressions.state().own({k: v for k, v in x.items() if k not in keys})
            return out
        case gast.MatchClass():
            cls = expressions.evaluate(p.cls, frame)
            if isinstance(x, Staged) or not isinstance(x, cls):
                return False
            names = [*getattr(cls, "__match_args__", ())[: len(p.patterns)], *p.kwd_attrs]
            out = True
            for name, q in zip(names, [*p.patterns, *p.kwd_patterns], strict=True):
                out = _and(out, match_pattern(q, getattr(x, name), bound, frame))
            return out
    raise expressions.error(f"the pattern {type(p).__name__} is not compiled", p, frame)


def _sequence(p: Any, x: Any, bound: dict[str, Any], frame: Frame) -> Any:
    if not isinstance(x, list | tuple):
        return False
    star = next((i for i, q in enumerate(p.patterns) if isinstance(q, gast.MatchStar)), None)
    n = len(p.patterns)
    if star is None:
        if len(x) != n:
            return False
        pairs = list(zip(p.patterns, x, strict=True))
    else:
        after = n - star - 1
        if len(x) < n - 1:
            return False
        pairs = [*zip(p.patterns[:star], x[:star], strict=True)]
        pairs += zip(p.patterns[star + 1 :], x[len(x) - after :], strict=True)
        if p.patterns[star].name is not None:
            bound[p.patterns[star].name] = expressions.state().own(list(x[star : len(x) - after]))
    out: Any = True
    for q, v in pairs:
        out = _and(out, match_pattern(q, v, bound, frame))
    return out

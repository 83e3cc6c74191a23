"""Minimisation by Broyden, Fletcher, Goldfarb and Shanno's method, with Wolfe's conditions on each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from weft.api.grad import value_and_grad
from weft.api.written import written
from weft.scipy.arguments import inexact, quiet


class OptimizeResults(NamedTuple):
    """What `minimize` found.

    Attributes
    ----------
    x
        The place of the minimum.
    success
        Whether the gradient there is small enough.
    status
        0: it is; 1: too many steps; above: the search along a line failed.
    fun, jac
        The value and the gradient at the place.
    hess_inv
        The estimate of the Hessian's inverse.
    nfev, njev, nit
        How often values and gradients were computed, and the number of steps.
    """

    x: Any
    success: Any
    status: Any
    fun: Any
    jac: Any
    hess_inv: Any
    nfev: Any
    njev: Any
    nit: Any


@written("fun", "norm", "maxiter", "line_search_maxiter")
def _bfgs(fun: Any, x: Any, gtol: Any, norm: Any, maxiter: Any, line_search_maxiter: Any, *args: Any) -> Any:
    evaluate = value_and_grad(fun)
    f, g = evaluate(x, *args)
    one = np.eye(x.shape[0], dtype=x.dtype)
    h = one.copy()
    before = f + np.linalg.norm(g) / 2
    converged = np.linalg.norm(g, norm) < gtol
    failed = False
    line_status, nfev, k = 0, 1, 0
    narrow = 1e-10 if x.dtype == np.float64 else 1e-5
    while not converged and not failed and k < maxiter:
        p = -(h @ g)
        down = g @ p
        step = 1.01 * 2 * (f - before) / down
        if not step <= 1:
            step = 1.0
        # a bracket of a step that satisfies both conditions, or such a step
        i, done = 1, False
        a, phi, slope, gradient = 0.0, f, down, g
        best, best_phi, best_gradient = 0.0, f, g
        while not done and not failed and i <= line_search_maxiter:
            last, last_phi, last_slope = a, phi, slope
            a = step if i == 1 else 2 * last
            phi, gradient = evaluate(x + a * p, *args)
            slope = gradient @ p
            nfev += 1
            high = phi > f + 1e-4 * a * down or (phi >= last_phi and i > 1)
            if not high and abs(slope) <= -0.9 * down:
                best, best_phi, best_gradient, done = a, phi, gradient, True
            elif high or slope >= 0:
                # the bracket is made smaller, by cubic and quadratic interpolation or by halves
                done = True
                lo, lo_phi, lo_slope, hi, hi_phi = last, last_phi, last_slope, a, phi
                if not high:
                    lo, lo_phi, lo_slope, hi, hi_phi = a, phi, slope, last, last_phi
                other, other_phi = (lo + hi) / 2, (lo_phi + hi_phi) / 2
                best, best_phi, best_gradient = 1.0, lo_phi, g
                j, found = 0, False
                while not found and not failed:
                    gap = hi - lo
                    left, right = min(lo, hi), max(lo, hi)
                    failed = abs(gap) <= narrow
                    db, dc = hi - lo, other - lo
                    scale = (db * dc) ** 2 * (db - dc)
                    rb, rc = hi_phi - lo_phi - lo_slope * db, other_phi - lo_phi - lo_slope * dc
                    ca = (dc * dc * rb - db * db * rc) / scale
                    cb = (db * db * db * rc - dc * dc * dc * rb) / scale
                    cubic = lo + (-cb + np.sqrt(cb * cb - 3 * ca * lo_slope)) / (3 * ca)
                    quadratic = lo - lo_slope / (2 * ((hi_phi - lo_phi - lo_slope * db) / (db * db)))
                    edge = 0.2 * abs(gap)
                    if j > 0 and cubic > left + edge and cubic < right - edge:
                        t = cubic
                    elif quadratic > left + edge / 2 and quadratic < right - edge / 2:
                        t = quadratic
                    else:
                        t = (lo + hi) / 2
                    t_phi, t_gradient = evaluate(x + t * p, *args)
                    t_slope = t_gradient @ p
                    nfev += 1
                    if t_phi > f + 1e-4 * t * down or t_phi >= lo_phi:
                        other, other_phi = hi, hi_phi
                        hi, hi_phi = t, t_phi
                    elif abs(t_slope) <= -0.9 * down:
                        best, best_phi, best_gradient, found = t, t_phi, t_gradient, True
                    else:
                        if t_slope * (hi - lo) >= 0:
                            other, other_phi = hi, hi_phi
                            hi, hi_phi = lo, lo_phi
                        else:
                            other, other_phi = lo, lo_phi
                        lo, lo_phi, lo_slope = t, t_phi, t_slope
                    j += 1
                    if found:
                        failed = False
                    elif j >= 30:
                        failed = True
            i += 1
        if failed:
            line_status = 1
        elif not done:
            line_status, failed = 3, True
        s = best * p
        y = best_gradient - g
        rho = 1 / (y @ s)
        if np.isfinite(rho):
            w = one - rho * np.outer(s, y)
            h = w @ h @ w.T + rho * np.outer(s, s)
        x = x + s
        before, f, g = f, best_phi, best_gradient
        converged = np.linalg.norm(g, norm) < gtol
        k += 1
    status = -1
    if converged:
        status = 0
    elif k == maxiter:
        status = 1
    elif failed:
        status = 2 + line_status
    return x, converged and not failed, status, f, g, h, nfev, nfev, k


_OPTIONS = ("gtol", "norm", "maxiter", "line_search_maxiter")


@quiet
def minimize(
    fun: Callable[..., Any], x0: Any, args: tuple[Any, ...] = (), *, method: str, tol: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:  # fmt: skip
    """The minimum of a function of a vector.

    Parameters
    ----------
    fun
        ``fun(x, *args)`` gives a number, and can be differentiated.
    x0
        Where to start: one axis.
    args
        Further arguments.
    method
        ``"BFGS"``.
    tol
        How small the gradient has to be: the option ``gtol``.
    options
        ``gtol`` (1e-5), ``norm`` (in which the gradient is measured: inf), ``maxiter`` (200 for each element of
        ``x0``), ``line_search_maxiter`` (10).

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> from weft.scipy import optimize
    >>> optimize.minimize(lambda x: wnp.sum((x - 2) ** 2), wnp.zeros(2), method="BFGS").x
    Array([2., 2.])
    """
    if not isinstance(args, tuple):
        raise TypeError(f"minimize(): args must be a tuple, not {type(args).__name__}")
    if method.lower() != "bfgs":
        raise ValueError(f"minimize() has the method 'BFGS', not {method!r}")
    given = dict(options or {})
    if unknown := set(given) - set(_OPTIONS):
        raise ValueError(f"minimize() has the options {', '.join(_OPTIONS)}; not {', '.join(sorted(unknown))}")
    (x0,) = inexact(x0)
    if x0.ndim != 1:
        raise ValueError(f"minimize() wants a vector to start from, not an array of {x0.ndim} axes")
    gtol = given.get("gtol", 1e-5 if tol is None else tol)
    maxiter = given.get("maxiter")
    maxiter = int(x0.shape[0]) * 200 if maxiter is None else maxiter
    norm, lines = given.get("norm", np.inf), given.get("line_search_maxiter", 10)
    return OptimizeResults(*_bfgs(fun, x0, gtol, norm, maxiter, lines, *args))


__all__ = ["OptimizeResults", "minimize"]

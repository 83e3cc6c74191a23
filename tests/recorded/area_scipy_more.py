"""`jax.scipy.optimize`, `integrate`, `ndimage`, `interpolate`, `signal` and `fft`."""

from __future__ import annotations

from typing import Any

import numpy as np
from recorded_cases import case

R = np.random.default_rng(0)
Y, X = R.normal(size=(3, 5)), np.sort(R.normal(size=5))
IMAGE = R.normal(size=(4, 5))
AT = R.uniform(-3, 8, size=(2, 30))
MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def rosenbrock(x: Any) -> Any:
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def bowl(x: Any, a: Any) -> Any:
    return ((x - a) ** 2 * (1 + a**2)).sum() + (x**4).sum()


def found(j: Any, fun: Any, x: Any, *args: Any) -> Any:
    """What is found, but for the numbers of steps."""
    r = j.scipy.optimize.minimize(fun, x, args, method="BFGS")
    return r.x, r.success, r.fun


GRID = [np.array([0.0, 1.0, 2.5, 3.0]), np.array([-1.0, 0.0, 0.5, 2.0, 4.0])]
POINTS = R.uniform(-0.5, 3.5, size=(12, 2))
K2, K1 = R.normal(size=(3, 2)), R.normal(size=4)


def interpolated(j: Any, values: Any, points: Any, method: str, fill: Any) -> Any:
    return j.scipy.interpolate.RegularGridInterpolator(GRID, values, method, fill_value=fill)(points)


SIGNAL = [
    case(f"{name}_{m}", lambda j, a, b, name=name, m=m: getattr(j.scipy.signal, name)(a, b, m), x, k, grad=True, vmap=m == "full")
    for m in ("full", "same", "valid")
    for name, x, k in (("convolve", Y[0], K1), ("correlate", Y[0], K1), ("fftconvolve", IMAGE, K2), ("convolve", IMAGE, K2.T.copy()),
                       ("convolve2d", IMAGE, K2), ("correlate2d", IMAGE, K2))
    if not (name == "convolve" and x is IMAGE)
]  # fmt: skip
COSINE = [
    case(f"{name}_{n}_{norm}", lambda j, x, name=name, n=n, norm=norm: getattr(j.scipy.fft, name)(x, n=n, axis=0, norm=norm), IMAGE, grad=True)
    for name in ("dct", "idct") for n in (None, 3, 7) for norm in (None, "ortho")
]  # fmt: skip

CASES = [
    *SIGNAL,
    *COSINE,
    case("vq", lambda j, x, b: j.scipy.cluster.vq.vq(x, b), POINTS, POINTS[:3] + 0.1, grad=True, vmap=True),
    case("vq_1", lambda j, x, b: j.scipy.cluster.vq.vq(x, b), POINTS[:, 0].copy(), POINTS[:3, 1].copy()),
    case("dctn", lambda j, x: j.scipy.fft.dctn(x), IMAGE, grad=True, vmap=True),
    case("idctn", lambda j, x: j.scipy.fft.idctn(x, axes=(1,), norm="ortho"), IMAGE, grad=True),
    case("convolve_fft", lambda j, a, b: j.scipy.signal.convolve(a, b, method="fft"), Y[0], K1, grad=True),
    case("convolve_2", lambda j, a, b: j.scipy.signal.convolve(a, b, "same"), IMAGE, K2, grad=True),
    case("fftconvolve_axes", lambda j, a, b: j.scipy.signal.fftconvolve(a, b, axes=1), IMAGE, IMAGE[:, :3].copy(), grad=True),
    *[case(f"detrend_{t}", lambda j, x, t=t: j.scipy.signal.detrend(x, type=t), Y, grad=True, vmap=True) for t in ("constant", "linear")],
    case("detrend_pieces", lambda j, x: j.scipy.signal.detrend(x, axis=0, bp=2), IMAGE, grad=True),
    *[case(f"grid_{m}_{f}", lambda j, v, p, m=m, f=f: interpolated(j, v, p, m, f), IMAGE, POINTS, grad=True) for m in ("linear", "nearest") for f in (np.nan, None)],
    case("grid_points", lambda j, p: interpolated(j, IMAGE, p, "linear", None), POINTS, grad=True),
    case("rosenbrock_4", lambda j, x: found(j, rosenbrock, x), np.array([-1.2, 1.0, 0.3, 2.0]), rtol=1e-3, atol=1e-6),
    case("bowl", lambda j, x, a: found(j, bowl, x, a), np.zeros(3), np.array([1.0, -2.0, 0.5]), vmap=True, rtol=1e-4),
    case("trapezoid", lambda j, y: j.scipy.integrate.trapezoid(y, dx=0.5), Y, grad=True, vmap=True),
    case("trapezoid_x", lambda j, y, x: j.scipy.integrate.trapezoid(y, x), Y, X, grad=True, vmap=True),
    case("trapezoid_axis", lambda j, y: j.scipy.integrate.trapezoid(y, X[:3], axis=0), Y, grad=True),
    *[
        case(f"map_{m}_{o}", lambda j, a, m=m, o=o: j.scipy.ndimage.map_coordinates(a, list(AT), o, m, 0.7), IMAGE, grad=True, vmap=True)
        for m in MODES for o in (0, 1)
    ],
    *[
        case(f"map_at_{m}", lambda j, c, m=m: j.scipy.ndimage.map_coordinates(IMAGE, c, 1, m), AT, grad=True)
        for m in MODES
    ],
    case("map_ints", lambda j, a: j.scipy.ndimage.map_coordinates(a, list(AT), 1, "nearest"), np.arange(20).reshape(4, 5) * 3),
]  # fmt: skip

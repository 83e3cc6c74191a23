"""Jitted calls on the fake GPU, end to end: staged, lowered, printed, run in the emulator."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

import weft
import weft.numpy as wnp


@weft.jit
def affine(x, y):
    return x * y + 1.0


@weft.jit
def pick(x, i):
    return x[i] * 2.0


@weft.jit
def settle(x, rate):
    for i in range(1, x.size):
        x[i] += rate * (x[i - 1] - x[i])
    return np.sum(x * x)


def on(device, *values):
    """Values put on a device."""
    return [weft.device_put(v, device) for v in values]


def test_a_call_runs_where_its_data_lies_and_is_queued(fake, gpu):
    x, y = np.linspace(0, 1, 1000), np.arange(1000.0)
    a, b = on(gpu, x, y)
    affine(a, b)
    weft.block_until_ready((a, b))
    ran = fake.count("kernel")
    r = affine(a, b)
    assert r.devices() == {gpu} and r.committed and r.shape == (1000,)
    assert fake.count("kernel") == ran and fake.queued() > 0  # nothing has run yet
    assert r.block_until_ready() is r
    assert fake.count("kernel") > ran
    np.testing.assert_array_equal(np.asarray(r), x * y + 1)


def test_waiting_for_an_array_does_not_wait_for_what_comes_later(fake, gpu):
    a, b = on(gpu, np.ones(100), np.ones(100))
    first = affine(a, b)
    later = affine(first, b)
    first.block_until_ready()
    assert fake.queued() > 0
    np.testing.assert_array_equal(np.asarray(later), np.full(100, 3.0))


def test_arguments_may_go_before_the_call_has_run(fake, gpu):
    r = affine(*on(gpu, np.arange(500.0), np.full(500, 2.0)))
    gc.collect()
    other = affine(*on(gpu, np.full(500, 7.0), np.full(500, 9.0)))  # gets their memory
    np.testing.assert_array_equal(np.asarray(r), np.arange(500.0) * 2 + 1)
    np.testing.assert_array_equal(np.asarray(other), np.full(500, 64.0))


def test_what_is_not_put_anywhere_goes_along(fake, gpu):
    (a,) = on(gpu, np.arange(4.0))
    x = np.full(4, 3.0)
    assert np.asarray(affine(a, x)).tolist() == [1, 4, 7, 10]
    assert np.asarray(affine(a, wnp.full(4, 3.0))).tolist() == [1, 4, 7, 10]
    assert np.asarray(affine(a, 3.0)).tolist() == [1, 4, 7, 10]
    assert np.asarray(affine(a, x[::-1])).tolist() == [1, 4, 7, 10]
    assert np.asarray(affine(a, np.float64(3))).tolist() == [1, 4, 7, 10]
    assert affine(x, 2.0).tolist() == [7, 7, 7, 7]  # nothing there: the CPU


def test_a_numpy_argument_may_be_written_to_after_the_call(fake, gpu):
    (a,) = on(gpu, np.arange(4.0))
    x = np.full(4, 3.0)
    r = affine(a, x)
    x[:] = 100
    assert np.asarray(r).tolist() == [1, 4, 7, 10]


def test_results_keep_their_flavour(fake, gpu):
    @weft.jit
    def both(a, x):
        return a + 1.0, x + 1.0, np.sum(x), wnp.sum(a), 2.0, x

    (a,) = on(gpu, np.arange(4.0))
    x = np.arange(3.0)
    s, t, u, v, w, same = both(a, x)
    assert type(s) is weft.Array and s.device is gpu
    assert type(t) is np.ndarray and t.tolist() == [1, 2, 3] and t.flags.writeable
    assert type(u) is np.float64 and u == 3
    assert type(v) is weft.Array and v.device is gpu and v.shape == () and float(v) == 6
    assert type(w) is float and w == 2.0
    assert same is x


def test_scalars_of_the_gpu_as_arguments(fake, gpu):
    a, s = on(gpu, np.arange(4.0), 3.0)
    assert s.shape == () and s.device is gpu
    assert np.asarray(affine(a, s)).tolist() == [1, 4, 7, 10]
    assert float(affine(s, s)) == 10
    assert affine(s, s).device is gpu


def test_numpy_arrays_are_written_in_place(fake, gpu):
    x = np.arange(6.0)
    want = x.copy()
    total = settle(want, 0.5)
    with weft.default_device(gpu):
        assert settle(x, 0.5) == pytest.approx(total)
        np.testing.assert_array_equal(x, want)
        strided = np.arange(12.0)[::2]
        y = np.arange(12.0)[::2].copy()
        settle(strided, 0.25)
    settle(y, 0.25)
    np.testing.assert_array_equal(strided, y)


def test_the_same_array_twice_is_one_on_the_device(fake, gpu):
    @weft.jit
    def twice(x, y):
        x[0] = 5.0
        y[1] = x[0] + 1.0

    x = np.zeros(3)
    with weft.default_device(gpu):
        twice(x, x)
    assert x.tolist() == [5, 6, 0]


def test_an_index_out_of_range_raises_at_the_call(fake, gpu):
    (a,) = on(gpu, np.arange(4.0))
    assert float(pick(a, 2)) == 4
    for _ in range(2):
        with pytest.raises(IndexError, match="index 9 is out of bounds"):
            pick(a, 9)
    assert float(pick(a, -1)) == 6

    @weft.jit
    def gather(x, k):
        return x[k]

    k = np.array([0, 1, 2, 11])
    assert np.asarray(gather(a, k[:3])).tolist() == [0, 1, 2]
    with pytest.raises(IndexError, match="index 11 is out of bounds"):
        gather(a, k)
    assert np.asarray(gather(a, k[:3])).tolist() == [0, 1, 2]


def test_raise_and_print(fake, gpu, capfd):
    @weft.jit
    def checked(x, limit):
        s = wnp.sum(x)
        print("sum", s)
        if s > limit:
            raise ValueError(f"{s} is above {limit}")
        return x / s

    (a,) = on(gpu, np.array([1.0, 3.0]))
    assert np.asarray(checked(a, 10.0)).tolist() == [0.25, 0.75]
    assert capfd.readouterr().out == "sum 4.0\n"
    with pytest.raises(ValueError, match=r"4\.0 is above 1\.0"):
        checked(a, 1.0)


def test_callbacks(fake, gpu, capfd):
    seen = []

    @weft.jit
    def f(x, n):
        s = wnp.zeros(x.shape)
        for i in range(n):
            s += weft.pure_callback(lambda v, i: v * i, weft.ShapeDtypeStruct(x.shape, x.dtype), x, i)
            weft.debug.callback(lambda v: seen.append(v), s)
        weft.debug.print("total {:.1f}", wnp.sum(s))
        return weft.io_callback(lambda v: v + 1.0, weft.ShapeDtypeStruct(x.shape, x.dtype), s)

    (a,) = on(gpu, np.array([1.0, 3.0]))
    out = f(a, 3)
    assert out.device is gpu
    assert np.asarray(out).tolist() == [4.0, 10.0]
    assert [np.asarray(v).tolist() for v in seen] == [[0.0, 0.0], [1.0, 3.0], [3.0, 9.0]]
    assert capfd.readouterr().out == "total 12.0\n"

    def wrong(v):
        raise KeyError("from the callback")

    with pytest.raises(KeyError, match="from the callback"):
        weft.jit(lambda x: weft.debug.callback(wrong, x) or x + 1.0)(a)


def test_captured_arrays_say_where_a_call_runs(fake, gpu):
    weights = np.arange(3.0)

    def make(w):
        @weft.jit
        def f(x):
            return x * w

        return f

    assert make(weft.device_put(weights, gpu))(wnp.ones(3)).device is gpu
    f = make(weft.Array.from_numpy(weights))
    assert f(wnp.ones(3)).device.platform == "cpu"
    assert f(weft.device_put(np.ones(3), gpu)).device is gpu
    assert f(wnp.ones(3)).device.platform == "cpu"
    assert f.cache_info().compilations + f.cache_info().loaded == 2


def test_gradients_and_batches(fake, gpu):
    def loss(w, x):
        h = wnp.tanh(x @ w)
        return wnp.sum(h * h)

    w, x = np.linspace(-1, 1, 12).reshape(4, 3), np.linspace(0, 2, 20).reshape(5, 4)
    value, grad = weft.jit(weft.value_and_grad(loss))(*on(gpu, w, x))
    want, slope = weft.jit(weft.value_and_grad(loss))(w, x)
    assert value.device is gpu and grad.device is gpu
    np.testing.assert_allclose(np.asarray(value), want, rtol=1e-14)
    np.testing.assert_allclose(np.asarray(grad), slope, rtol=1e-13)

    def root(a):
        x = a
        while abs(x * x - a) > 1e-12:
            x = 0.5 * (x + a / x)
        return x

    a = np.linspace(1, 50, 333)
    r = weft.jit(weft.vmap(root))(weft.device_put(a, gpu))
    assert r.device is gpu
    np.testing.assert_allclose(np.asarray(r), np.sqrt(a), rtol=1e-11)


def test_committed_to_different_devices(fake, gpu, second):
    a, b = on(gpu, np.ones(2))[0], on(second, np.ones(2))[0]
    c = weft.device_put(np.ones(2), weft.devices("cpu")[0])
    with pytest.raises(ValueError) as e:
        affine(a, b)
    assert (
        "Received incompatible devices for jitted computation. Got argument args[0] with shape float64[2] and "
        in str(e.value)
    )
    assert "device ids [0] on platform GPU and argument args[1]" in str(e.value)
    assert "device ids [1] on platform GPU" in str(e.value)
    with pytest.raises(ValueError, match="device ids .0. on platform CPU"):
        affine(a, c)
    with pytest.raises(ValueError, match="incompatible devices"):
        a + b
    assert affine(b, 1.0).device is second
    assert affine(c, 1.0).device.platform == "cpu" and affine(c, 1.0).committed
    with weft.default_device(gpu):
        assert affine(c, 1.0).device.platform == "cpu"
        assert affine(b, 1.0).device is second


def test_two_devices_at_once(fake, gpu, second):
    a, b = on(gpu, np.arange(10.0))[0], on(second, np.arange(10.0) * 2)[0]
    r, s = affine(a, a), affine(b, b)
    assert fake.queued(0) > 0 and fake.queued(1) > 0
    np.testing.assert_array_equal(np.asarray(s), (np.arange(10.0) * 2) ** 2 + 1)
    assert fake.queued(0) > 0
    np.testing.assert_array_equal(np.asarray(r), np.arange(10.0) ** 2 + 1)


def test_default_device(fake, gpu):
    x = np.arange(4.0)
    with weft.default_device(gpu):
        r = affine(wnp.asarray(x), 2.0)
        assert r.device is gpu and not r.committed
        assert affine(x, 2.0).tolist() == [1, 3, 5, 7]  # NumPy in, NumPy out
        with weft.default_device("cpu"):
            assert affine(r, 2.0).device.platform == "cpu"
        assert weft.default_backend() == "gpu"
        seen = []
        thread = threading.Thread(target=lambda: seen.append(weft.default_backend()))
        thread.start()
        thread.join()
        assert seen == ["cpu"]  # another thread's choice is its own
    assert weft.default_backend() == "cpu"
    assert affine(r, 2.0).device.platform == "cpu"  # uncommitted: it goes along, here to the default device
    assert np.asarray(affine(r, 2.0)).tolist() == [3, 7, 11, 15]


def test_platforms_have_programs_of_their_own(fake, gpu):
    @weft.jit
    def f(x):
        return x * 3.0

    x = wnp.arange(3.0)
    a = weft.device_put(x, gpu)
    for _ in range(2):
        assert f(x).device.platform == "cpu"
        assert f(a).device is gpu
    info = f.cache_info()
    assert info.compilations + info.loaded == 2 and info.hits == 2


def test_threads(fake, gpu):
    a = weft.device_put(np.arange(100.0), gpu)
    affine(a, 1.0)
    errors = []

    def work(n):
        try:
            for k in range(20):
                r = affine(affine(a, float(n)), float(k))
                np.testing.assert_array_equal(np.asarray(r), (np.arange(100.0) * n + 1) * k + 1)
        except Exception as e:  # noqa: BLE001
            errors.append(e)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []


def test_memory_of_calls_is_given_back(fake, gpu):
    a = weft.device_put(np.arange(1000.0), gpu)

    def call():
        for _ in range(5):
            np.asarray(affine(a, a))
        gc.collect()

    call()
    before = gpu.memory_stats()
    call()
    after = gpu.memory_stats()
    assert after["bytes_in_use"] == before["bytes_in_use"]
    assert after["from_system"] == before["from_system"] and after["taken"] > before["taken"]


def test_modules_go_with_their_function(fake, gpu):
    def f(x):
        return x - 5.0

    g = weft.jit(f)
    loaded, gone = fake.count("cuModuleLoadDataEx"), fake.count("cuModuleUnload")
    g(weft.device_put(np.ones(2), gpu)).block_until_ready()
    assert fake.count("cuModuleLoadDataEx") == loaded + 1
    g.clear_cache()
    gc.collect()
    assert fake.count("cuModuleUnload") == gone + 1


def test_products_of_several_types(fake, gpu):
    @weft.jit
    def both(a, b, c):
        return a @ a, b @ b, c @ c

    x = np.linspace(0, 1, 64).reshape(8, 8)
    found = both(*on(gpu, x, x.astype(np.float32), x * (1 + 1j)))
    for got, want in zip(found, (x @ x, x.astype(np.float32) @ x.astype(np.float32), x @ x * 2j), strict=True):
        assert got.device is gpu and got.dtype == want.dtype
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-5)

def grad_root(a):
    x = a
    w = []
    x1 = []
    while np.abs(x * x - a) > 1e-12:
        x1.append(x)
        if x == 0.0:
            raise ZeroDivisionError('float division by zero')
        t = a / x
        w.append(t)
        x = 0.5 * (x + t)
    trip = len(w)
    w = np.array(w, dtype=np.float64)
    x1 = np.array(x1, dtype=np.float64)
    x_ct = 1.0
    a_ct = 0.0
    for k in reversed(range(trip)):
        x2 = x1[k]
        x_ct1 = 0.5 * x_ct
        a_ct += x_ct1 / x2
        x_ct = x_ct1 - x_ct1 * w[k] / x2
    a_ct1 = a_ct + x_ct
    return a_ct1

def grad_smoothed(x, rate):
    x_n = len(x)
    x = x.copy()
    for i in range(x_n - 1):
        t = x[i + 1]
        x[i + 1] = t + rate * (x[i] - t)
    x_ct = x + x
    for i1 in reversed(range(x_n - 1)):
        t1 = x_ct[i1 + 1]
        x_ct[i1 + 1] = 0.0
        t2 = rate * t1
        x_ct[i1] += t2
        x_ct[i1 + 1] += t1 - t2
    return x_ct

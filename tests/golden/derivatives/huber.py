def grad_huber(x, delta):
    x_n = len(x)
    x_ct = np.zeros(x_n)
    for v in reversed(range(x_n)):
        v1 = x[v]
        if np.abs(v1) <= delta:
            t = 0.5 * v1
            v_ct = t + t
            t1 = 0.0
        else:
            v_ct = 0.0
            t1 = delta
        v_ct1 = v_ct + t1 * np.sign(v1)
        x_ct[v] += v_ct1
    return x_ct

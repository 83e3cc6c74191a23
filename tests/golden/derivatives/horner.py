def grad_horner(c, x):
    c_n = len(c)
    value = 0.0
    value1 = np.empty(c_n)
    for k in range(c_n):
        value1[k] = value
        value = value * x + c[k]
    value_ct = 1.0
    x_ct = 0.0
    c_ct = np.zeros(c_n)
    for k1 in reversed(range(c_n)):
        value2 = value1[k1]
        c_ct[k1] += value_ct
        value_ct1 = x * value_ct
        x_ct += value2 * value_ct
        value_ct = value_ct1
    return c_ct, x_ct

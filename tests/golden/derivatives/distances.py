def grad_distances(p, q):
    p_0, p_1 = p.shape
    w = p - q
    w1 = w * np.broadcast_to((np.full(p_0, 1.0) * 0.5 / np.sqrt(np.sum(w * w, axis=1)))[:, None], (p_0, p_1))
    p_ct = w1 + w1
    return p_ct

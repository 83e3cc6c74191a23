def grad_cross_entropy(w, x, label):
    w_0 = w.shape[0]
    scores = w @ x
    w1 = np.exp(scores)
    scores_ct = np.zeros(w_0)
    scores_ct[label] += -1.0
    scores_ct1 = scores_ct + w1 * np.full(w_0, 1.0 / np.sum(w1, axis=0))
    w_ct = np.tensordot(scores_ct1, x, axes=([], []))
    return w_ct

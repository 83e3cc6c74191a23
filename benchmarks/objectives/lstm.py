"""ADBench's LSTM: two layers whose gates have one weight for each bit, over a text of characters of fourteen bits."""

from __future__ import annotations

import numpy as np

from objectives import Objective, with_jax

LAYERS, BITS, LENGTH = 2, 14, 1024


def sigmoid(x):
    """The logistic function."""
    return 1.0 / (1.0 + np.exp(-x))


def cell(weights, bias, hidden, state, x):
    """One step of one layer."""
    forget = sigmoid(x * weights[0] + bias[0])
    take = sigmoid(hidden * weights[1] + bias[1])
    out = sigmoid(x * weights[2] + bias[2])
    change = np.tanh(hidden * weights[3] + bias[3])
    state = state * forget + take * change
    return out * np.tanh(state), state


def lstm(main, extra, start, text):
    """The mean log-likelihood of each next character, with its sign turned."""
    layers = main.shape[0]
    hidden, state = start[:, 0].copy(), start[:, 1].copy()
    total = 0.0
    for t in range(len(text) - 1):
        x = text[t] * extra[0]
        for layer in range(layers):
            h, s = cell(main[layer, 0], main[layer, 1], hidden[layer], state[layer], x)
            hidden[layer] = h
            state[layer] = s
            x = h
        guess = x * extra[1] + extra[2]
        total += np.sum(text[t + 1] * (guess - np.log(2.0 + np.sum(np.exp(guess)))))
    return -total / ((len(text) - 1) * text.shape[1])


def for_jax(jax, main, extra, start, text):
    """A scan over the text, the layers unrolled."""
    np_ = jax.numpy

    def step(carry, pair):
        hidden, state = carry
        now, then = pair
        x = now * extra[0]
        hs, ss = [], []
        for layer in range(LAYERS):
            w, b = main[layer]
            forget, out = jax.nn.sigmoid(x * w[0] + b[0]), jax.nn.sigmoid(x * w[2] + b[2])
            take, change = jax.nn.sigmoid(hidden[layer] * w[1] + b[1]), np_.tanh(hidden[layer] * w[3] + b[3])
            s = state[layer] * forget + take * change
            x = out * np_.tanh(s)
            hs.append(x)
            ss.append(s)
        guess = x * extra[1] + extra[2]
        likelihood = np_.sum(then * (guess - np_.log(2.0 + np_.sum(np_.exp(guess)))))
        return (hs, ss), likelihood

    carry = [start[k, 0] for k in range(LAYERS)], [start[k, 1] for k in range(LAYERS)]
    _, terms = jax.lax.scan(step, carry, (text[:-1], text[1:]))
    return -np_.sum(terms) / ((len(text) - 1) * text.shape[1])


def data():
    """Random weights and bits."""
    rng = np.random.default_rng(2)
    main, extra = rng.normal(size=(LAYERS, 2, 4, BITS)), rng.normal(size=(3, BITS))
    return main, extra, rng.normal(size=(LAYERS, 2, BITS)), (rng.random((LENGTH, BITS)) < 0.4).astype(float)


def objectives():
    """One size."""
    args = data()
    stated = {"C++, stated": 9.8, "jax, stated": 7.6}
    yield Objective(
        f"LSTM l={LAYERS} c={LENGTH}", lstm, args, (0, 1), with_jax(for_jax, (0, 1), *args), stated, step=1e-4
    )

"""State and pytrees, for people who come from JAX: ``python examples/state_and_trees.py``.

The same text runs with JAX after its imports are changed; what differs then is said where it happens.
"""

from __future__ import annotations

import numpy as np

import weft
import weft.numpy as wnp


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


# State


class Counter:
    """Keeps its state to itself."""

    def __init__(self) -> None:
        self.n = 0

    def count(self) -> int:
        self.n += 1
        return self.n


class PureCounter:
    """Is given its state, and gives it back."""

    def count(self, n: int) -> tuple[int, int]:
        return n + 1, n + 1

    def reset(self) -> int:
        return 0


def state() -> None:
    title("A counter that remembers")
    counter = Counter()
    print("in Python:", [counter.count() for _ in range(3)])
    counter = Counter()
    fast = weft.jit(counter.count)
    try:
        # JAX gives 1, 1, 1 here: the state of the first call is part of what it compiled
        print("compiled:", [int(fast()) for _ in range(3)])
    except TypeError as e:
        print("compiled:", str(e).splitlines()[0])

    title("A counter that is told")
    pure = PureCounter()
    fast = weft.jit(pure.count)
    n = pure.reset()
    for _ in range(3):
        value, n = fast(n)
        print(int(value))


# Trees


class Pair:
    """A container of the user's own: two children, and a name that is no data."""

    def __init__(self, x, y, name="pair") -> None:
        self.x, self.y, self.name = x, y, name

    def __repr__(self) -> str:
        return f"Pair({self.x}, {self.y}, {self.name!r})"


weft.tree_util.register_pytree_node(
    Pair, lambda p: ((p.x, p.y), p.name), lambda name, children: Pair(*children, name=name)
)


def trees() -> None:
    title("Trees of lists, tuples and dicts")
    examples = [
        [1, "a", 2.5],
        (1, (2, 3), ()),
        [1, {"k1": 2, "k2": (3, 4)}, 5],
        {"b": (2, 3), "a": 2},
        None,
        wnp.array([1, 2, 3]),
    ]
    for tree in examples:
        leaves, structure = weft.tree.flatten(tree)
        print(f"{len(leaves)} leaves: {leaves!s:<18} {structure}")
    tree = [1, {"k1": 2, "k2": (3, 4)}, 5]
    print("doubled:", weft.tree.map(lambda x: 2 * x, tree))
    print("added:  ", weft.tree.map(lambda x, y: x + y, tree, tree))
    try:
        weft.tree.map(lambda x, y: x + y, (1, 2), (1, (2, 3), 4))
    except ValueError:
        print("trees of different structures do not go together")

    title("A container of one's own")
    pairs = [Pair(0.0, 1.0), Pair(2.0, 4.0, "second")]
    print(weft.tree.map(lambda x: x + 1, pairs))
    print(weft.tree.leaves(pairs))
    print(weft.jit(lambda ps: weft.tree.map(lambda x: x * 10, ps[1]))(pairs).name)
    print("gradient:", weft.grad(lambda p: p.x * p.y)(Pair(3.0, 4.0)))


# A network, its parameters a tree


def init(widths, seed: int = 0):
    """Weights and biases of each layer."""
    rng = np.random.default_rng(seed)
    params = []
    for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
        weights = rng.normal(size=(n_in, n_out)) * np.sqrt(2 / n_in)
        params.append(dict(biases=np.ones(n_out), weights=weights))
    return params


def forward(params, x):
    *hidden, last = params
    for layer in hidden:
        x = weft.nn.relu(x @ layer["weights"] + layer["biases"])
    return x @ last["weights"] + last["biases"]


def loss(params, x, y):
    return wnp.mean((forward(params, x) - y) ** 2)


LEARNING_RATE = 0.0001


@weft.jit
def update(params, x, y):
    grads = weft.grad(loss)(params, x, y)
    return weft.tree.map(lambda p, g: p - LEARNING_RATE * g, params, grads)


def network(steps: int) -> float:
    title("A network")
    params = init([1, 128, 128, 1])
    print("shapes:", weft.tree.map(lambda x: x.shape, params))
    x = np.random.default_rng(1).normal(size=(128, 1))
    y = x**2
    for step in range(steps + 1):
        if step % (steps // 4) == 0:
            print(f"step {step:5d}   loss {float(loss(params, x, y)):.4f}")
        params = update(params, x, y)
    return float(loss(params, x, y))


def main(steps: int = 1000) -> None:
    state()
    trees()
    network(steps)


if __name__ == "__main__":
    main()

"""The whole of weft on real input (``make demo``).

Trains a classifier of handwritten digits, fits a loop whose length depends on the data, shows what a mistake looks
like, and compares with NumPy. What it generates lies under ``build/demo``.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import digits
import numpy as np
import projectile
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import weft

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "build" / "demo"
EPOCHS, BATCH, RATE = 120, 64, 0.1
WANTED = 0.97
console = Console(highlight=False)


def load():
    """scikit-learn's handwritten digits, in a fixed split: training images and labels, test images and labels."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        images / 16.0, labels, test_size=0.25, random_state=0, stratify=labels
    )
    return train, train_labels, test, test_labels


def train(images, labels, test, test_labels):
    """Train; returns the parameters, each step's loss, and the accuracy on the test images after each epoch."""
    rng = np.random.default_rng(0)
    params = digits.init()
    velocity = weft.tree.map(np.zeros_like, params)
    losses, accuracies = [], []
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs"), TimeElapsedColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  test accuracy {task.fields[accuracy]:.2%}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=EPOCHS, loss=math.nan, accuracy=0.0)
        for epoch in range(EPOCHS):
            order = rng.permutation(len(labels))
            for i in range(0, len(order), BATCH):  # the last batch is smaller, and runs the same compiled code
                chosen = order[i : i + BATCH]
                value, grads = digits.step(params, digits.shifted(images[chosen], rng), labels[chosen])
                digits.descend(params, velocity, grads, RATE * (1.0 - epoch / EPOCHS))
                losses.append(value)
            accuracies.append(digits.accuracy(params, test, test_labels))
            progress.update(task, advance=1, loss=value, accuracy=accuracies[-1])
    return params, losses, accuracies


def seconds(function, *args, repeats=200):
    """The median time of a call, from as many as fit in a second."""
    times = []
    while len(times) < repeats and sum(times) < 1.0:
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def shown(t):
    """A time in a unit that fits."""
    return f"{t:.2f} s" if t >= 1.0 else f"{t * 1e3:.3g} ms" if t >= 1e-3 else f"{t * 1e6:.3g} µs"


def first_calls():
    """Seconds to the first training step in a new process: with an empty cache, and with the cache it left."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "WEFT_CACHE_DIR": cache}
        command = [sys.executable, str(HERE / "digits.py")]
        runs = [subprocess.run(command, env=environment, check=True, capture_output=True, text=True) for _ in range(2)]
    cold, warm = (json.loads(run.stdout) for run in runs)
    assert cold["compilations"] == 1 and warm["loaded"] == 1, (cold, warm)
    return cold["seconds"], warm["seconds"]


def keep(name, function, *args):
    """Write a function's generated C++ and Python; returns their paths."""
    stages = function.inspect(*args)
    paths = [OUT / f"{name}.cpp", OUT / f"{name}.py"]
    for path, text in zip(paths, (stages.cpp, "import numpy as np\n\n\n" + stages.python), strict=True):
        path.write_text(text)
    return paths


def digits_part():
    """The classifier; returns rows for the table, and what the picture shows."""
    images, labels, test, test_labels = load()
    console.print(f"[bold]Digits[/]: {len(labels)} images to learn from, {len(test_labels)} to test on")
    params, losses, accuracies = train(images, labels, test, test_labels)
    if accuracies[-1] < WANTED:
        raise SystemExit(f"the classifier recognises {accuracies[-1]:.2%} of the test images, not {WANTED:.0%}")
    batch = params, images[:BATCH], labels[:BATCH]
    value, grads = digits.step(*batch)
    expected, by_hand = digits.step_by_hand(*batch)
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    for g, h in zip(grads, by_hand, strict=True):
        for name in g:
            np.testing.assert_allclose(g[name], h[name], rtol=1e-7, atol=1e-12)
    info = digits.step.cache_info()
    ours, numpys = seconds(digits.step, *batch), seconds(digits.step_by_hand, *batch)
    with console.status("first calls in new processes"):
        cold, warm = first_calls()
    rows = [
        ("test accuracy", f"{accuracies[-1]:.2%}"),
        (f"loss and gradient of {BATCH} images, weft", shown(ours)),
        ("    backpropagation written by hand in NumPy", shown(numpys)),
        ("programs compiled for all batch sizes", f"{info.compilations + info.loaded}"),
        ("first step in a new process, compiling", shown(cold)),
        ("    with weft's cache", shown(warm)),
    ]
    return rows, keep("digits", digits.step, *batch), (params, test, test_labels, losses, accuracies)


def projectile_part():
    """The fit of a loop; returns rows for the table."""
    angles, distances = projectile.measured()
    console.print(f"\n[bold]A projectile with drag[/]: speed and drag from {len(angles)} measured distances")
    for k, (speed, drag, rest) in enumerate(projectile.fit(angles, distances)):
        console.print(f"  step {k}: speed {speed:7.3f} m/s, drag {drag:8.5f} /m, off by {rest:8.4f} m")
    if abs(speed - 30.0) > 0.2 or abs(drag - 0.012) > 0.0004:
        raise SystemExit(f"the fit found speed {speed} and drag {drag}, not 30 and 0.012")
    h = 1e-6
    _, (by_speed, _) = projectile.landings(speed, drag, angles)
    difference = projectile.landings(speed + h, drag, angles)[0] - projectile.landings(speed - h, drag, angles)[0]
    np.testing.assert_allclose(by_speed, difference / (2.0 * h), rtol=1e-5)
    one = weft.jit(weft.value_and_grad(projectile.landing, argnums=(0, 1)))
    plain = seconds(projectile.landing, speed, drag, 0.7, repeats=20)
    compiled = seconds(weft.jit(projectile.landing), speed, drag, 0.7)
    both = seconds(one, speed, drag, 0.7)
    rows = [
        ("one flight, weft", shown(compiled)),
        ("    with its gradient", shown(both)),
        ("    in Python", shown(plain)),
    ]
    return rows, keep("projectile", one, speed, drag, 0.7)


def mistakes_part():
    """Two programs that are wrong, and what weft says to them."""
    console.print("\n[bold]Mistakes[/]: a variable that may not exist, a flight that never ends")
    wrong = (
        (weft.StagingError, "'top'", weft.jit(projectile.apex), (30.0, 0.7)),
        (ValueError, "still flying", weft.jit(weft.grad(projectile.landing)), (30.0, -0.05, 1.5)),
    )
    for kind, reason, function, args in wrong:
        try:
            function(*args)
        except kind as error:
            assert reason in str(error), error
            console.print(f"[red]{kind.__name__}[/]: {escape(str(error))}", soft_wrap=True)
        else:
            raise SystemExit(f"{function} raised no {kind.__name__}")


def picture(params, test, test_labels, losses, accuracies):
    """Save the loss curve and some digits with what the network takes them for; returns the path."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    guesses = digits.logits(params, test).argmax(axis=1)
    wrong = np.flatnonzero(guesses != test_labels)[:6]
    right = np.flatnonzero(guesses == test_labels)[: 24 - len(wrong)]
    figure = plt.figure(figsize=(11, 4.2), layout="constrained")
    left, panel = figure.subfigures(1, 2, width_ratios=(1.2, 1))
    axes = left.subplots()
    per_epoch = len(losses) / len(accuracies)
    epochs = np.arange(1, len(losses) + 1) / per_epoch
    axes.semilogy(epochs, losses, color="0.8", linewidth=0.6, label="loss of a batch")
    smooth = np.convolve(losses, np.ones(44) / 44, mode="valid")
    axes.semilogy(epochs[43:], smooth, color="tab:blue", label="mean of two epochs")
    axes.set(xlabel="epoch", ylabel="cross entropy")
    other = axes.twinx()
    other.plot(np.arange(1, len(accuracies) + 1), accuracies, color="tab:orange", label="test accuracy")
    other.set(ylabel="test accuracy", ylim=(0.5, 1.0))
    lines = axes.get_lines() + other.get_lines()
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="lower left")
    panel.suptitle("guesses (and the truth, where they are wrong)")
    for k, cell in zip([*wrong, *right], panel.subplots(4, 6).flat, strict=True):
        cell.imshow(test[k].reshape(8, 8), cmap="gray_r")
        bad = guesses[k] != test_labels[k]
        cell.set_title(f"{guesses[k]} ({test_labels[k]})" if bad else f"{guesses[k]}", color="red" if bad else "black")
        cell.axis("off")
    path = OUT / "digits.png"
    figure.savefig(path, dpi=110)
    return path


def main():
    """Run all parts and print the table."""
    OUT.mkdir(parents=True, exist_ok=True)
    rows, files, shown = digits_part()
    more, others = projectile_part()
    mistakes_part()
    files = [*files, *others, picture(*shown)]
    table = Table(title="\nmeasured on this machine", title_style="bold", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    table.add_section()
    for row in more:
        table.add_row(*row)
    console.print(table)
    console.print("generated C++, the derivatives as Python, and the picture:")
    for path in files:
        console.print(f"  {path}", soft_wrap=True)


if __name__ == "__main__":
    main()

"""Trains the small network of the course notes on real images, with this package's own gradients.

    pip install '.[examples]' && python examples/train.py

The notes' network for CIFAR-10 is INPUT[32x32x3] -> CONV with 12 filters -> RELU -> POOL -> FC with 10 scores. Here it
reads scikit-learn's handwritten digits: 1797 grey images of 8x8, a fifth of which is held out of training.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from convproof import autograd as ag
from convproof import execute
from convproof.architecture import Dropout, Network, Softmax, notation
from convproof.errors import ConvproofError, InputError

Array = np.ndarray[Any, np.dtype[Any]]
Parameters = dict[tuple[str, str], Array]
"""{(layer, field): array}, for example {("conv1", "weight"): ...}."""

NETWORK = "INPUT[8x8x1] -> CONV3-12 -> RELU -> POOL2 -> FC-10"
SIDE, CLASSES = 8, 10
TOGETHER = 256
"""Images that are judged at a time."""


def needed(module: str, package: str) -> Any:
    """A module that only the examples need."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(f"{package} is not installed; pip install '.[examples]' brings it") from None


# --- data and parameters ----------------------------------------------------------------------------------------------


def classifier(text: str) -> Network:
    """The network of a notation, if it can read digits and be trained."""
    network = notation.network(text)
    sizes = network.image.sizes
    if len(sizes) != 2 or not all(isinstance(n, int) for n in (*sizes, network.image.channels)):
        raise InputError("--network: INPUT must have three numbers, as in INPUT[8x8x1]")
    if any(n % SIDE for n in sizes):
        raise InputError(f"--network: the sizes of INPUT must be multiples of {SIDE}, as in INPUT[8x8x1]")
    for node in network:
        if isinstance(node.layer, (Dropout, Softmax)):
            raise InputError(f"--network: {node.name}: leave it out; the loss has the softmax, and nothing is dropped")
    return network


def digits(network: Network) -> tuple[Array, Array]:
    """Images (N, C, H, W) from 0 to 1, every element repeated to fill the network's input, and their labels (N,)."""
    found = needed("sklearn.datasets", "scikit-learn").load_digits()
    images = found.images[:, None].astype(np.float32) / 16  # (N, 1, 8, 8)
    height, width = network.image.sizes
    for axis, times in ((1, network.image.channels), (2, height // SIDE), (3, width // SIDE)):
        images = images.repeat(times, axis)
    return images, found.target


def initial(network: Network, rng: np.random.Generator) -> Parameters:
    """Weights from a normal distribution of variance 2 / fan-in, biases 0, scales of a normalization 1.

    Source: K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers" (2015), section 2.2.
    """
    image = np.zeros((1, network.image.channels, *network.image.sizes), np.float32)
    activations, found = execute.run(network, image, draw=np.zeros)
    output = activations[network.output.name].shape[1:]
    if output != (CLASSES,):
        raise InputError(f"--network: an image's output has shape {output}; it must be ({CLASSES},), so end in FC-10")

    def drawn(field: str, shape: tuple[int, ...]) -> Array:
        if len(shape) == 1:
            return np.full(shape, field == "weight", np.float32)
        return rng.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape).astype(np.float32)

    return {(layer, field): drawn(field, t.shape) for layer, fields in found.items() for field, t in fields.items()}


# --- training ---------------------------------------------------------------------------------------------------------


def scores(network: Network, parameters: dict[tuple[str, str], Any], images: Array) -> ag.Tensor:
    """What the network makes of images (N, C, H, W): (N, classes)."""
    tree: execute.Parameters = {}
    for (layer, field), value in parameters.items():
        tree.setdefault(layer, {})[field] = value
    return execute.run(network, images, tree)[0][network.output.name]


def step(
    network: Network,
    parameters: Parameters,
    velocities: Parameters,
    batch: tuple[Array, Array],
    lr: float,
    momentum: float,
    loss: Callable[[Any, Any], ag.Tensor] = ag.cross_entropy,
) -> tuple[Parameters, Parameters, float]:
    """New parameters and velocities, v = momentum*v + gradient and p = p - lr*v, and the loss of the old parameters."""
    images, labels = batch
    leaves = {place: ag.tensor(p) for place, p in parameters.items()}
    value = loss(scores(network, leaves, images), labels)
    gradients = dict(zip(leaves, ag.grad(value, leaves.values()), strict=True))
    velocities = {place: momentum * v + gradients[place].numpy() for place, v in velocities.items()}
    return {place: p - lr * velocities[place] for place, p in parameters.items()}, velocities, float(value.numpy())


def train(
    network: Network,
    parameters: Parameters,
    batches: Iterable[tuple[Array, Array]],
    lr: float,
    momentum: float,
    tell: Callable[[float], None],
) -> tuple[Parameters, list[float]]:
    """The parameters after all batches, and the loss of each batch, which `tell` is called with at once."""
    velocities = {place: np.zeros_like(p) for place, p in parameters.items()}
    losses = list[float]()
    for batch in batches:
        parameters, velocities, loss = step(network, parameters, velocities, batch, lr, momentum)
        if not math.isfinite(loss):
            raise InputError("the loss is no longer finite; use a smaller --lr")
        losses.append(loss)
        tell(loss)
    return parameters, losses


def judged(network: Network, parameters: Parameters, images: Array, labels: Array) -> tuple[float, float]:
    """The mean loss, and the share of right answers."""
    parts = (images[start : start + TOGETHER] for start in range(0, len(images), TOGETHER))
    found = np.concatenate([scores(network, parameters, part).numpy() for part in parts])
    return float(ag.cross_entropy(found, labels).numpy()), float(np.mean(found.argmax(1) == labels))


# --- the picture ------------------------------------------------------------------------------------------------------


def destination(picture: Path) -> Path:
    """Where a picture goes, if one can be written there."""
    target = picture.resolve()
    if target.suffix not in (".png", ".svg"):
        raise InputError(f"--picture {picture}: the name must end in .png or .svg")
    if target.is_dir() or not os.access(target.parent, os.W_OK):
        raise InputError(f"--picture {picture}: no file can be written there; choose another place")
    return target


def draw(losses: Sequence[float], steps: int, target: Path) -> None:
    """The loss of every batch, `steps` an epoch; written under another name and then moved, so never half there."""
    figure = needed("matplotlib.figure", "matplotlib").Figure(figsize=(7, 4), layout="constrained")  # draws with Agg
    axes = figure.subplots()
    axes.plot(np.arange(1, len(losses) + 1) / steps, losses, linewidth=0.6, label="of a batch")
    means = np.reshape(losses, (-1, steps)).mean(1)
    axes.plot(np.arange(1, len(means) + 1), means, marker="o", label="mean of an epoch")
    axes.set(xlabel="epoch", ylabel="training loss (softmax cross-entropy)", yscale="log")
    axes.legend()
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        figure.savefig(temporary, format=target.suffix[1:], dpi=150)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


# --- the command line -------------------------------------------------------------------------------------------------


def progress() -> Any:
    """A bar on stderr; silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--epochs", default=20, type=click.IntRange(1), help="How often every image is used.")
@click.option("--batch", default=32, type=click.IntRange(1), help="Images a step.")
@click.option("--lr", default=0.05, type=click.FloatRange(0, min_open=True), help="Step size.")
@click.option("--momentum", default=0.9, type=click.FloatRange(0, 1, max_open=True), help="What a velocity keeps.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Of what is held out, first weights and batches.")
@click.option("--network", "text", default=NETWORK, metavar="NOTATION", help="From INPUT to FC-10.")
@click.option("--picture", default="loss.png", type=click.Path(path_type=Path), help="Loss curve, .png or .svg.")
def command(epochs: int, batch: int, lr: float, momentum: float, seed: int, text: str, picture: Path) -> None:
    """Train a convolutional network on 8x8 images of handwritten digits, with convproof's gradients.

    Stochastic gradient descent with momentum on the softmax cross-entropy. Draws the loss curve, and prints the loss on
    four fifths of the images, and the share of right answers on them and on those held out.

    The images fill larger inputs by repetition. This is the notes' own network:

    \b
      python examples/train.py --epochs 5 \\
        --network "INPUT[32x32x3] -> CONV3-12 -> RELU -> POOL2 -> FC-10"

    `convproof net --help` describes the notation. BN takes mean and variance of the batch, after training too.
    """
    if not math.isfinite(lr + momentum):
        raise InputError("--lr and --momentum must be finite numbers")
    network, target, rng = classifier(text), destination(picture), np.random.default_rng(seed)
    parameters = initial(network, rng)
    needed("matplotlib", "matplotlib")
    images, labels = digits(network)
    held, used = np.split(rng.permutation(len(images)), [len(images) // 5])
    steps = math.ceil(len(used) / batch)
    orders = (rng.permutation(used) for _ in range(epochs))
    chosen = (order[start : start + batch] for order in orders for start in range(0, len(used), batch))
    batches = ((images[places], labels[places]) for places in chosen)
    with np.errstate(over="ignore", invalid="ignore"), progress() as bar:
        task = bar.add_task("", total=epochs * steps)

        def tell(loss: float) -> None:
            bar.update(task, advance=1, description=f"loss {loss:.3f}")

        parameters, losses = train(network, parameters, batches, lr, momentum, tell)
        loss, right = judged(network, parameters, images[used], labels[used])
        _, right_held = judged(network, parameters, images[held], labels[held])
    draw(losses, steps, target)
    click.echo(f"training loss {loss:.4f}, training accuracy {right:.2%}, test accuracy {right_held:.2%}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: errors become one line on stderr and exit status 2; Ctrl-C ends with 130."""
    status = 2
    try:
        command.main(arguments, prog_name="train.py", standalone_mode=False)
        return
    except click.ClickException as error:
        message = f"{error.format_message()} (see train.py --help)"
    except ConvproofError as error:
        message = str(error)
    except (click.Abort, KeyboardInterrupt):
        status, message = 130, "interrupted"
    except MemoryError:
        message = "not enough memory; use a smaller --network or --batch"
    except OSError as error:
        message = f"{error.filename or 'the output'}: {error.strerror or error}"
    click.echo(f"train.py: {' '.join(message.split())}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()

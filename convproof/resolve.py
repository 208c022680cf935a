"""What a SPEC on the command line names: notation, a classic, a file, or an object in a module."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convproof.architecture import Input, Network, notation, printing, zoo
from convproof.architecture.notation import Chain
from convproof.errors import InputError
from convproof.targets import TARGET, target

if TYPE_CHECKING:
    from convproof.importers.graph import Imported


@dataclass(frozen=True)
class Source:
    """A network, what else is known of it where it was imported, and what to know about it."""

    network: Network
    imported: Imported | None = None
    remarks: tuple[str, ...] = ()


def source(
    spec: str, image: Input | Mapping[str, Input] | None = None, tensor: str | None = None, training: bool = False
) -> Source | str:
    """The network that a SPEC names, on `image` if that is given; of a family of networks, its notation.

    `tensor` is the one of a model's outputs that is wanted; a module is read as it is in `training`, if that is asked
    for. Raises `InputError`, and what notation and importers raise.

    >>> source("vgg16").network.image
    Input(channels=3, sizes=(224, 224))
    >>> source("INPUT[WxWx3] -> [CONV3-8]*N", Input(1, ("H", "W")))
    'INPUT[WxHx1] -> [CONV3-8]*N'
    """
    text = spec.strip()
    if isinstance(image, Mapping):
        found = target(text) if TARGET.fullmatch(text) else None
        if not _is_torch(found):
            raise InputError(f"--input NAME=... names the inputs of a module's forward; {text[:40]!r} has one image")
        return _torch(found, image, tensor, training)
    if text.lower() in zoo.ENTRIES:
        classic = zoo.ENTRIES[text.lower()]
        return Source(_on(notation.network(classic.notation), image), None, classic.notes)
    if text.lower().endswith(".onnx"):
        from convproof.importers import onnx

        return _imported(onnx.load(text, output=tensor), image)
    if TARGET.fullmatch(text):
        return _object(target(text), text, image, tensor, training)
    if re.fullmatch(r"[a-z][a-z0-9_-]*", text):
        close = difflib.get_close_matches(text, zoo.ENTRIES, n=3)
        known = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(zoo.ENTRIES)}."
        raise InputError(f"no classic is named {text!r}; {known} Or write the network in notation")
    return _of_text(text, image)


def read_image(text: str) -> Input:
    """`HxWxC` (or WxC, DxHxWxC), in numbers or letters, as an Input layer.

    >>> read_image("224x224x3")
    Input(channels=3, sizes=(224, 224))
    """
    parts = text.split("x")
    if len(parts) < 2 or not all(re.fullmatch(r"[0-9]{1,12}|[A-Za-z][A-Za-z0-9_]*", part) for part in parts):
        raise InputError(f"--input {text!r} is not HxWxC, height first, in numbers or letters: 224x224x3, HxWx3")
    *sizes, channels = (int(part) if part.isdecimal() else part for part in parts)
    if 0 in (channels, *sizes):
        raise InputError(f"--input {text!r} has a 0; sizes and channels are 1 or more")
    return Input(channels, tuple(sizes))


def read_images(texts: Sequence[str]) -> Input | dict[str, Input] | None:
    """What `--input` gives: one image, or several by the names of a forward's inputs.

    >>> read_images(["left=HxWx3", "right=HxWx1"])
    {'left': Input(channels=3, sizes=('H', 'W')), 'right': Input(channels=1, sizes=('H', 'W'))}
    """
    named = dict(text.split("=", 1) for text in texts if "=" in text)
    if len(texts) == 1 and not named:
        return read_image(texts[0])
    if len(named) < len(texts):
        raise InputError("several --input must have different names: --input left=224x224x3 --input right=224x224x3")
    return {name: read_image(text) for name, text in named.items()} or None


def read_batch(text: str | None) -> int | str:
    """A number of images, or a letter for it; 1 where nothing is said.

    >>> read_batch("32"), read_batch("N"), read_batch(None)
    (32, 'N', 1)
    """
    if text is None:
        return 1
    if not re.fullmatch(r"[1-9][0-9]{0,8}|[A-Z]", text):
        raise InputError(f"--batch {text[:20]!r} is no number of images; write one such as 32, or a letter such as N")
    return int(text) if text.isdecimal() else text


def _of_text(text: str, image: Input | None) -> Source | str:
    """The network of a text, or a family's text; one without INPUT gets --input in front."""
    tree = notation.parse(text)
    if notation.is_family(tree):
        if image is None or not isinstance(tree, Chain):
            return text
        return printing.to_notation(Chain((image, *tree.items[notation.has_input(text) :])))
    return Source(_on(notation.network(text, None if notation.has_input(text) else image), image))


def _on(network: Network, image: Input | None) -> Network:
    """`network` on another input, which must have as many axes as its own."""
    if image is None:
        return network
    own = network.image
    if len(image.sizes) != len(own.sizes):
        example = "x".join(map(str, (*own.sizes, own.channels)))
        axes = f"{len(image.sizes)} spatial {'axis' if len(image.sizes) == 1 else 'axes'}"
        raise InputError(f"--input has {axes}, the network {len(own.sizes)}; write it like {example}")
    return network.with_input(image)


def _imported(found: Imported, image: Input | None) -> Source:
    """What an importer found, on another input of as many channels if that is given."""
    own = found.network.image.channels
    if image is not None and isinstance(own, int) and image.channels != own:
        raise InputError(f"--input has {image.channels} channels; the weights are for {own}")
    remarks = [f"{layer}: {note}" for layer, note in found.notes.items()]
    if image is not None and found.undecided and image.sizes != found.network.image.sizes:
        read, asked = ("x".join(map(str, sizes)) for sizes in (found.network.image.sizes, image.sizes))
        remarks.append(f"the network is as it was read at {read}; at {asked} the model may be another one")
    return Source(_on(found.network, image), found, tuple(remarks))


def _object(found: object, text: str, image: Input | None, tensor: str | None, training: bool) -> Source | str:
    """A Network, notation text, or a PyTorch module or exported program."""
    if isinstance(found, str):
        return _of_text(found, image)
    if isinstance(found, Network):
        return Source(_on(found, image))
    if _is_torch(found):
        return _torch(found, image, tensor, training)
    what = "a class" if isinstance(found, type) else f"of type {type(found).__name__}"
    raise InputError(f"{text} is {what}; it must be a convproof.Network, notation text or a torch.nn.Module")


def _is_torch(found: object) -> bool:
    """Whether something is a module or an exported program."""
    return any(each.__module__.startswith(("torch.nn", "torch.export")) for each in type(found).__mro__)


def _torch(found: object, image: Input | Mapping[str, Input] | None, tensor: str | None, training: bool) -> Source:
    """A module, on one image, or on several by the names of its inputs."""
    from convproof.importers import torch

    if isinstance(image, Mapping):
        shapes = {name: (each.channels, *each.sizes) for name, each in image.items()}
        return _imported(torch.load(found, shapes, output=tensor, training=training), None)
    shape = None if image is None else (image.channels, *image.sizes)
    return _imported(torch.load(found, shape, output=tensor, training=training), image)

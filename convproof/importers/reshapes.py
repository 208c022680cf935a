"""PyTorch's operations on shapes: sizes that are asked for, and elements that are laid out on other axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod
from typing import Any

from convproof.architecture import layers
from convproof.importers.calls import Call, Rule
from convproof.importers.sizes import OTHERWISE, Size, is_formula, minus
from convproof.importers.tensors.axes import contiguous
from convproof.importers.tensors.parts import placed
from convproof.importers.values import Computed, Constant, Flow, Inexpressible, axis_of, short_pads
from convproof.importers.views import Atom, View

# --- sizes ------------------------------------------------------------------------------------------------------------


def _shape(call: Call) -> tuple[Size, ...]:
    x = call.raw("input")
    if not isinstance(x, Flow | Constant):
        raise Inexpressible("it reads no tensor")
    return call.graph.extents(x)


def _size(call: Call) -> Any:
    shape, axis = _shape(call), call.get("dim")
    return shape if axis is None else shape[axis_of(axis, len(shape))]


def _attribute(call: Call) -> Any:
    name = call.raw("name")
    if name == "shape":
        return _shape(call)
    if name == "ndim":
        return len(_shape(call))
    return call.x if name == "data" else Computed(f"its {name} is not looked at")


# --- other axes -------------------------------------------------------------------------------------------------------


def _laid_out(call: Call, view: View) -> Flow:
    """The layer that lays out the elements like this: itself, a shuffle of channels, a vector for each image, or other
    axes of numbers.
    """
    if view.axes == view.own:
        return view.x
    if view.shuffled is not None:
        return call.add(layers.ChannelShuffle(view.shuffled), [view.x])
    if len(view.axes) == 2 and view.keeps_batch:
        return call.add(layers.Flatten(), [view.x])  # in any order: that of the weights behind
    sizes = view.sizes()[1:]
    moves = call.op in ("permute", "transpose", "swapaxes")
    if (
        not moves
        and view.keeps_batch
        and view.keeps_order
        and all(isinstance(n, int) for n in sizes)
        and _is_image(sizes)
    ):
        return call.moved(layers.Reshape(sizes), view)
    call.view = view
    raise Inexpressible(OTHERWISE)


def _is_image(sizes: Sequence[Size]) -> bool:
    """Whether these are (C, *spatial) or (units,)."""
    return 1 <= len(sizes) <= 4


def _reshape(call: Call) -> Flow:
    view = call.graph.viewed(call.x)
    target = call.graph.with_batch(_listed(call), view.sizes())
    if target and call.graph.is_batch(target[0]) and view.own[:1] == ((Atom(0, call.graph.batch),),):
        target[0] = call.graph.batch
    rows, *sizes = view.sizes()
    if len(target) == 2 and view.keeps_batch and target in ([rows, -1], [-1, call.graph.times(sizes)]):
        return _laid_out(call, view.on((view.axes[0], [atom for axis in view.axes[1:] for atom in axis])))
    try:
        return _laid_out(call, view.reshaped(target))
    except Inexpressible:
        if call.view is not None:
            raise
    if (made := _written_out(call, view, target)) is not None:
        return made
    if all(call.graph.is_of_image(n) for n in view.sizes()):
        raise Inexpressible(OTHERWISE)
    return _laid_out(call, _in_numbers(call, view).reshaped([_in_number(call, n) for n in target]))


def _view(call: Call) -> Flow:
    """A reshape that fails where the elements do not lie in memory in order."""
    contiguous(call)
    return _reshape(call)


def _written_out(call: Call, view: View, target: list[Any]) -> Flow | None:
    """A shape in numbers, which demands as many values; with -1 for the batch, rows of an image may be images of their
    own then. None for another shape.
    """
    rows, sizes = target[:1], tuple(target[1:])
    if not all(isinstance(n, int) and n > 0 for n in sizes) or not _is_image(sizes):
        return None
    if not view.keeps_batch or not (view.keeps_order or len(sizes) == 1):  # a vector in the order of the weights behind
        return None
    of_batch = rows == [-1] and view.sizes()[0] == call.graph.batch  # of rows there is no saying into how many they go
    if not of_batch and rows != [view.sizes()[0]]:
        return None
    whole = _whole_channels(view, sizes)
    made = call.add(layers.Reshape(whole or sizes, batch=of_batch), [view.x], ".positions" if whole else "")
    if of_batch:
        call.note(made, "an image of more values becomes several rows; what follows is counted for one of them")
    return _laid_out(call, call.graph.viewed(made).reshaped([*rows, *sizes])) if whole else made


def _whole_channels(view: View, sizes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of an image, of which another one divides the channels alone; None where it does more."""
    channels, *positions = view.sizes()[1:]
    groups = len(sizes) - len(positions)
    if view.axes != view.own or groups < 2 or prod(sizes[:groups]) != channels:
        return None
    return (channels, *sizes[groups:])


def _listed(call: Call) -> list[Any]:
    """The sizes or axes behind the first argument."""
    return [each if isinstance(each, int) or is_formula(each) else call.graph.resolved(each) for each in call.rest]


def _in_numbers(call: Call, view: View) -> View:
    """The view at the given image."""
    own, axes = (
        tuple(tuple(found for atom in axis if (found := _numbered(call, atom)).size != 1) for axis in each)
        for each in (view.own, view.axes)
    )
    return View(view.x, own, axes)


def _numbered(call: Call, atom: Atom) -> Atom:
    return replace(atom, size=_in_number(call, atom.size))


def _in_number(call: Call, size: Size) -> Size:
    return size if size == call.graph.batch else call.graph.number(size)


def _flatten(call: Call) -> Flow:
    view = call.graph.viewed(call.x)
    rank = len(view.axes)
    first, last = axis_of(call.get("start_dim", 0), rank), axis_of(call.get("end_dim", -1), rank)
    merged = [atom for axis in view.axes[first : last + 1] for atom in axis]
    return _laid_out(call, view.on((*view.axes[:first], merged, *view.axes[last + 1 :])))


def _unflatten(call: Call) -> Flow:
    view = call.graph.viewed(call.x)
    sizes = list(view.sizes())
    axis = axis_of(call.get("dim"), len(sizes))
    sizes[axis : axis + 1] = call.raw("unflattened_size", call.raw("sizes"))
    return _laid_out(call, view.reshaped(sizes))


def _permute(call: Call) -> Flow:
    view = call.graph.viewed(call.x)
    return _laid_out(call, view.on(view.axes[axis_of(each, len(view.axes))] for each in _listed(call)))


def _transpose(call: Call) -> Flow:
    view = call.graph.viewed(call.x)
    a, b = (axis_of(call.get(name), len(view.axes)) for name in ("dim0", "dim1"))
    axes = list(view.axes)
    axes[a], axes[b] = axes[b], axes[a]
    return _laid_out(call, view.on(axes))


def _squeeze(call: Call) -> Flow:
    view = call.graph.viewed(call.x)
    wanted = [axis_of(each, len(view.axes)) for each in _listed(call)]
    if not wanted:
        call.graph.undecide(call.place, "without axes it takes the batch of a single image away, too; name the axes")
        wanted = [*range(1, len(view.axes))]
    ones = {axis for axis, n in enumerate(view.sizes()) if axis in wanted and _in_number(call, n) == 1}
    return _laid_out(call, view.on(atoms for axis, atoms in enumerate(view.axes) if axis not in ones))


def _unsqueeze(call: Call) -> Flow:
    view = call.graph.viewed(call.x)
    axes = list(view.axes)
    axes.insert(axis_of(call.get("dim"), len(axes) + 1), ())
    return _laid_out(call, view.on(axes))


# --- parts ------------------------------------------------------------------------------------------------------------

_ALL = slice(None, None, None)


def _index(call: Call) -> Flow:
    """x[..., 0] where there is only one, and x[:, :, 1:-1], which crops."""
    view, given = call.graph.viewed(call.x), call.raw("index")
    index = list(given) if isinstance(given, tuple) else [given]
    missing = [_ALL] * (len(view.axes) - sum(each is not None and each is not ... for each in index))
    place = index.index(...) if ... in index else len(index)
    index[place : place + 1] = missing
    if any(isinstance(each, slice) and each != _ALL for each in index):
        return _crop(call, index)
    axes, rest = list[Any](), list(view.axes)
    for each in index:
        axes += [()] if each is None else [rest.pop(0)]
        if each == 0 and axes[-1] == ():
            axes.pop()
        elif each is not None and each != _ALL:
            raise Inexpressible("it takes a part of what it reads")
    return _laid_out(call, view.on(axes))


def _crop(call: Call, index: list[Any]) -> Flow:
    """Slices of the spatial axes are negative pads, one of the channels a slice."""
    x, sizes = call.x, call.graph.extents(call.x)
    if index[:1] != [_ALL] or not all(isinstance(each, slice) and each.step in (None, 1) for each in index):
        raise Inexpressible("it takes a part of what it reads")
    pairs = [_cut(call, each, n) for each, n in zip(index[2:], sizes[2:], strict=True)]
    if index[1] != _ALL:
        channels = _channels(call, 1)
        first, stop, _ = call.graph.resolved(index[1]).indices(channels)
        if (first, stop) != (0, channels):
            x = _part(call, first, stop, ".channels" if any(map(any, pairs)) else "")
    if not any(map(any, pairs)):
        return x
    read = [x]
    amounts = [tuple(call.graph.amount(each, read) for each in pair) for pair in pairs]
    made = call.add(layers.Pad(short_pads(amounts)), read)
    call.graph.absorb([made.layer])  # what nothing reads may be empty
    if made.shape is not None and all(map(call.graph.is_there, call.graph.of_image(made.shape))):
        call.graph.grown.add(made.layer)
    return made


def _channels(call: Call, axis: Any) -> int:
    """How many channels there are, of which a part along `axis` is taken."""
    sizes = call.graph.extents(call.x)
    if axis_of(axis, len(sizes)) != 1:
        raise Inexpressible("it divides another axis than the channels")
    return call.graph.number(sizes[1])


def _part(call: Call, first: int, stop: int, part: str = "") -> Flow:
    """Some of the channels."""
    if not 0 <= first < stop <= _channels(call, 1):
        raise Inexpressible(f"it takes no channels, or more than there are: from {first} to {stop}")
    return call.add(layers.Slice(first, stop), [call.x], part)


def _chunk(call: Call) -> tuple[Flow, ...]:
    """Parts of so many channels each, the last of what is left."""
    channels = _channels(call, call.get("dim", 0))
    return _parts(call, [-(-channels // call.get("chunks"))], channels)


def _split(call: Call) -> tuple[Flow, ...]:
    """Parts of the channels, all of one size or of each its own."""
    sizes = call.get("split_size", call.get("split_size_or_sections"))
    return _parts(call, list(call.spread(sizes, 1)), _channels(call, call.get("dim", 0)))


def _parts(call: Call, sizes: list[int], channels: int) -> tuple[Flow, ...]:
    """Parts of the channels one after the other; a single size is that of all but the last."""
    if len(sizes) == 1 and sizes[0] > 0:
        sizes = [min(sizes[0], channels - start) for start in range(0, channels, sizes[0])]
    stops = list(accumulate(sizes))
    if not stops or stops[-1] != channels:
        raise Inexpressible(f"its parts, {sizes}, do not make up {channels} channels")
    return tuple(_part(call, stop - n, stop, f".{k}") for k, (n, stop) in enumerate(zip(sizes, stops, strict=True)))


def _narrow(call: Call) -> Flow:
    first = call.get("start")
    channels = _channels(call, call.get("dim"))
    first += channels * (first < 0)
    return _part(call, first, first + call.get("length"))


def _cut(call: Call, part: slice, size: Size) -> tuple[Any, Any]:
    """What a slice leaves away at both ends, as negative numbers."""
    start, stop = placed(call, part.start, size, 0), placed(call, part.stop, size, size)
    return minus(0, start), minus(stop, size)


MODULES: dict[str, Rule] = {"Flatten": _flatten, "Unflatten": _unflatten}
FUNCTIONS: dict[str, tuple[Rule, str]] = {
    "chunk": (_chunk, "input chunks dim"),
    "dim": (lambda call: len(_shape(call)), "input"),
    "flatten": (_flatten, "input start_dim end_dim"),
    "getattr": (_attribute, "input name"),
    "getitem": (_index, "input index"),
    "narrow": (_narrow, "input dim start length"),
    "numel": (lambda call: call.graph.times(_shape(call)), "input"),
    "permute": (_permute, "input"),
    "reshape": (_reshape, "input"),
    "size": (_size, "input dim"),
    "split": (_split, "input split_size dim"),
    "squeeze": (_squeeze, "input"),
    "swapaxes": (_transpose, "input dim0 dim1"),
    "transpose": (_transpose, "input dim0 dim1"),
    "unflatten": (_unflatten, "input dim sizes"),
    "unsqueeze": (_unsqueeze, "input dim"),
    "view": (_view, "input"),
}
SIZES = ("dim", "getattr", "numel", "size")
"""Functions that make no tensor."""

VIEWED = {_reshape, _view, _flatten, _unflatten, _permute, _transpose, _squeeze, _unsqueeze}
"""The rules that follow elements wherever the batch is."""

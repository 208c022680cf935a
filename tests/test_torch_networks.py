"""Well-known networks as torch modules, against torch itself on tensors without data, and against published figures."""

import warnings
from dataclasses import replace
from functools import cache
from math import prod

import pytest
from exactly import size_sets

from convproof.architecture import notation, zoo
from convproof.importers.torch import load
from convproof.symbolic import accepted_sizes, analyze, output_shapes
from convproof.symbolic.memory import training_memory
from convproof.symbolic.shapes import infer

torch = pytest.importorskip("torch", reason="torch is not installed; `pip install '.[torch]'` brings it")
from exported import MODULES  # noqa: E402

from torchmodules import VGG, Basic, Bottleneck, DenseNet, Does, MobileNetV2, ResNet, UNet, on, shufflenet  # noqa: E402

nn = torch.nn

MAKERS = {
    "resnet18": lambda: ResNet(Basic, (2, 2, 2, 2)),
    "resnet50": lambda: ResNet(Bottleneck, (3, 4, 6, 3)),
    "vgg11": lambda: VGG(1, 1, 2, 2, 2),
    "mobilenet_v2": MobileNetV2,
    "densenet121": DenseNet,
    "unet": UNet,
    "unet with upsampling": lambda: UNet(upsample=True, widths=(8, 16, 32)),
    "shufflenet": shufflenet,
}
PUBLISHED = {
    "resnet18": (11_689_512, 1.814, "resnet18"),
    "resnet50": (25_557_032, 4.089, "resnet50_v1_5"),
    "vgg11": (132_863_336, 7.609, "vgg11"),
    "mobilenet_v2": (3_504_872, 0.301, "mobilenet_v2"),
    "densenet121": (7_978_856, 2.834, "densenet121"),
}
"""Parameters and billions of multiply-adds from the documentation of torchvision, and the name in the notation."""


@cache
def made(name):
    """The module, without data."""
    with torch.device("meta"):
        return MAKERS[name]()


def channels(module):
    return next(each.in_channels for each in module.modules() if isinstance(each, nn.Conv2d))


def shapes_by_torch(module, *shape):
    """The output shape of every module that has none inside, by its path; later calls are numbered."""
    shapes, hooks = {}, []

    def kept(path):
        def hook(_, __, out):
            calls = sum(name.split("_call")[0] == path for name in shapes)
            shapes[path if calls == 0 else f"{path}_call{calls + 1}"] = tuple(out.shape[1:])

        return hook

    training = module.training
    for path, each in module.named_modules():
        if not list(each.children()) and not isinstance(each, nn.Identity):
            hooks.append(each.register_forward_hook(kept(path)))
    try:
        module.eval()
        shapes["the output"] = tuple(module(torch.empty(1, *shape, device="meta")).shape[1:])
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    return {name.replace("_call", "_"): found for name, found in shapes.items()}


def runs(module, *shape):
    """Whether torch runs the module on an image of this shape."""
    try:
        module(torch.empty(1, *shape, device="meta"))
    except RuntimeError:
        return False
    return True


SIZES = {name: [(64, 96), (97, 65), (224, 224)] for name in MAKERS}
SIZES |= {
    "vgg11": [(224, 224), (230, 239), (97, 301)],
    "unet": [(64, 32), (16, 112)],
    "unet with upsampling": [(64, 32), (4, 108)],
}


@pytest.mark.parametrize("name", MAKERS)
def test_shapes_of_every_layer(name):
    module = made(name)
    for sizes in SIZES[name]:
        imported = load(module, (channels(module), *sizes))
        network, theirs = imported.network, shapes_by_torch(module, channels(module), *sizes)
        ours = output_shapes(network)
        assert {path: ours[path] for path in theirs if path != "the output"} == {
            path: shape for path, shape in theirs.items() if path != "the output"
        }
        assert ours[network.output.name] == theirs["the output"]
        assert imported.undecided == ()


@pytest.mark.parametrize("name", MAKERS)
def test_letters_stand_for_all_sizes(name):
    module = made(name)
    free = load(module).network
    assert free.image.sizes == ("H", "W")
    for sizes in SIZES[name]:
        assert on(free, *sizes) == load(module, (channels(module), *sizes)).network


@pytest.mark.parametrize("name", MAKERS)
def test_parameters(name):
    module = made(name)
    imported = load(module, (channels(module), 224, 224))
    count = sum(each.numel() for each in module.parameters())
    assert imported.learned == analyze(imported.network, imported.parameters).totals.params == count
    assert {each for used in imported.parameters.values() for each in used} == {n for n, _ in module.named_parameters()}
    for layer, used in imported.parameters.items():
        assert all(each.rpartition(".")[0] == layer for each in used)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name):
    parameters, billions, _ = PUBLISHED[name]
    totals = analyze(load(made(name), (3, 224, 224)).network).totals
    assert totals.params == parameters
    assert round(totals.macs / 1e9, 3) == billions


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_notation_says_the_same(name):
    ours = analyze(load(made(name), (3, 224, 224)).network)
    theirs = analyze(notation.network(zoo.ENTRIES[PUBLISHED[name][2]].notation))
    adaptive = 512 * 7 * 7 if name == "vgg11" else 0  # torchvision's VGG pools 7x7 to 7x7
    values = theirs.totals.values + adaptive
    assert ours.totals == replace(theirs.totals, values=values, bytes=4 * values)
    kinds = ("Conv", "BatchNorm", "MaxPool", "AvgPool", "Add", "Linear")

    def seen(found):
        return sorted(
            (row.op, row.output, row.params, row.receptive_field, row.jump) for row in found.rows if row.op in kinds
        )

    assert seen(ours) == seen(theirs)


def test_a_classifier_for_numbers_takes_all_sizes_that_leave_as_many_values():
    """LeNet, as a sequence and with the view that many write, which takes several rows of an image, too."""
    features = [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    for flat, several in ((nn.Flatten(), False), (Does(lambda s, x: x.view(-1, 400)), True)):
        module = nn.Sequential(*features, flat, *head).to("meta")
        imported = load(module)
        accepted = accepted_sizes(imported.network)
        assert (imported.learned, imported.undecided, accepted.undecided) == (61_706, (), ())
        squares = [n for n in range(1, 80) if {"H": n, "W": n} in accepted]
        assert squares == [32, 33, 34, 35] + several * [52, 53, 54, 55, 72, 73, 74, 75]
        for h, w in [(16, 112), (19, 115), (20, 112), (115, 16), (32, 35), (36, 32), (52, 52), (32, 52), (20, 20)]:
            assert ({"H": h, "W": w} in accepted) == runs(module, 1, h, w)
            if runs(module, 1, h, w):
                assert output_shapes(on(imported.network, h, w))[imported.network.output.name] == (10,)


def small(name):
    with torch.device("meta"):
        if name == "resnet":
            return ResNet(Basic, (1, 1, 1)).eval()
        if name == "unet":
            return UNet(widths=(4, 8, 16, 32)).eval()
        if name == "unet with upsampling":
            return UNet(upsample=True, widths=(4, 8, 16)).eval()
        if name == "densenet":
            return DenseNet((1, 1, 1), 4).eval()
        return shufflenet().eval()


@pytest.mark.parametrize(
    ("name", "axis"),
    [
        ("resnet", 0),
        ("resnet", 1),
        ("unet", 0),
        ("unet", 1),
        ("unet with upsampling", 0),
        ("densenet", 0),
        ("shufflenet", 1),
    ],
)
def test_sizes_that_torch_runs(name, axis):
    module, other = small(name), 64
    valid, _ = size_sets(load(module).network, axis)
    accepted = [n for n in range(1, 201) if runs(module, channels(module), *((n, other) if axis == 0 else (other, n)))]
    assert accepted == [n for n in range(1, 201) if n in valid]
    assert accepted


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_a_step_of_training_keeps_besides_activations(dtype):
    """The places of maxima that torch saves for its backward pass, parameters, gradients and the optimizer's numbers."""
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3), nn.MaxPool2d(3, 1),
        nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(16, 5),
    ).to(getattr(torch, dtype))  # fmt: skip
    saved = {}

    def packed(x):
        saved[x.data_ptr()] = x
        return x

    with torch.autograd.graph.saved_tensors_hooks(packed, lambda x: x):
        module(torch.rand(6, 3, 20, 16, dtype=getattr(torch, dtype))).sum().backward()
    adam, momentum = torch.optim.Adam(module.parameters()), torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    adam.step()
    momentum.step()
    kept = training_memory(load(module, (3, 20, 16)).network, batch=6, dtype=dtype, optimizer="adam")
    size = torch.empty((), dtype=getattr(torch, dtype)).element_size()
    assert kept.indices == sum(x.numel() * x.element_size() for x in saved.values() if x.dtype == torch.int64)
    assert kept.parameters == kept.gradients == sum(p.numel() for p in module.parameters()) * size
    for optimizer, name in ((adam, "adam"), (momentum, "momentum")):
        states = [x for state in optimizer.state.values() for x in state.values() if torch.is_tensor(x) and x.dim() > 0]
        found = training_memory(load(module, (3, 20, 16)).network, dtype=dtype, optimizer=name)
        assert found.states == sum(x.numel() for x in states) * size


def test_a_module_is_read_as_it_trains():
    """With the head that is there in training alone; the module stays as it was."""

    class Aided(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.aid = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 3)

        def forward(self, x):
            x = self.body(x)
            return (self.head(x), self.aid(x)) if self.training else self.head(x)

    module = Aided().eval()
    found = load(module, training=True)
    assert [node.name for node in found.network] == ["input", "body", "head", "aid"]
    assert found.outputs == {"0": "head", "1": "aid"}
    assert not module.training
    assert [node.name for node in load(module).network] == ["input", "body", "head"]


UNREAD = ("Fused", "Windows", "Same")
"""What decompositions make of these calls operators that have no rule (attention's kernel, rolls and pads by sizes)."""


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("kind", MODULES)
def test_exported_programs(kind, decomposed):
    """For any size that torch.export allows, they are what the module is; their guards are not part of them."""
    module = kind().eval()
    auto = torch.export.Dim.AUTO
    program = torch.export.export(
        module, (torch.zeros(2, 3, 16, 24),), dynamic_shapes=({0: auto, 2: auto, 3: auto},), strict=False
    )
    if decomposed:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's, of its own trees
            program = program.run_decompositions()
    found = load(program)
    if not decomposed:
        assert not any("not understood" in each for each in found.notes.values())
    assert sum(prod(shape) for shape in found.stored.values()) == sum(p.numel() for p in module.parameters())
    for sizes in [(16, 24), (16, 16), (32, 12)]:
        first = infer(on(found.network, *sizes))
        one = next(each for each in [first, *(infer(on(case, *sizes)) for case in found.cases)] if not each.refused)
        shape = one.shapes.get(found.network.output.name)
        made = None if decomposed and kind.__name__ in UNREAD else tuple(module(torch.empty(1, 3, *sizes)).shape[1:])
        assert shape == made


def test_an_exported_program_for_one_size():
    program = torch.export.export(MODULES[0]().eval(), (torch.zeros(2, 3, 16, 24),))
    found = load(program)
    assert not found.notes
    assert output_shapes(on(found.network, 16, 24))[found.network.output.name] == (8, 8, 12)

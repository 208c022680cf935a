"""How a torch module is read: names, outputs, what layers share, what is left alone, and what is wrong."""

import subprocess
import sys
from collections import namedtuple

import pytest

from convproof.errors import InputError
from convproof.importers.torch import load
from convproof.symbolic import accepted_sizes, analyze, output_shapes
from convproof.symbolic.shapes import infer

torch = pytest.importorskip("torch", reason="torch is not installed; `pip install '.[torch]'` brings it")
from torchmodules import Does, kinds, on  # noqa: E402

nn, F = torch.nn, torch.nn.functional

CONV = nn.Conv2d(3, 8, 3)

# --- names, outputs, what is shared, what is left alone ---------------------------------------------------------------


class Pair(nn.Module):
    """One convolution twice, and another one with its weights."""

    def __init__(self, returned=lambda first, second: second):
        super().__init__()
        self.inner = nn.ModuleDict({"a": nn.Conv2d(3, 3, 3), "b": nn.Conv2d(3, 3, 3)})
        self.inner["b"].weight = self.inner["a"].weight
        self.calls, self.kept, self.returned = 0, None, returned

    def forward(self, x, mask=None, *, scale=2):
        assert mask is None, "its default holds"
        self.calls += 1
        self.kept = self.inner["a"](F.relu(self.inner["a"](x)))
        self.more = F.relu(self.kept) * scale
        return self.returned(self.kept, self.inner["b"](self.more))


@pytest.mark.parametrize(
    ("conv", "image"),
    [(nn.Conv1d, (4, "W")), (nn.ConvTranspose2d, (4, "H", "W")), (nn.Conv3d, (4, "D", "H", "W"))],
)
def test_the_first_convolution_tells_the_image(conv, image):
    module = Does(lambda s, x: s.conv(input=F.relu(x)), conv=conv(4, 8, 3))
    layer = load(module).network.image
    assert (layer.channels, *layer.sizes) == image


def test_where_no_convolution_reads_the_image_its_channels_are_a_letter():
    found = load(nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 8, 3))).network
    assert (found.image.channels, accepted_sizes(found).requires) == ("C", ("1: 4*C = 12",))


def test_layers_are_named_as_the_modules():
    names = [node.name for node in load(nn.Sequential(nn.Sequential(Pair()), nn.ReLU())).network]
    inside = ["inner.a", "relu", "inner.a_2", "relu_2", "mul", "inner.b"]
    assert names == ["input", *(f"0.0.{name}" for name in inside), "1"]


def test_parameters_that_layers_share_count_once():
    module = Pair()
    imported = load(module)
    assert imported.parameters == {
        "inner.a": ("inner.a.weight", "inner.a.bias"),
        "inner.a_2": ("inner.a.weight", "inner.a.bias"),
        "inner.b": ("inner.a.weight", "inner.b.bias"),
    }
    assert imported.stored == {"inner.a.weight": (3, 3, 3, 3), "inner.a.bias": (3,), "inner.b.bias": (3,)}
    assert imported.learned == sum(each.numel() for each in module.parameters()) == 87
    totals = analyze(imported.network, imported.parameters).totals
    assert (totals.params, totals.weights) == (87, 81)


def test_what_is_computed_and_not_returned_is_there_with_its_parameters():
    imported = load(Pair(lambda first, second: first))
    assert imported.learned == 87
    assert imported.network.output.name == "inner.a_2"
    assert imported.network.nodes == load(Pair()).network.nodes
    auxiliary = nn.Sequential(nn.AvgPool2d(5, 3), nn.Flatten())
    module = Does(lambda s, x: [s.conv(x), s.auxiliary(s.conv(x)), F.relu(x)][0], conv=CONV, auxiliary=auxiliary)
    assert kinds(load(module).network) == "Conv Conv AvgPool Flatten ReLU"
    assert str(accepted_sizes(load(module).network).valid["H"]) == "all n >= 7"


Both = namedtuple("Both", "out auxiliary")


@pytest.mark.parametrize(
    ("returned", "listed", "second"),
    [
        (lambda a, b: (a, b), "0, 1", "1"),
        (lambda a, b: {"out": a, "others": [b, 3]}, "out, others.0", "others.0"),
        (Both, "out, auxiliary", "auxiliary"),
    ],
)
def test_one_of_several_outputs_is_taken(returned, listed, second):
    module = Pair(returned)
    imported = load(module, output=second)
    assert imported.network == load(Pair()).network
    first = load(module)
    assert first.outputs == imported.outputs == dict(zip(listed.split(", "), ("inner.a_2", "inner.b"), strict=True))
    assert imported.notes == first.notes == {}
    assert (first.network.output.name, first.network.nodes) == ("inner.a_2", imported.network.nodes)
    with pytest.raises(InputError) as error:
        load(module, output="x\n")
    assert str(error.value) == f"Pair: its forward returns no tensor 'x?'; there are {listed}"


def test_one_output_in_a_dictionary_is_taken():
    assert load(Pair(lambda first, second: {"out": second})).network == load(Pair()).network


def test_parts_of_a_parameter_are_noted():
    module = Does(lambda s, x: F.conv2d(F.conv2d(x, s.w[:, :3]), s.w[:3]), w=nn.Parameter(torch.zeros(6, 6, 1, 1)))
    imported = load(module, (3, 8, 8))
    assert imported.parameters == {"conv2d": ("w",), "conv2d_2": ("w",)}
    assert imported.learned == 36
    assert set(imported.notes.values()) == {"its weights are made of w, which count once for all layers"}


def test_numbers_written_into_the_module_are_demands_of_its_layers():
    module = Does(lambda s, x: s.linear(x.view(x.size(0), 4 * 6 * 6)), linear=nn.Linear(144, 5))
    imported = load(nn.Sequential(nn.Conv2d(3, 4, 3), module))
    assert kinds(imported.network) == "Conv Reshape Linear"
    accepted = accepted_sizes(imported.network)
    assert [n for n in range(1, 40) for m in range(1, 40) if {"H": n, "W": m} in accepted and n <= m] == [3, 4, 5, 6, 8]
    assert {"H": 3, "W": 38} in accepted
    assert {"H": 8, "W": 8} in accepted
    assert not infer(load(nn.Sequential(nn.Conv2d(3, 4, 3), module), (3, 8, 8)).network).refused
    (reason,) = infer(load(nn.Sequential(nn.Conv2d(3, 4, 3), module), (3, 9, 9)).network).refused.values()
    assert reason == "1.view: Reshape: a shape of 144 values is asked of 196 (4*7*7)"
    flat = load(nn.Sequential(nn.Flatten(), nn.Linear(144, 5)), (1, 12, 13)).network
    assert infer(flat).refused == {"1": "1: Linear: in_features=144, but 156 values come in"}
    assert {"H": 12, "W": 12} in accepted_sizes(flat)
    assert accepted_sizes(load(nn.Sequential(nn.Conv2d(3, 5, 3), module)).network).empty


@pytest.mark.parametrize(
    ("parts", "shape", "refused"),
    [
        ((CONV, nn.Conv2d(9, 8, 3)), None, "1: Conv: in_channels=9, but 8 come in"),
        ((CONV, nn.MaxPool2d(2), nn.Conv2d(9, 8, 3)), None, "2: Conv: in_channels=9, but 8 come in"),
        ((CONV, nn.AdaptiveAvgPool2d(1), nn.Conv2d(9, 8, 1)), None, "2: Conv: in_channels=9, but 8 come in"),
        ((CONV, nn.ConvTranspose2d(9, 8, 1)), None, "1: ConvTranspose: in_channels=9, but 8 come in"),
        ((CONV, nn.BatchNorm2d(9)), None, "1: BatchNorm: num_features=9, but 8 come in"),
        ((CONV, nn.BatchNorm2d(9, affine=False)), None, "1: Affine: num_features=9, but 8 come in"),
        ((CONV, nn.PReLU(9)), None, "1: Affine: num_features=9, but 8 come in"),
        ((CONV, nn.GroupNorm(3, 9)), None, "1: GroupNorm: num_channels=9, but 8 come in"),
        ((CONV, nn.InstanceNorm2d(9, affine=True)), None, "1: InstanceNorm: num_features=9, but 8 come in"),
        ((CONV, Does(lambda s, x: x + s.b, b=torch.ones(9, 1, 1))), None, "1.add: Affine: num_features=9, but 8 come in"),
        ((CONV, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(9, 2)), None,
         "3: Linear: in_features=9, but 32 values come in"),
        ((CONV,), (4, 8, 8), "0: Conv: in_channels=3, but 4 come in"),
    ],
)  # fmt: skip
def test_other_numbers_of_channels_than_the_weights_are_for_fit_no_image(parts, shape, refused):
    network = load(nn.Sequential(*parts, nn.ReLU()), shape).network
    assert list(infer(network).refused.values()) == [refused]
    assert accepted_sizes(network).empty


@pytest.mark.parametrize("parts", [(nn.GroupNorm(4, 12, affine=False),), (nn.InstanceNorm2d(12),), (nn.PReLU(1),)])
def test_what_has_no_stored_numbers_takes_any_channels(parts):
    """As torch does."""
    network = load(nn.Sequential(CONV, *parts)).network
    assert {"H": 3, "W": 4} in accepted_sizes(network)


@pytest.mark.parametrize("channels", [1, 3])
def test_branches_of_one_channel_are_as_those_of_several(channels):
    branch = nn.Sequential(nn.Conv2d(channels, 4, 3, 2, 1), nn.ConvTranspose2d(4, channels, 4, 2, 1))
    network = load(Does(lambda s, x: x + s.branch(x), branch=branch)).network
    assert kinds(network) == "Conv ConvTranspose Add"
    (box,) = accepted_sizes(network).boxes
    assert str(box["H"]) == "1, and all n >= 2 with n mod 2 = 0"


def test_the_module_is_left_as_it_was():
    module = nn.Sequential(Pair(), nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(2), Does(lambda s, x: x + torch.ones(1)))
    module[1].eval()
    before = {name: (id(each), each._version, each.clone()) for name, each in module.state_dict(keep_vars=True).items()}
    attributes = [dict(each.__dict__) for each in module.modules()]
    load(module, (3, 32, 32))
    after = module.state_dict(keep_vars=True)
    assert {name: (id(each), each._version) for name, each in after.items()} == {n: b[:2] for n, b in before.items()}
    assert all(torch.equal(after[name], each) for name, (_, _, each) in before.items())
    assert [each.training for each in module.modules()] == [each["training"] for each in attributes]
    assert [each.__dict__ for each in module.modules()] == attributes
    assert (module[0].calls, module[0].kept) == (0, None)


def test_also_where_it_cannot_be_traced():
    module = nn.Sequential(Pair(), Does(lambda s, x: x if x.sum() > 0 else -x))
    with pytest.raises(InputError):
        load(module)
    assert all(each.training for each in module.modules())
    assert (module[0].calls, hasattr(module[0], "more")) == (0, False)


def test_no_layer_computes(monkeypatch):
    def refuse(*_):
        raise AssertionError("a convolution ran")

    module = nn.Sequential(
        nn.Conv2d(3, 8, 3), Does(lambda s, x: F.conv2d(x, s.w), w=nn.Parameter(torch.zeros(4, 8, 1, 1)))
    )
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", refuse)
    assert kinds(load(module).network) == "Conv Conv"


def test_sizes_are_asked_for_without_data(monkeypatch):
    seen = []
    original = nn.Conv2d._conv_forward
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", lambda s, x, *more: seen.append(x) or original(s, x, *more))
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.FractionalMaxPool2d(2, 3), nn.Upsample((18, 18))).half()
    assert kinds(load(module, (3, 11, 11)).network) == "Conv Unknown:FractionalMaxPool2d Shaped:Upsample"
    assert [type(each).__name__ for each in seen] == ["FakeTensor"]


def test_it_is_read_in_evaluation():
    module = Does(lambda s, x: (x, F.relu(x)) if s.training else x + F.dropout(x, training=s.training))
    assert kinds(load(module, (3, 8, 8)).network) == "Dropout Add"


def test_what_is_done_in_place_is_seen_by_all_that_read_it_later():
    def function(s, x):
        y = s.conv(x)
        F.relu(y, inplace=True)
        z = s.conv(y)
        s.sigmoid(z)
        z.mul_(2)
        return torch.cat([y, z], 1)

    module = Does(function, conv=nn.Conv2d(3, 3, 1), sigmoid=nn.ReLU6(inplace=True))
    network = load(module).network
    assert kinds(network) == "Conv ReLU Conv Activation:relu6 Activation:mul Concat"
    assert network.output.operands == ("relu", "mul")


def test_a_subclass_is_what_its_forward_does():
    class Plain(nn.Conv2d):
        pass

    class Padded(nn.Conv2d):
        def forward(self, x):
            return super().forward(F.pad(x, (1, 1, 1, 1)))

    assert kinds(load(nn.Sequential(Plain(3, 3, 3), Padded(3, 3, 3))).network) == "Conv Pad Conv"


def test_what_is_compiled_is_read_as_it_was():
    module = Pair()
    assert load(torch.compile(module, backend="eager")).network == load(module).network


# --- what is wrong ----------------------------------------------------------------------------------------------------


class Branching(nn.Module):
    def forward(self, x):
        return x if x.mean() > 0 else -x


class Branched(nn.Module):
    def forward(self, x):
        return x if x.shape[-1] > 7 else -x


class Rounded(nn.Module):
    def forward(self, x):
        h, w = x.shape[2:]
        if h % 8 or w % 8:
            x = F.pad(x, (0, (-w) % 8, 0, (-h) % 8))
        return F.max_pool2d(x, 8)


class Parts(nn.Module):
    def forward(self, x):
        return torch.cat([F.relu(part) for part in x.tensor_split(3, dim=1)], 1)


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("first line\nsecond line")


class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Conv2d(3, 3, 3)]

    def forward(self, x):
        return self.layers[0](x)


class TwoImages(nn.Module):
    def forward(self, x, y, z=None):
        return x + y


WRONG = {
    "values": (
        (nn.Sequential(CONV, Branching()),),
        "Sequential: the forward of 1 (Branching) cannot be traced: the values of tensors are not computed",
    ),
    "batch": (
        (Does(lambda s, x: [x for _ in range(x.shape[0])]), (3, 8, 8)),
        "Does: its forward cannot be traced: it must not depend on the size of the batch",
    ),
    "an error": (
        (nn.Sequential(CONV, nn.Sequential(Broken())),),
        "Sequential: the forward of 1.0 (Broken) cannot be traced: RuntimeError: first line",
    ),
    "hidden": ((Hidden(),), "Hidden: its forward cannot be traced: NameError: module is not installed as a submodule"),
    "no forward": (
        (nn.ModuleList([CONV]),),
        'ModuleList: its forward cannot be traced: NotImplementedError: Module [ModuleList] is missing the required "forward" function',
    ),
    "two images": (
        (TwoImages(),),
        "TwoImages: its forward needs 2 inputs (x, y); give input_shape={'x': (3, 'H', 'W'), 'y': (3, 'H', 'W')}, or --input x=HxWx3 --input y=HxWx3",
    ),
    "no output": (
        (Does(lambda s, x: x.shape), (3, 8, 8)),
        "Does: what its forward returns does not depend on the image",
    ),
    "no axes": (
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 2)),),
        "Sequential: no convolution says how many axes the image has; give input_shape=(C, H, W)",
    ),
    "lazy": (
        (nn.Sequential(nn.LazyConv2d(8, 3)),),
        "Sequential: the shape of 0.weight is not known yet; run the module once before",
    ),
    "a batch": (
        (CONV, (1, 3, 8, 8)),
        "Conv2d: conv2d (conv2d): it needs an input with 4 axes, but input has 5",
    ),
    "a number": ((CONV, 224), "Conv2d: input_shape=224 must be like (C, H, W)"),
    "no size": ((CONV, (3, 0, 8)), "Conv2d: Input: sizes=0 is too small; it must be at least 1"),
    "axes": (
        (nn.Sequential(CONV, nn.BatchNorm1d(8)),),
        "Sequential: 1 (BatchNorm1d): it needs an input with 3 axes, but 0 has 4",
    ),
    "axes of a vector": (
        (nn.Sequential(CONV, nn.Flatten(), nn.LocalResponseNorm(3)),),
        "Sequential: 2 (LocalResponseNorm): it needs an input with 3 axes or more",
    ),
    "a stride beside same": (
        (Does(lambda s, x: F.conv2d(x, s.w, None, 2, "same"), w=torch.ones(2, 3, 3, 3)),),
        "Does: conv2d (conv2d): padding='same' goes with stride 1 alone",
    ),
    "another bias": (
        (Does(lambda s, x: F.conv2d(x, s.w, s.b), w=torch.ones(2, 3, 3, 3), b=torch.ones(3)),),
        "Does: conv2d (conv2d): the bias has shape (3,), not (2,)",
    ),
    "class": ((nn.Conv2d,), "a type is no torch.nn.Module"),
}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(name):
    given, message = WRONG[name]
    with pytest.raises(InputError) as error:
        load(*given)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("parts", "known", "place", "op", "what"),
    [
        (
            (CONV, Parts(), nn.ReLU()),
            "Conv Unknown:tensor_split",
            "1",
            "Parts",
            "how many tensors tensor_split returns",
        ),
    ],
)
def test_a_forward_that_decides_by_what_is_not_known_is_read_up_to_there(parts, known, place, op, what):
    module = nn.Sequential(*parts)
    imported = load(module)
    why = f"{what} must be known; give input_shape in numbers"
    assert kinds(imported.network) == f"{known} Unknown:{op}".strip()
    assert (imported.network.output.name, imported.notes[place]) == (place, f"not understood: {why}")
    assert imported.undecided == (f"{place}: {why}",)
    assert accepted_sizes(imported.network).boxes is None
    assert imported.learned == sum(each.numel() for each in module.parameters())


@pytest.mark.parametrize("parts", [(CONV, Branched()), (Branched(), CONV), (CONV, Rounded())])
def test_a_forward_that_decides_by_a_size_is_read_in_all_cases(parts):
    """The first is that of the given image, where there is one."""
    module = nn.Sequential(*parts).eval()
    imported = load(module, (3, "H", "W"))
    assert imported.undecided == ()
    assert imported.cases
    accepted = analyze(imported.network, cases=imported.cases).accepted
    for n in range(1, 20):
        try:
            shape = tuple(module(torch.empty(1, 3, n, 9)).shape[1:])
        except RuntimeError:
            shape = None
        assert ({"H": n, "W": 9} in accepted) == (shape is not None)
        if shape is not None:
            network = load(module, (3, n, 9)).network
            assert output_shapes(network)[network.output.name] == shape


def test_a_forward_that_catches_its_errors_is_followed_but_where_it_decides_by_values():
    class Catching(nn.Module):
        def __init__(self, decides):
            super().__init__()
            self.decides = decides

        def forward(self, x):
            try:
                return F.max_pool2d(x, 8) if self.decides(x) else x
            except Exception:
                return x

    imported = load(nn.Sequential(CONV, Catching(lambda x: x.size(2) % 2)))
    assert [kinds(each) for each in (imported.network, *imported.cases)] == ["Conv Condition MaxPool", "Conv Condition"]
    with pytest.raises(InputError, match="the values of tensors are not computed"):
        load(nn.Sequential(CONV, Catching(lambda x: x.mean() > 0)))


def test_a_tensor_that_is_written_to_is_not_known_from_there():
    def written(s, x):
        y = s.conv(x)
        y[:, :2] += 1
        return F.relu(y)

    imported = load(Does(written, conv=CONV))
    assert kinds(imported.network) == "Conv Slice Activation:add Shaped:written Shaped:setitem ReLU"
    assert imported.network.output.operands == ("setitem",)


def test_what_an_unknown_operation_returns_is_gone_through_where_torch_tells_how_many_there_are():
    network = load(nn.Sequential(CONV, Parts()), (3, 9, 9)).network
    assert kinds(network) == "Conv Unknown:tensor_split" + 3 * " Unknown:getitem" + 3 * " ReLU" + " Concat"
    assert len(network.output.operands) == 3


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_a_script_module():
    with pytest.raises(InputError) as error:
        load(torch.jit.script(nn.Sequential(nn.ReLU())))
    assert str(error.value).endswith("a ScriptModule cannot be traced; give the module that it was made from")


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"^torch modules need the package torch; pip install 'convproof\[torch\]'$"):
        load(CONV)


def test_torch_is_loaded_only_when_a_module_is_read():
    code = "import sys, convproof.importers.torch; print({'torch', 'onnx'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


class Parted(nn.Module):
    """Learns a gain, blurs with a kernel that is not learned, and has a head that is never used."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)
        self.gain = nn.Parameter(torch.ones(()))
        self.register_buffer("kernel", torch.ones(8, 1, 2, 2))

    def forward(self, x):
        return F.conv2d(self.conv(x) * self.gain, self.kernel, stride=2, groups=8)


def test_parameters_are_what_the_model_learns():
    """A fixed kernel is none, a gain is one, and so is what nothing reads."""
    module = Parted()
    imported = load(module, (3, 9, 9))
    found = analyze(imported.network, imported.parameters, stored=imported.stored)
    assert found.totals.params == imported.learned == sum(each.numel() for each in module.parameters())
    assert {row.name: (row.params, row.weights) for row in found.rows} == {
        "input": (0, 0), "conv": (224, 216), "mul": (1, 0), "conv2d": (0, 0),
    }  # fmt: skip
    assert found.unused == {"head.weight": 40, "head.bias": 5}


def test_behind_what_is_not_known_parameters_are_counted_and_shapes_are_those_of_torch():
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.FractionalMaxPool2d(2, 3), nn.Conv2d(8, 4, 1))
    imported = load(module, (3, 8, 8))
    found = analyze(imported.network, imported.parameters, strict=False, stored=imported.stored, taken=imported.taken)
    rows = {row.name: (row.output, row.derived, row.params) for row in found.rows}
    assert rows["1"] == ((8, 3, 3), False, None)
    assert rows["2"] == ((4, 3, 3), False, 36)
    assert found.totals.params == sum(each.numel() for each in module.parameters())
    assert load(module).taken == {}


class Depth(nn.Module):
    """Two images, whose features are joined."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(1, 8, 3, 2), nn.Conv2d(16, 4, 1)

    def forward(self, rgb, depth):
        return self.c(torch.cat([self.a(rgb), self.b(depth)], 1))


def test_several_images():
    """Of one size, they are accepted where torch runs; of sizes of their own, what ties them is said."""
    module = Depth()
    found = load(module, {"rgb": (3, "H", "W"), "depth": (1, "H", "W")})
    accepted = accepted_sizes(found.network)
    for h, w in ((2, 9), (3, 3), (3, 8), (9, 2), (12, 31)):
        runs = h > 2 and w > 2
        assert ({"H": h, "W": w} in accepted) == runs
        if runs:
            made = module(torch.zeros(1, 3, h, w), torch.zeros(1, 1, h, w))
            assert output_shapes(on(found.network, h, w))["c"] == made.shape[1:]
    apart = accepted_sizes(load(module, {"rgb": (3, "H", "W"), "depth": (1, "A", "B")}).network)
    assert any("(H + 1)//2 - 1 = (A + 1)//2 - 1" in why for why in apart.undecided)


def test_several_images_in_numbers(capfd):
    """What does not go together is refused by name, and torch's log does not reach the user."""
    fits = analyze(load(Depth(), {"rgb": (3, 32, 32), "depth": (1, 31, 32)}).network)
    assert fits.refused is None
    shapes = {"rgb": (3, 32, 32), "depth": (1, 36, 32)}
    assert (
        "branches have shapes (8, 15, 15) and (8, 17, 15)"
        in analyze(load(Depth(), shapes).network, strict=False).refused.reason
    )
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        (None, "needs 2 inputs \\(rgb, depth\\); give input_shape="),
        ({"rgb": (3, 8, 8)}, "its forward reads rgb, depth"),
        ({"left": (3, 8, 8), "right": (3, 8, 8)}, "its forward reads rgb, depth"),
        ({"rgb": (3, 8, 8), "depth": 7}, "must be like"),
        ({"rgb": (3, 8, 8), "depth": (1, 0, 8)}, "1 or more|positive|at least"),
        ({}, "its forward reads"),
    ],
)
def test_images_that_are_not_told(shapes, told):
    with pytest.raises(InputError, match=told):
        load(Depth(), shapes)

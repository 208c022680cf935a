"""ONNX Runtime on the CPU: a model of one node for every case."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from convproof.testing import DEFAULT


def ran(op, inputs, **attributes):
    node = helper.make_node(op, list(inputs), ["y"], **attributes)
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, each.shape) for name, each in inputs.items()]
    graph = helper.make_graph([node], op, given, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # that shapes are inferred otherwise than computed, which opset 20 is known for
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["y"], {name: np.ascontiguousarray(each) for name, each in inputs.items()})[0]


def ends(padding):
    """Of all axes, those before and then those after."""
    pairs = [(p, p) if isinstance(p, int) else p for p in padding]
    return [before for before, _ in pairs] + [after for _, after in pairs]


def conv(x, w, b, stride, padding, dilation, groups):
    given = {"x": x, "w": w} | ({} if b is None else {"b": b})
    return ran("Conv", given, strides=stride, pads=ends(padding), dilations=dilation, group=groups)


def conv_transpose(x, w, b, stride, padding, output_padding, dilation, groups):
    given = {"x": x, "w": w} | ({} if b is None else {"b": b})
    window = {"strides": stride, "pads": ends(padding), "dilations": dilation, "group": groups}
    return ran("ConvTranspose", given, output_padding=output_padding, **window)


def max_pool(x, kernel, stride, padding, ceil_mode=False):
    window = {"kernel_shape": kernel, "strides": stride, "pads": ends(padding)}
    return ran("MaxPool", {"x": x}, ceil_mode=int(ceil_mode), **window)


def avg_pool(x, kernel, stride, padding, ceil_mode=False, count_include_pad=True):
    window = {"kernel_shape": kernel, "strides": stride, "pads": ends(padding)}
    more = {"ceil_mode": int(ceil_mode), "count_include_pad": int(count_include_pad)}
    return ran("AveragePool", {"x": x}, **window, **more)


def linear(x, w, b):
    given = {"x": x, "w": w} | ({} if b is None else {"b": b})
    return ran("Gemm", given, transB=1)


def lrn(x, size, alpha, beta, k):
    return ran("LRN", {"x": x}, size=size, alpha=alpha, beta=beta, bias=k)


TYPE = {"dtype": "float32"}
RANKS = 1, 2, 3
KERNELS = [
    ("conv", conv, None, TYPE | {"supports": DEFAULT | {"asymmetric padding"}}, RANKS),
    ("conv_transpose", conv_transpose, None, TYPE, RANKS),
    # windows of NaN or of the lowest values alone give the lowest number that is finite
    ("max_pool", max_pool, None, TYPE | {"supports": DEFAULT - {"nan values", "infinite values"}}, RANKS),
    ("avg_pool", avg_pool, None, TYPE, RANKS),
    ("linear", linear, None, TYPE, (2,)),
    ("lrn", lrn, None, TYPE | {"supports": DEFAULT - {"even windows"}, "rounding": "cumulative"}, (2,)),
]

"""The convolution of ONNX Runtime: a model with one Conv node for every case, which it runs.

    pip install onnx onnxruntime && python examples/kernels/onnx_runtime.py

It takes other padding at either end of an axis, which is asked for with `supports`: `padding` then holds pairs.
"""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from convproof.testing import DEFAULT, check_conv


def forward(x, w, b, stride, padding, dilation, groups):
    pairs = [(p, p) if isinstance(p, int) else p for p in padding]
    pads = [before for before, _ in pairs] + [after for _, after in pairs]
    given = {"x": x, "w": w} | ({} if b is None else {"b": b})
    window = {"kernel_shape": w.shape[2:], "strides": stride, "pads": pads, "dilations": dilation, "group": groups}
    node = helper.make_node("Conv", list(given), ["y"], **window)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, each.shape) for name, each in given.items()]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "conv", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["y"], {name: np.ascontiguousarray(each) for name, each in given.items()})[0]


if __name__ == "__main__":
    report = check_conv(forward, dtype="float32", supports=DEFAULT | {"asymmetric padding"})
    print(report)
    report.raise_if_failed()

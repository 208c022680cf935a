"""PyTorch's layers, and the gradients that its tape gives."""

import torch
from torch.nn import functional

from convproof.testing import DEFAULT

torch.set_num_threads(1)
CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
CONV_TRANSPOSE = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVG_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
LP_POOL = {1: functional.lp_pool1d, 2: functional.lp_pool2d, 3: functional.lp_pool3d}


def gradients(function, g, *inputs):
    leaves = [each.detach().clone().requires_grad_() for each in inputs]
    return torch.autograd.grad(function(*leaves), leaves, g)


def conv(x, w, b, stride, padding, dilation, groups):
    return CONV[x.ndim - 2](x, w, b, stride, padding, dilation, groups)


def conv_vjp(g, x, w, *options):
    return gradients(lambda *inputs: conv(*inputs, *options), g, x, w, torch.zeros(len(w), dtype=w.dtype))


def conv_transpose(x, w, b, stride, padding, output_padding, dilation, groups):
    return CONV_TRANSPOSE[x.ndim - 2](x, w, b, stride, padding, output_padding, groups, dilation)


def conv_transpose_vjp(g, x, w, *options):
    b = torch.zeros(w.shape[1] * options[-1], dtype=w.dtype)
    return gradients(lambda *inputs: conv_transpose(*inputs, *options), g, x, w, b)


def max_pool(x, kernel, stride, padding, ceil_mode=False):
    return MAX_POOL[x.ndim - 2](x, kernel, stride, padding, 1, ceil_mode)


def max_pool_vjp(g, x, *options, **more):
    return gradients(lambda x: max_pool(x, *options, **more), g, x)


def avg_pool(x, kernel, stride, padding, ceil_mode=False, count_include_pad=True):
    return AVG_POOL[x.ndim - 2](x, kernel, stride, padding, ceil_mode, count_include_pad)


def avg_pool_vjp(g, x, kernel, stride, padding, ceil_mode=False, count_include_pad=True):
    return gradients(lambda x: avg_pool(x, kernel, stride, padding, ceil_mode, count_include_pad), g, x)


def lp_pool(x, p, kernel, stride, ceil_mode=False):
    window = (kernel, stride) if x.ndim > 3 else (kernel[0], stride[0])
    return LP_POOL[x.ndim - 2](x, float(p), *window, ceil_mode)


def lp_pool_vjp(g, x, p, kernel, stride, ceil_mode=False):
    return gradients(lambda x: lp_pool(x, p, kernel, stride, ceil_mode), g, x)


def linear_vjp(g, x, w):
    return gradients(functional.linear, g, x, w, torch.zeros(len(w), dtype=w.dtype))


def batch_norm(x, gamma, beta, eps):
    return functional.batch_norm(x, None, None, gamma, beta, True, 0.1, eps)


def batch_norm_vjp(g, x, gamma, eps):
    return gradients(lambda *inputs: batch_norm(*inputs, eps), g, x, gamma, torch.zeros_like(gamma))


def lrn_vjp(g, x, *options):
    return gradients(lambda x: functional.local_response_norm(x, *options), g, x)


def cross_entropy(scores, labels):
    return functional.cross_entropy(scores, torch.as_tensor(labels))


def cross_entropy_vjp(scores, labels):
    return gradients(lambda scores: cross_entropy(scores, labels), None, scores)


def im2col(x, kernel, stride, padding, dilation):
    return functional.unfold(x, kernel, dilation, padding, stride)


def col2im(columns, shape, kernel, stride, padding, dilation):
    return functional.fold(columns, shape[2:], kernel, dilation, padding, stride)


RANKS = 1, 2, 3
CRASHES = {"channels last inputs"}
"""With these, convolutions in float32 crash on some windows that lie wholly in padding; those of three axes destroy
memory in any case (2.13, oneDNN).
"""

KERNELS = [
    (op, forward, vjp, {"xp": "torch", "dtype": dtype, "supports": DEFAULT - lacks}, ranks)
    for dtype in ("float64", "float32")
    for op, forward, vjp, ranks, lacks in (
        ("conv", conv, conv_vjp, *((RANKS, set()) if dtype == "float64" else ((1, 2), CRASHES))),
        ("conv_transpose", conv_transpose, conv_transpose_vjp, RANKS, set()),
        ("max_pool", max_pool, max_pool_vjp, (1, 2), set()),
        # with channels last, a window of -inf alone gives its gradient to another image row (2.13)
        ("max_pool", max_pool, max_pool_vjp, (3,), {"infinite values"}),
        ("avg_pool", avg_pool, avg_pool_vjp, (1, 2), set()),
        ("avg_pool", avg_pool, avg_pool_vjp, (3,), {"kernel larger than the image"}),
        # a window that ceil mode cuts off is taken as if what is missing were the mean of the rest
        ("lp_pool", lp_pool, lp_pool_vjp, RANKS, {"ceil_mode"}),
        ("linear", functional.linear, linear_vjp, (2,), set()),
        ("batch_norm", batch_norm, batch_norm_vjp, RANKS, set()),
        ("lrn", functional.local_response_norm, lrn_vjp, RANKS, set()),
        ("cross_entropy", cross_entropy, cross_entropy_vjp, (2,), set()),
        ("im2col", im2col, col2im, (2,), set()),
    )
] + [
    (op, forward, vjp, {"xp": "torch", "dtype": "bfloat16", "supports": DEFAULT - lacks}, ranks)
    for op, forward, vjp, ranks, lacks in (
        # oneDNN leaves entries unwritten that no window reaches, also in results of three axes (2.13)
        ("conv", conv, conv_vjp, (1, 2), {"padding", "kernel larger than the image"}),
        # and with channels last it reads beyond the last row
        (
            "conv_transpose",
            conv_transpose,
            conv_transpose_vjp,
            (1, 2),
            {"padding", "output_padding", "channels last inputs"},
        ),
        ("max_pool", max_pool, max_pool_vjp, (1, 2), set()),
        ("max_pool", max_pool, max_pool_vjp, (3,), {"infinite values"}),
        ("avg_pool", avg_pool, avg_pool_vjp, (1, 2), set()),  # the others that are missing are not implemented
        ("lp_pool", lp_pool, lp_pool_vjp, (1, 2), {"ceil_mode"}),
        ("linear", functional.linear, linear_vjp, (2,), set()),
        ("batch_norm", batch_norm, batch_norm_vjp, RANKS, set()),
        ("lrn", functional.local_response_norm, lrn_vjp, (1,), set()),
        ("cross_entropy", cross_entropy, cross_entropy_vjp, (2,), set()),
        ("im2col", im2col, col2im, (2,), set()),
    )
]

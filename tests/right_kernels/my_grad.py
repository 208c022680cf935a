"""MyGrad's layers."""

import mygrad as mg
from mygrad.nnet.layers import batchnorm, conv_nd
from mygrad.nnet.layers import max_pool as pooled
from mygrad.nnet.losses import softmax_crossentropy

from convproof.testing import DEFAULT


def gradients(function, g, *inputs):
    leaves = [mg.tensor(each.copy()) for each in inputs]
    function(*leaves).backward(g)
    return tuple(each.grad for each in leaves)


def conv(x, w, b, stride, padding, dilation, groups):
    y = conv_nd(x, w, stride=stride, padding=padding, dilation=dilation)
    return (y if b is None else y + b.reshape(-1, *(1 for _ in stride))).data


def conv_vjp(g, x, w, stride, padding, dilation, groups):
    def y(x, w):
        return conv_nd(x, w, stride=stride, padding=padding, dilation=dilation)

    return *gradients(y, g, x, w), g.sum((0, *range(2, g.ndim)))


def max_pool(x, kernel, stride, padding):
    return pooled(x, kernel, stride).data


def max_pool_vjp(g, x, kernel, stride, padding):
    return gradients(lambda x: pooled(x, kernel, stride), g, x)


def linear(x, w, b):
    y = mg.matmul(x, w.T).data
    return y if b is None else y + b


def linear_vjp(g, x, w):
    return *gradients(lambda x, w: mg.matmul(x, w.T), g, x, w), g.sum(0)


def batch_norm(x, gamma, beta, eps):
    return batchnorm(x, gamma=gamma, beta=beta, eps=eps).data


def batch_norm_vjp(g, x, gamma, eps):
    return gradients(lambda x, gamma, beta: batchnorm(x, gamma=gamma, beta=beta, eps=eps), g, x, gamma, 0 * gamma)


def cross_entropy(scores, labels):
    return softmax_crossentropy(scores, labels).data


def cross_entropy_vjp(scores, labels):
    return gradients(lambda scores: softmax_crossentropy(scores, labels), None, scores)


WHOLE = DEFAULT - {"remainder", "empty batch"}
STRIDED = {f"{layout} inputs" for layout in ("channels last", "every second", "reversed", "broadcast")}
RANKS = 1, 2, 3
KERNELS = [
    # it refuses images that a dilation times the kernel is larger than; and the strides of an axis of one entry, which
    # mean nothing, it takes at their word
    ("conv", conv, conv_vjp, {"supports": WHOLE - {"groups", "dilation"} - STRIDED}, RANKS),
    ("max_pool", max_pool, max_pool_vjp, {"supports": WHOLE - {"padding"} - STRIDED}, RANKS),
    ("linear", linear, linear_vjp, {}, (2,)),
    ("batch_norm", batch_norm, batch_norm_vjp, {}, RANKS),
    ("cross_entropy", cross_entropy, cross_entropy_vjp, {}, (2,)),
]

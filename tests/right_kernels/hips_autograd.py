"""HIPS autograd: its convolution of SciPy's signature, and layers in its NumPy, differentiated by it."""

import autograd.numpy as np
from autograd import make_vjp
from autograd.scipy.signal import convolve

from convproof.testing import DEFAULT


def gradients(function, g, *inputs):
    return make_vjp(lambda inputs: function(*inputs))(inputs)[0](g)


def conv(x, w, b, stride, padding, dilation, groups):
    ends = [(0, 0), (0, 0), *((p, p) for p in padding)]
    axes = list(range(2, x.ndim))
    turned = w[(slice(None),) * 2 + (slice(None, None, -1),) * len(axes)]
    padded = np.pad(x, ends, "constant") if any(padding) else x
    y = convolve(padded, turned, axes=(axes, axes), dot_axes=([1], [1]), mode="valid")
    return y if b is None else y + b.reshape(-1, *(1 for _ in axes))


def conv_vjp(g, x, w, *options):
    """With an image of zeros more: where g and w have equally many entries, but of unlike planes, the library (1.9)
    calls itself without end.
    """
    more, nothing = ((np.concatenate([each, 0 * each[:1]]) if g.size == w.size else each) for each in (x, g))
    dx, dw, db = gradients(lambda *inputs: conv(*inputs, *options), nothing, more, w, np.zeros(len(w)))
    return dx[: len(x)], dw, db


def linear(x, w, b):
    return x @ w.T if b is None else x @ w.T + b


def linear_vjp(g, x, w):
    return gradients(linear, g, x, w, np.zeros(len(w)))


def batch_norm(x, gamma, beta, eps):
    axes = (0, *range(2, x.ndim))
    centred = x - np.mean(x, axes, keepdims=True)
    scale = 1 / np.sqrt(np.mean(centred**2, axes, keepdims=True) + eps)
    gamma, beta = (each.reshape(-1, *(1 for _ in axes[1:])) for each in (gamma, beta))
    return gamma * centred * scale + beta


def batch_norm_vjp(g, x, gamma, eps):
    return gradients(lambda *inputs: batch_norm(*inputs, eps), g, x, gamma, np.zeros(len(gamma)))


def cross_entropy(scores, labels):
    gaps = scores - np.max(scores, 1, keepdims=True)
    losses = np.log(np.sum(np.exp(gaps), 1)) - gaps[np.arange(len(labels)), labels]
    return np.mean(losses)


def cross_entropy_vjp(scores, labels):
    return gradients(lambda scores: cross_entropy(scores, labels), 1.0, scores)


LACKS = {"groups", "stride", "dilation", "kernel larger than the image", "empty batch"}
RANKS = 1, 2, 3
KERNELS = [
    ("conv", conv, conv_vjp, {"supports": DEFAULT - LACKS}, RANKS),
    ("linear", linear, linear_vjp, {}, (2,)),
    ("batch_norm", batch_norm, batch_norm_vjp, {}, RANKS),
    ("cross_entropy", cross_entropy, cross_entropy_vjp, {}, (2,)),
]

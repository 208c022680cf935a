"""JAX: its convolution, its windows reduced, its NumPy, and the gradients that it derives."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from convproof.testing import DEFAULT


def gradients(function, g, *inputs):
    return jax.vjp(function, *inputs)[1](g)


def conv(x, w, b, stride, padding, dilation, groups):
    pads = [(p, p) for p in padding]
    y = lax.conv_general_dilated(x, w, stride, pads, rhs_dilation=dilation, feature_group_count=groups)
    return y if b is None else y + b.reshape(-1, *(1 for _ in stride))


def conv_vjp(g, x, w, *options):
    return gradients(lambda *inputs: conv(*inputs, *options), g, x, w, jnp.zeros(len(w), w.dtype))


def max_pool(x, kernel, stride, padding):
    window = (1, 1, *kernel), (1, 1, *stride), [(0, 0), (0, 0), *((p, p) for p in padding)]
    return lax.reduce_window(x, -jnp.inf, lax.max, *window)


def max_pool_vjp(g, x, *options):
    return gradients(lambda x: max_pool(x, *options), g, x)


def linear(x, w, b):
    return x @ w.T if b is None else x @ w.T + b


def linear_vjp(g, x, w):
    return gradients(linear, g, x, w, jnp.zeros(len(w), w.dtype))


def batch_norm(x, gamma, beta, eps):
    axes = (0, *range(2, x.ndim))
    gamma, beta = (each.reshape(-1, *(1 for _ in axes[1:])) for each in (gamma, beta))
    return gamma * (x - x.mean(axes, keepdims=True)) * lax.rsqrt(x.var(axes, keepdims=True) + eps) + beta


def batch_norm_vjp(g, x, gamma, eps):
    return gradients(functools.partial(batch_norm, eps=eps), g, x, gamma, jnp.zeros_like(gamma))


def cross_entropy(scores, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(scores), jnp.asarray(labels)[:, None], 1).mean()


def cross_entropy_vjp(scores, labels):
    return gradients(lambda scores: cross_entropy(scores, labels), jnp.ones((), scores.dtype), scores)


FEW = 40
"""Cases: every new shape is compiled."""

UNGROUPED = DEFAULT - {"groups"}
"""What gradients are checked for: of some convolutions with groups the compiler aborts on those to the weights (0.10)."""

KERNELS = [
    (op, forward, vjp, {"xp": "jax", "dtype": dtype, "cases": FEW, "supports": UNGROUPED if vjp else DEFAULT}, ranks)
    for dtype in ("float64", "float32")
    for op, forward, vjp, ranks in (
        ("conv", conv, None, (1, 2)),
        ("conv", conv, conv_vjp, (1, 2)),
        ("max_pool", max_pool, max_pool_vjp, (2,)),
        ("linear", linear, linear_vjp, (2,)),
        ("batch_norm", batch_norm, batch_norm_vjp, (2,)),
        ("cross_entropy", cross_entropy, cross_entropy_vjp, (2,)),
    )
]

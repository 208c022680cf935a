"""A convolution of JAX, a sum over the taps of the kernel, and the gradient that JAX derives from it, both compiled.

pip install jax && python examples/kernels/jax_kernel.py
"""

import functools
import itertools

import jax
import jax.numpy as jnp

from convproof.testing import check_conv


@functools.partial(jax.jit, static_argnums=(3, 4, 5, 6))
def forward(x, w, b, stride, padding, dilation, groups):
    x = jnp.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    x = x.reshape(x.shape[0], groups, w.shape[1], *x.shape[2:])
    filters = w.reshape(groups, -1, *w.shape[1:])
    spans = (d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True))
    rows, columns = ((n - span) // s + 1 for n, span, s in zip(x.shape[3:], spans, stride, strict=True))
    y = 0
    for i, j in itertools.product(*map(range, w.shape[2:])):
        top, left = dilation[0] * i, dilation[1] * j
        read = x[..., top : top + stride[0] * rows : stride[0], left : left + stride[1] * columns : stride[1]]
        y += jnp.einsum("gkc,ngcrs->ngkrs", filters[..., i, j], read)
    y = y.reshape(len(x), len(w), rows, columns)
    return y if b is None else y + b[:, None, None]


@functools.partial(jax.jit, static_argnums=(3, 4, 5, 6))
def vjp(g, x, w, *options):
    return jax.vjp(lambda *inputs: forward(*inputs, *options), x, w, jnp.zeros(len(w), w.dtype))[1](g)


if __name__ == "__main__":
    report = check_conv(forward, vjp, xp="jax", dtype="float32", cases=30)
    print(report)
    report.raise_if_failed()

"""The layers of this project's autograd: the three ways to compute a convolution, and what goes around it."""

import numpy as np

import convproof.autograd as ag


def gradients(function, g, *inputs):
    leaves = [ag.tensor(each) for each in inputs]
    return tuple(each.numpy() for each in ag.grad(function(*leaves), leaves, g))


def conv(algorithm):
    """Winograd's is for windows of 3x3 without stride or dilation; others are computed by columns."""

    def chosen(w, stride, dilation):
        small = w.shape[2:] == (3, 3) and set(stride) == set(dilation) == {1}
        return algorithm if small or algorithm != "winograd" else "im2col"

    def forward(x, w, b, stride, padding, dilation, groups):
        how = chosen(w, stride, dilation)
        return ag.conv(x, w, b, stride, padding, dilation, groups, algorithm=how).numpy()

    def vjp(g, x, w, stride, padding, dilation, groups):
        def y(x, w, b):
            return ag.conv(x, w, b, stride, padding, dilation, groups, algorithm=chosen(w, stride, dilation))

        return gradients(y, g, x, w, np.zeros(len(w), w.dtype))

    return forward, vjp


def conv_transpose(x, w, b, *options):
    return ag.conv_transpose(x, w, b, *options).numpy()


def conv_transpose_vjp(g, x, w, *options):
    b = np.zeros(w.shape[1] * options[-1], w.dtype)
    return gradients(lambda *inputs: ag.conv_transpose(*inputs, *options), g, x, w, b)


def max_pool(x, kernel, stride, padding, ceil_mode=False):
    return ag.max_pool(x, kernel, stride, padding, ceil_mode=ceil_mode, dialect=ag.TORCH).numpy()


def max_pool_vjp(g, x, kernel, stride, padding, ceil_mode=False):
    return gradients(lambda x: ag.max_pool(x, kernel, stride, padding, 1, ceil_mode, dialect=ag.TORCH), g, x)


def avg_pool(x, *options, **more):
    return ag.avg_pool(x, *options, **more).numpy()


def avg_pool_vjp(g, x, kernel, stride, padding, ceil_mode=False, count_include_pad=True):
    return gradients(lambda x: ag.avg_pool(x, kernel, stride, padding, ceil_mode, count_include_pad), g, x)


def lp_pool(x, p, kernel, stride, ceil_mode=False):
    return ag.lp_pool(x, p, kernel, stride, ceil_mode).numpy()


def lp_pool_vjp(g, x, p, kernel, stride, ceil_mode=False):
    return gradients(lambda x: ag.lp_pool(x, p, kernel, stride, ceil_mode), g, x)


def linear(x, w, b):
    return ag.linear(x, w, b).numpy()


def linear_vjp(g, x, w):
    return gradients(ag.linear, g, x, w, np.zeros(len(w), w.dtype))


def batch_norm(x, gamma, beta, eps):
    return ag.batch_norm(x, gamma, beta, eps).numpy()


def batch_norm_vjp(g, x, gamma, eps):
    return gradients(lambda *inputs: ag.batch_norm(*inputs, eps), g, x, gamma, np.zeros_like(gamma))


def lrn(x, *options):
    return ag.local_response_norm(x, *options).numpy()


def lrn_vjp(g, x, *options):
    return gradients(lambda x: ag.local_response_norm(x, *options), g, x)


def cross_entropy(scores, labels):
    return ag.cross_entropy(scores, labels).numpy()


def cross_entropy_vjp(scores, labels):
    return gradients(lambda scores: ag.cross_entropy(scores, labels), None, scores)


def im2col(x, *options):
    return ag.im2col(x, *options).numpy()


def col2im(columns, shape, *options):
    return ag.col2im(columns, shape[2:], *options).numpy()


RANKS = 1, 2, 3
KERNELS = [
    (op, forward, vjp, {"dtype": dtype} | more, ranks)
    for dtype in ("float64", "float32")
    for op, (forward, vjp), more, ranks in (
        ("conv", conv("direct"), {}, RANKS),
        ("conv", conv("im2col"), {}, RANKS),
        ("conv", conv("winograd"), {"rounding": "winograd"}, (2,)),
        ("conv_transpose", (conv_transpose, conv_transpose_vjp), {}, RANKS),
        ("max_pool", (max_pool, max_pool_vjp), {}, RANKS),
        ("avg_pool", (avg_pool, avg_pool_vjp), {}, RANKS),
        ("lp_pool", (lp_pool, lp_pool_vjp), {}, RANKS),
        ("linear", (linear, linear_vjp), {}, (2,)),
        ("batch_norm", (batch_norm, batch_norm_vjp), {}, RANKS),
        ("lrn", (lrn, lrn_vjp), {}, RANKS),
        ("cross_entropy", (cross_entropy, cross_entropy_vjp), {}, (2,)),
        ("im2col", (im2col, col2im), {}, (2,)),
    )
]

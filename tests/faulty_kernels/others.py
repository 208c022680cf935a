"""Fully connected layers, im2col, transposed convolutions, normalizations and losses, each with one fault."""

import functools

import numpy as np

from .convolutions import windows


def linear(x, w, b, fault=""):
    if fault == "weights not transposed" and w.shape[0] == w.shape[1]:
        w = w.T
    y = x @ w.T
    if fault == "tail" and x.shape[1] > 16:
        y = x[:, : x.shape[1] // 16 * 16] @ w[:, : x.shape[1] // 16 * 16].T
    return y if b is None or fault == "no bias" else y + b


def linear_vjp(g, x, w, fault=""):
    gx, gw, gb, n = g @ w, g.T @ x, g.sum(0), max(1, len(x))
    match fault:
        case "dW transposed":
            gw = gw.T
        case "dW mean":
            gw = gw / n
        case "dX mean":
            gx = gx / n
        case "db mean":
            gb = gb / n
        case "db of units" if len(g):
            gb = g.sum(1)
        case "dW of one image":
            gw = g[:1].T @ x[:1]
        case "ones":
            gx = np.ones_like(g) @ w
        case "dW sign":
            gw = -gw
    return gx, gw, gb


def im2col(x, kernel, stride, padding, dilation, fault=""):
    if fault == "dilation ignored":
        dilation = (1, 1)
    wide, _, places = windows(x, kernel, stride, padding, dilation)
    columns = [wide[:, :, rows, cols].reshape(len(x), -1) for _, _, rows, cols in places]
    if fault == "taps first":
        columns = [wide[:, :, rows, cols].transpose(0, 2, 3, 1).reshape(len(x), -1) for _, _, rows, cols in places]
    if fault == "column order":
        columns = columns[::-1]
    if fault == "windows as rows":
        return np.stack(columns, 1)
    return np.stack(columns, 2) if columns else np.zeros((len(x), x.shape[1] * kernel[0] * kernel[1], 0), x.dtype)


def col2im(columns, shape, kernel, stride, padding, dilation, fault=""):
    wide, _, places = windows(np.zeros(shape, columns.dtype), kernel, stride, padding, dilation)
    for place, (_, _, rows, cols) in enumerate(places):
        patch = columns[:, :, place].reshape(*shape[:2], *kernel)
        if fault == "overwritten":
            wide[:, :, rows, cols] = patch
        elif fault == "averaged":
            wide[:, :, rows, cols] += patch / (kernel[0] * kernel[1])
        else:
            wide[:, :, rows, cols] += patch
    ph, pw = padding
    if fault == "padding not cropped":
        ph, pw = 0, 0
    return wide[:, :, ph : ph + shape[2], pw : pw + shape[3]]


def conv_transpose(x, w, b, stride, padding, output_padding, dilation, groups, fault=""):
    if fault == "output_padding ignored":
        output_padding = (0, 0)
    if fault == "dilation ignored":
        dilation = (1, 1)
    if fault == "turned":
        w = w[:, :, ::-1, ::-1]
    sizes = [
        (n - 1) * s + d * (k - 1) + 1 + e
        for n, s, d, k, e in zip(x.shape[2:], stride, dilation, w.shape[2:], output_padding, strict=True)
    ]
    y = np.zeros((len(x), w.shape[1] * groups, *sizes), x.dtype)
    c, k = x.shape[1] // groups, w.shape[1]
    for group in range(groups):
        cs, ks = slice(group * c, group * c + c), slice(group * k, group * k + k)
        if fault == "first group":
            cs = slice(0, c)
        for o, p in np.ndindex(*x.shape[2:]):
            for i, j in np.ndindex(*w.shape[2:]):
                place = (slice(None), ks, o * stride[0] + i * dilation[0], p * stride[1] + j * dilation[1])
                added = x[:, cs, o, p] @ w[group * c : group * c + c, :, i, j]
                if fault == "overwritten":
                    y[place] = added
                else:
                    y[place] += added
    ph, pw = padding
    y = y[:, :, ph : y.shape[2] - ph, pw : y.shape[3] - pw]
    return y if b is None or fault == "no bias" else y + b[:, None, None]


def batch_norm(x, gamma, beta, eps, fault=""):
    axes, shape = (0, *range(2, x.ndim)), (-1, *(1 for _ in x.shape[2:]))
    if fault == "per position":
        axes = (0,)
    variance = x.var(axes, keepdims=True, ddof=1 if fault == "unbiased" and x.size // x.shape[1] > 1 else 0)
    if fault == "eps outside":
        scale = 1 / (np.sqrt(variance) + eps)
    else:
        scale = 1 / np.sqrt(variance + (0 if fault == "no eps" else eps))
    y = gamma.reshape(shape) * (x - x.mean(axes, keepdims=True)) * scale + beta.reshape(shape)
    return y - beta.reshape(shape) if fault == "no beta" else y


def batch_norm_vjp(g, x, gamma, eps, fault=""):
    axes, shape = (0, *range(2, x.ndim)), (-1, *(1 for _ in x.shape[2:]))
    mean = lambda a: a.mean(axes, keepdims=True)  # noqa: E731
    scale = 1 / np.sqrt(x.var(axes, keepdims=True) + eps)
    normed = (x - mean(x)) * scale
    through = 0 if fault in ("no mean", "constants") else mean(g)
    inner = 0 if fault in ("no variance", "constants") else normed * mean(g * normed)
    gx = scale * (g - through - inner) * (1 if fault == "no gamma" else gamma.reshape(shape))
    ggamma = (g * (x if fault == "dgamma of x" else normed)).sum(axes)
    gbeta = g.sum(axes)
    return (gx, ggamma, gbeta / len(x)) if fault == "dbeta mean" else (gx, ggamma, gbeta)


def lrn(x, size, alpha, beta, k, fault=""):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        low, high = c - size // 2, c + (size - 1) // 2 + (1 if fault == "one wider" else 0)
        total = (x[:, max(low, 0) : high + 1] ** 2).sum(1)
        y[:, c] = x[:, c] / (k + alpha / (1 if fault == "alpha whole" else size) * total) ** (
            0.75 if fault == "beta 0.75" else beta
        )
    return y


def lrn_vjp(g, x, size, alpha, beta, k, fault=""):
    base = np.empty_like(x)
    for c in range(x.shape[1]):
        base[:, c] = k + alpha / size * (x[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1] ** 2).sum(1)
    gx = g * base**-beta
    if fault == "own term":
        return gx
    across = g * x * base ** (-beta - 1)
    for c in range(x.shape[1]):
        near = across[:, max(c - (size - 1) // 2, 0) : c + size // 2 + 1]
        if fault == "same window":
            near = across[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1]
        gx[:, c] -= (1 if fault == "no factor two" else 2) * alpha / size * beta * x[:, c] * near.sum(1)
    return gx


def cross_entropy(scores, labels, fault=""):
    top = 0 if fault == "unstable" else scores.max(1, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        powers = np.exp(scores - top)
        losses = np.log(powers.sum(1)) - (scores - top)[np.arange(len(scores)), labels]
    return losses.sum() if fault == "sum" else losses.mean()


def cross_entropy_vjp(scores, labels, fault=""):
    powers = np.exp(scores - scores.max(1, keepdims=True))
    gradient = powers / powers.sum(1, keepdims=True)
    if fault != "label not subtracted":
        gradient[np.arange(len(scores)), labels] -= 1
    return gradient / {"sum": 1, "twice": len(scores) ** 2, "classes": scores.shape[1]}.get(fault, len(scores))


FAULTS = [
    ("linear", linear, linear_vjp, 0, {"weights not transposed": "weights not transposed", "no bias": "bias left out", "tail": "block tail"}),
    ("linear", linear, linear_vjp, 1, {"dW transposed": "dW transposed", "dW mean": "averaged over the batch", "dX mean": "averaged over the batch", "db mean": "averaged over the batch", "db of units": "wrong axes: units", "dW of one image": "first image", "ones": "cotangent taken as ones", "dW sign": "sign"}),
    ("im2col", im2col, col2im, 0, {"dilation ignored": "dilation ignored", "taps first": "taps before channels", "column order": "windows in reverse order", "windows as rows": "rows and columns interchanged"}),
    ("im2col", im2col, col2im, 1, {"overwritten": "overlap overwritten", "averaged": "averaged over the taps", "padding not cropped": "padding ignored"}),
    ("conv_transpose", conv_transpose, None, 0, {"output_padding ignored": "output_padding ignored", "dilation ignored": "dilation ignored", "turned": "filters turned round", "first group": "groups", "overwritten": "overlap overwritten", "no bias": "bias left out"}),
    ("batch_norm", batch_norm, batch_norm_vjp, 0, {"per position": "statistics of each position", "unbiased": "variance divided by n - 1", "eps outside": "eps outside the root", "no eps": "eps left out", "no beta": "beta left out"}),
    ("batch_norm", batch_norm, batch_norm_vjp, 1, {"no mean": "gradient through the mean", "no variance": "gradient through the variance", "constants": "statistics taken as constants", "no gamma": "gamma left out", "dgamma of x": "dgamma of what is not normalized", "dbeta mean": "averaged"}),
    ("lrn", lrn, lrn_vjp, 0, {"one wider": "", "alpha whole": "alpha not divided", "beta 0.75": "beta taken as 0.75"}),
    ("lrn", lrn, lrn_vjp, 1, {"own term": "gradient through the divisor", "same window": "window of the forward pass", "no factor two": "factor 2 left out"}),
    ("cross_entropy", cross_entropy, cross_entropy_vjp, 0, {"unstable": "", "sum": "summed instead of averaged"}),
    ("cross_entropy", cross_entropy, cross_entropy_vjp, 1, {"label not subtracted": "label not subtracted", "sum": "summed instead of averaged", "twice": "divided by the batch twice", "classes": "divided by the classes"}),
]  # fmt: skip
KERNELS = [
    (op, name, functools.partial(forward, fault=name), vjp, told) if not back else (op, name, forward, functools.partial(vjp, fault=name), told)
    for op, forward, vjp, back, faults in FAULTS
    for name, told in faults.items()
]  # fmt: skip
RIGHT = [(op, "plain", forward, vjp) for op, forward, vjp, back, _ in FAULTS if not back]

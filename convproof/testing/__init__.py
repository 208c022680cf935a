"""An exact oracle for kernels that somebody else wrote: convolution, pooling, fully connected layers and the like.

Each `check_...` runs a kernel, forward and gradient, on corners and drawn cases and compares what it returns with the
definition, entry by entry. Numbers are whole and so small that a right kernel cannot round; what cannot be exact is
compared up to a bound that is derived. A report that is not `ok` has the smallest failing case, the first wrong entry,
the likely fault by name, and lines to paste.

The kernel runs in the caller's process; `convproof check` runs it in one of its own.

>>> import numpy as np
>>> def pool(x, kernel, stride, padding):
...     return x[..., ::2, ::2] + x[..., 1::2, ::2]
>>> check_avg_pool(pool, cases=5).ok
False
"""

from typing import Any, Unpack

from convproof.testing.cases import (
    conv_cases,
    conv_transpose_cases,
    linear_cases,
    loss_cases,
    norm_cases,
    pool_cases,
)
from convproof.testing.checks import DEFAULT, FEATURES, Options, check
from convproof.testing.dialects import Dialect
from convproof.testing.differences import check_vjp
from convproof.testing.operations import OPERATIONS
from convproof.testing.result import Failure, KernelWrong, Report

__all__ = [
    "DEFAULT",
    "FEATURES",
    "OPERATIONS",
    "Dialect",
    "Failure",
    "KernelWrong",
    "Options",
    "Report",
    "check",
    "check_avg_pool",
    "check_batch_norm",
    "check_conv",
    "check_conv_transpose",
    "check_cross_entropy",
    "check_im2col",
    "check_linear",
    "check_lp_pool",
    "check_lrn",
    "check_max_pool",
    "check_vjp",
    "conv_cases",
    "conv_transpose_cases",
    "linear_cases",
    "loss_cases",
    "norm_cases",
    "pool_cases",
]


def check_conv(forward: Any, vjp: Any = None, **options: Unpack[Options]) -> Report:
    """forward(x, w, b, stride, padding, dilation, groups) -> y; vjp(g, x, w, stride, padding, dilation, groups) -> (gx,
    gw, gb). x (N, C, *sizes), w (K, C/groups, *kernel), b (K,) or None; tuples with one entry per axis.

    >>> from convproof import autograd as ag
    >>> check_conv(lambda *args: ag.conv(*args, algorithm="direct").numpy(), cases=20).ok
    True
    """
    return check("conv", forward, vjp, **options)


def check_conv_transpose(forward: Any, vjp: Any = None, **options: Unpack[Options]) -> Report:
    """forward(x, w, b, stride, padding, output_padding, dilation, groups) -> y; vjp(g, x, w, stride, padding,
    output_padding, dilation, groups) -> (gx, gw, gb). w (C, K/groups, *kernel), as in PyTorch.
    """
    return check("conv_transpose", forward, vjp, **options)


def check_max_pool(forward: Any, vjp: Any = None, **options: Unpack[Options]) -> Report:
    """forward(x, kernel, stride, padding) -> y; vjp(g, x, kernel, stride, padding) -> gx; with `ceil_mode` where they
    have such a parameter. Of equal maxima any may get the gradient, unless `dialect` says which.
    """
    return check("max_pool", forward, vjp, **options)


def check_avg_pool(forward: Any, vjp: Any = None, **options: Unpack[Options]) -> Report:
    """forward(x, kernel, stride, padding) -> y; vjp(g, x, kernel, stride, padding) -> gx; with `ceil_mode` and
    `count_include_pad` where they have such parameters. Padding counts in the divisor where that is left open.
    """
    return check("avg_pool", forward, vjp, **options)


def check_lp_pool(forward: Any, vjp: Any = None, **options: Unpack[Options]) -> Report:
    """forward(x, p, kernel, stride) -> y; vjp(g, x, p, kernel, stride) -> gx; with `ceil_mode` where they have it."""
    return check("lp_pool", forward, vjp, **options)


def check_linear(forward: Any, vjp: Any = None, **options: Unpack[Options]) -> Report:
    """forward(x, w, b) -> y; vjp(g, x, w) -> (gx, gw, gb). x (N, features), w (units, features), b (units,) or None."""
    return check("linear", forward, vjp, **options)


def check_im2col(im2col: Any, col2im: Any = None, **options: Unpack[Options]) -> Report:
    """im2col(x, kernel, stride, padding, dilation) -> (N, C*taps, outputs), as PyTorch's unfold; col2im(columns, shape,
    kernel, stride, padding, dilation) -> x, its adjoint, which adds up what overlaps.
    """
    return check("im2col", im2col, col2im, **options)


def check_batch_norm(forward: Any, vjp: Any = None, **options: Unpack[Options]) -> Report:
    """forward(x, gamma, beta, eps) -> y, by the batch's own mean and biased variance; vjp(g, x, gamma, eps) -> (gx,
    ggamma, gbeta).
    """
    return check("batch_norm", forward, vjp, **options)


def check_lrn(forward: Any, vjp: Any = None, **options: Unpack[Options]) -> Report:
    """forward(x, size, alpha, beta, k) -> y = x/(k + alpha/size * the sum of squares)**beta, as in PyTorch; vjp(g, x,
    size, alpha, beta, k) -> gx.
    """
    return check("lrn", forward, vjp, **options)


def check_cross_entropy(forward: Any, vjp: Any = None, **options: Unpack[Options]) -> Report:
    """forward(scores, labels) -> the mean loss; vjp(scores, labels) -> gscores. scores (N, classes), labels (N,)."""
    return check("cross_entropy", forward, vjp, **options)

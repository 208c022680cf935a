"""A convolution in C and its gradients, called through ctypes.

    python examples/kernels/c_kernel.py

Needs a C compiler as `cc`. C reads arrays row by row, so others are copied first (`np.ascontiguousarray`).
"""

import ctypes
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from convproof.testing import check_conv

SOURCE = r"""
// Visits every product of the convolution; what = 0 sums y, 1 the gradient of x, 2 that of w. `shape` holds batch,
// groups, channels and filters of a group, sizes, kernel, outputs, stride, padding and dilation.
void conv(int what, const long *shape, double *x, double *w, double *y) {
    long N = shape[0], G = shape[1], C = shape[2], K = shape[3], H = shape[4], W = shape[5], R = shape[6], S = shape[7],
         P = shape[8], Q = shape[9];
    for (long n = 0; n < N; n++) for (long g = 0; g < G; g++) for (long k = 0; k < K; k++)
    for (long p = 0; p < P; p++) for (long q = 0; q < Q; q++)
    for (long c = 0; c < C; c++) for (long r = 0; r < R; r++) for (long s = 0; s < S; s++) {
        long i = p * shape[10] + r * shape[14] - shape[12], j = q * shape[11] + s * shape[15] - shape[13];
        if (i < 0 || i >= H || j < 0 || j >= W) continue;
        double *xp = x + ((n * G * C + g * C + c) * H + i) * W + j, *wp = w + (((g * K + k) * C + c) * R + r) * S + s,
               *yp = y + ((n * G * K + g * K + k) * P + p) * Q + q;
        if (what == 0) *yp += *xp * *wp;
        if (what == 1) *xp += *yp * *wp;
        if (what == 2) *wp += *xp * *yp;
    }
}
"""


def library():
    with tempfile.TemporaryDirectory() as folder:
        source, built = Path(folder, "conv.c"), Path(folder, "conv.so")
        source.write_text(SOURCE)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", built, source], check=True)
        return ctypes.CDLL(str(built))


CONV = library().conv
CONV.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 4]
CONV.restype = None


def run(what, x, w, y, stride, padding, dilation, groups):
    n, channels, *sizes = x.shape
    shape = [n, groups, channels // groups, len(w) // groups, *sizes, *w.shape[2:], *y.shape[2:]]
    shape = np.array([*shape, *stride, *padding, *dilation], ctypes.c_long)
    arrays = [np.ascontiguousarray(each, np.float64) for each in (x, w, y)]
    CONV(what, shape.ctypes.data, *(each.ctypes.data for each in arrays))
    return arrays


def forward(x, w, b, stride, padding, dilation, groups):
    axes = zip(x.shape[2:], w.shape[2:], stride, padding, dilation, strict=True)
    y = np.zeros((len(x), len(w), *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)))
    y = run(0, x, w, y, stride, padding, dilation, groups)[2]
    return y if b is None else y + b[:, None, None]


def vjp(g, x, w, *options):
    gx = run(1, np.zeros(x.shape), w, g, *options)[0]
    gw = run(2, x, np.zeros(w.shape), g, *options)[1]
    return gx, gw, g.sum((0, 2, 3))


if __name__ == "__main__":
    report = check_conv(forward, vjp)
    print(report)
    report.raise_if_failed()

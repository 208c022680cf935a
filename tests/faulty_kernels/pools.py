"""Poolings of two axes and their gradients, each with one fault."""

import functools

import numpy as np


def windows(sizes, kernel, stride, padding, ceil_mode):
    """For each output its place, and the rows and columns that lie in the image; and how many values of the padded
    image it spans.
    """
    lines = []
    for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True):
        count = (n + 2 * p - k) // s + 1
        if ceil_mode and (n + 2 * p - k) % s and count * s < n + p:
            count += 1
        line = []
        for o in range(count):
            start = o * s - p
            line.append((o, max(start, 0), min(start + k, n), min(start + k, n + p) - start))
        lines.append(line)
    return [(a, b) for a in lines[0] for b in lines[1]], tuple(map(len, lines))


def max_pool(x, kernel, stride, padding, ceil_mode=False, fault=""):
    if fault == "stride ignored":
        stride = kernel
    if fault == "stride of one":
        stride = (1, 1)
    if fault == "kernel of one axis":
        kernel = (kernel[0],) * 2
    if fault == "floor":
        ceil_mode = False
    places, count = windows(x.shape[2:], kernel, stride, padding, ceil_mode)
    y = np.zeros((*x.shape[:2], *count), x.dtype)
    for (o, top, bottom, _), (p, left, right, _) in places:
        window = x[:, :, top:bottom, left:right]
        full = bottom - top == kernel[0] and right - left == kernel[1]
        if fault == "window one short" and window.shape[2] > 1:
            window = window[:, :, :-1]
        with np.errstate(invalid="ignore"):
            value = window.max((2, 3))
        if fault == "padding wins" and not full:
            value = np.maximum(value, 0)
        if fault == "padding of -128" and not full:
            value = np.maximum(value, -128)
        if fault == "lowest float for NaN":
            value = np.where(np.isnan(window), np.finfo(x.dtype).min, window).max((2, 3))
        if fault == "starts from zero":
            value = np.maximum(value, 0)
        if fault == "absolute values":
            value = np.abs(window).max((2, 3))
        if fault == "mean":
            value = window.mean((2, 3))
        if fault == "first value":
            value = window[:, :, 0, 0]
        y[:, :, o, p] = value
    if fault == "channels swapped" and x.shape[1] > 1:
        y = y[:, ::-1]
    return y


def max_pool_vjp(g, x, kernel, stride, padding, ceil_mode=False, fault=""):
    gx = np.zeros_like(x)
    won = np.zeros(x.shape, bool)
    places, _ = windows(x.shape[2:], kernel, stride, padding, ceil_mode)
    for (o, top, bottom, _), (p, left, right, _) in places:
        window = x[:, :, top:bottom, left:right]
        flat = window.reshape(*x.shape[:2], -1)
        if not flat.size:
            continue
        place = flat.argmax(2)
        if fault == "last":
            place = flat.shape[2] - 1 - flat[:, :, ::-1].argmax(2)
        hot = (np.arange(flat.shape[2]) == place[..., None]).reshape(window.shape)
        if fault == "all maxima":
            hot = window == window.max((2, 3), keepdims=True)
        part = gx[:, :, top:bottom, left:right]
        given = g[:, :, o, p][:, :, None, None]
        if fault == "assigned":
            part[hot] = np.broadcast_to(given, hot.shape)[hot]
        elif fault == "overwritten":
            part[...] = hot * given
        elif fault == "every tap":
            part += given
        elif fault == "ignores the cotangent":
            part += hot
        elif fault == "last window remembers":
            won[:, :, top:bottom, left:right] = hot
        elif fault == "tail without gradient" and (bottom - top < kernel[0] and top):
            pass
        else:
            part += hot * given
    if fault == "last window remembers":
        for (o, top, bottom, _), (p, left, right, _) in places:
            gx[:, :, top:bottom, left:right] += won[:, :, top:bottom, left:right] * g[:, :, o, p][:, :, None, None]
    if fault == "divided by the window":
        gx = gx / (kernel[0] * kernel[1])
    if fault == "zeros":
        gx = np.zeros_like(x)
    return gx


def avg_pool(x, kernel, stride, padding, ceil_mode=False, count_include_pad=True, fault=""):
    return _averages(x, kernel, stride, padding, ceil_mode, count_include_pad, fault)[0]


def _averages(x, kernel, stride, padding, ceil_mode, count_include_pad, fault, g=None):
    if fault == "stride ignored":
        stride = kernel
    if fault == "floor":
        ceil_mode = False
    places, count = windows(x.shape[2:], kernel, stride, padding, ceil_mode)
    y, gx = np.zeros((*x.shape[:2], *count), x.dtype), np.zeros_like(x)
    for (o, top, bottom, high), (p, left, right, wide) in places:
        window = x[:, :, top:bottom, left:right]
        inside = (bottom - top) * (right - left)
        if fault == "always counts padding" or (count_include_pad and fault != "never counts padding"):
            divisor = high * wide
        else:
            divisor = inside
        if fault == "full kernel" or (fault == "full kernel under ceil" and ceil_mode):
            divisor = kernel[0] * kernel[1]
        if fault == "one axis":
            divisor = kernel[0]
        if fault == "sum":
            divisor = 1
        y[:, :, o, p] = window.sum((2, 3)) / max(divisor, 1)
        if g is not None and o < g.shape[2] and p < g.shape[3]:
            share = g[:, :, o, p][:, :, None, None] / max(divisor, 1)
            if fault == "overwritten":
                gx[:, :, top:bottom, left:right] = share
            elif fault == "leaves out what touches padding" and inside < kernel[0] * kernel[1]:
                pass
            elif fault == "ones":
                gx[:, :, top:bottom, left:right] += 1 / divisor
            else:
                gx[:, :, top:bottom, left:right] += share
    return y, gx


def avg_pool_vjp(g, x, kernel, stride, padding, ceil_mode=False, count_include_pad=True, fault=""):
    return _averages(x, kernel, stride, padding, ceil_mode, count_include_pad, fault, g)[1]


def lp_pool(x, p, kernel, stride, fault=""):
    places, count = windows(x.shape[2:], kernel, stride, (0, 0), False)
    y = np.zeros((*x.shape[:2], *count), x.dtype)
    for (o, top, bottom, _), (q, left, right, _) in places:
        total = (x[:, :, top:bottom, left:right] ** (2 if fault == "always 2" else p)).sum((2, 3))
        y[:, :, o, q] = total if fault == "no root" else total ** (1 / (2 if fault == "always 2" else p))
    return y / (kernel[0] * kernel[1]) ** (1 / p) if fault == "mean" else y


def lp_pool_vjp(g, x, p, kernel, stride, fault=""):
    y, gx = lp_pool(x, p, kernel, stride), np.zeros_like(x)
    places, _ = windows(x.shape[2:], kernel, stride, (0, 0), False)
    for (o, top, bottom, _), (q, left, right, _) in places:
        window = x[:, :, top:bottom, left:right]
        slope = (
            window ** (p - 1)
            * (g[:, :, o, q] * (1 if fault == "no outer factor" else y[:, :, o, q] ** (1 - p)))[:, :, None, None]
        )
        if fault == "overwritten":
            gx[:, :, top:bottom, left:right] = slope
        else:
            gx[:, :, top:bottom, left:right] += slope
    return gx


MAX_FORWARD = {
    "stride ignored": "stride taken as the kernel",
    "stride of one": "stride ignored",
    "kernel of one axis": "size of the first axis on all",
    "floor": "ceil mode ignored",
    "window one short": "",
    "padding wins": "padding wins the maximum: zeros",
    "padding of -128": "padding wins the maximum: -128",
    "lowest float for NaN": "lowest number in place of NaN",
    "starts from zero": "maximum started from zero",
    "absolute values": "absolute values",
    "mean": "mean instead of the maximum",
    "first value": "first value instead of the maximum",
    "channels swapped": "several channels",
}
MAX_BACKWARD = {
    "all maxima": "gradient to all maxima",
    "assigned": "overlap overwritten",
    "overwritten": "overlap overwritten",
    "every tap": "gradient to every tap",
    "ignores the cotangent": "cotangent taken as ones",
    "last window remembers": "a win remembered for the last window",
    "tail without gradient": "",
    "divided by the window": "",
    "zeros": "zeros",
}
AVG_FORWARD = {
    "stride ignored": "stride taken as the kernel",
    "floor": "ceil mode ignored",
    "always counts padding": "padding counted in the divisor",
    "never counts padding": "padding left out of the divisor",
    "full kernel under ceil": "what ceil mode lets stick out",
    "one axis": "divided by the size of the first axis alone",
    "sum": "not divided",
}
AVG_BACKWARD = {
    "never counts padding": "padding left out of the divisor",
    "full kernel under ceil": "what ceil mode lets stick out",
    "overwritten": "overlap overwritten",
    "leaves out what touches padding": "",
    "ones": "cotangent taken as ones",
    "sum": "not divided",
}
LP_FORWARD = {"no root": "root left out", "always 2": "p taken as 2", "mean": "mean instead of a sum"}
LP_BACKWARD = {"no outer factor": "y to the power 1 - p left out", "overwritten": "overlap overwritten"}


def _both(op, forward, vjp, ahead, back):
    return [(op, name, functools.partial(forward, fault=name), vjp, told) for name, told in ahead.items()] + [
        (op, name, forward, functools.partial(vjp, fault=name), told) for name, told in back.items()
    ]


KERNELS = [
    *_both("max_pool", max_pool, max_pool_vjp, MAX_FORWARD, MAX_BACKWARD),
    *_both("avg_pool", avg_pool, avg_pool_vjp, AVG_FORWARD, AVG_BACKWARD),
    *_both("lp_pool", lp_pool, lp_pool_vjp, LP_FORWARD, LP_BACKWARD),
]
RIGHT = [
    ("max_pool", "first", max_pool, max_pool_vjp),
    ("max_pool", "last", max_pool, functools.partial(max_pool_vjp, fault="last")),
    ("avg_pool", "plain", avg_pool, avg_pool_vjp),
    ("lp_pool", "plain", lp_pool, lp_pool_vjp),
]

"""Convolutions of two axes, window by window. `FAULTS` names what goes wrong, and how the fault is called."""

import functools

import numpy as np


def windows(x, kernel, stride, padding, dilation, value=0.0):
    """The padded image, and for each output its place and slices."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel, stride, padding, dilation
    wide = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=value)
    rows = (wide.shape[2] - dh * (kh - 1) - 1) // sh + 1
    columns = (wide.shape[3] - dw * (kw - 1) - 1) // sw + 1
    places = [
        (o, p, slice(o * sh, o * sh + dh * (kh - 1) + 1, dh), slice(p * sw, p * sw + dw * (kw - 1) + 1, dw))
        for o in range(rows)
        for p in range(columns)
    ]
    return wide, (rows, columns), places


def parts(x, w, groups):
    """The channels and filters of each group."""
    c, k = x.shape[1] // groups, w.shape[0] // groups
    return [(slice(i * c, i * c + c), slice(i * k, i * k + k)) for i in range(groups)]


def forward(x, w, b, stride, padding, dilation, groups, fault=""):
    if fault == "flipped":
        w = w[:, :, ::-1, ::-1]
    if fault == "flipped rows":
        w = w[:, :, ::-1]
    if fault == "transposed kernel" and w.shape[2] == w.shape[3]:
        w = w.swapaxes(2, 3)
    if fault == "dilation ignored":
        dilation = (1, 1)
    if fault == "dilation on one axis":
        dilation = (dilation[0],) * 2
    if fault == "dilation counts gaps":
        dilation = tuple(d + 1 for d in dilation)
    if fault == "stride ignored":
        stride = (1, 1)
    if fault == "stride on one axis":
        stride = (stride[0],) * 2
    if fault == "strides swapped":
        stride = stride[::-1]
    if fault == "padding ignored":
        padding = (0, 0)
    if fault == "padding on one axis":
        padding = (padding[1],) * 2
    if fault == "last row lost":
        w = w.copy()
        w[:, :, -1] = 0
    if fault == "last column lost":
        w = w.copy()
        w[..., -1] = 0
    wide, sizes, places = windows(x, w.shape[2:], stride, padding, dilation)
    if fault == "padding shifted":
        wide = np.roll(wide, 1, 2) if padding[0] else wide
    if fault == "edge padding":
        (ph, pw) = padding
        wide = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), mode="edge") if x.size else wide
    y = np.zeros((len(x), len(w), *sizes), np.result_type(x, w))
    for cs, ks in parts(x, w, groups):
        if fault == "interleaved groups":
            cs = slice(cs.start // (x.shape[1] // groups), None, groups)
        if fault == "first group":
            cs = slice(0, x.shape[1] // groups)
        for o, p, rows, columns in places:
            patch = wide[:, cs, rows, columns]
            y[:, ks, o, p] = np.einsum("ncij,kcij->nk", patch, w[ks])
    if fault == "block tail of channels" and x.shape[1] % 8 and x.shape[1] > 8:
        y = (
            forward(x[:, : x.shape[1] // 8 * 8], w[:, : x.shape[1] // 8 * 8], None, stride, padding, dilation, 1)
            if groups == 1
            else y
        )
    if fault == "block tail of columns" and y.shape[-1] > 4 and y.shape[-1] % 4:
        y[..., y.shape[-1] // 4 * 4 :] = 0
    if fault == "block tail of filters" and y.shape[1] > 16:
        y[:, y.shape[1] // 16 * 16 :] = 0
    if fault == "last output lost" and y.shape[-1] > 1:
        y = y[..., :-1]
    if fault == "batch of one" and len(y) > 1:
        y[1:] = y[:1]
    if fault == "float32":
        return y.astype(np.float32) if b is None else (y + b[:, None, None]).astype(np.float32)
    if fault == "saturates":
        y = np.clip(y, -(2.0**40), 2.0**28)
    if fault == "swallows sign":
        y = np.abs(y)
    if fault == "zeros":
        y = np.zeros_like(y)
    if fault == "nan":
        y = np.full_like(y, np.nan)
    if b is not None and fault != "bias left out":
        y = y + (b[None, :, None, None] if fault != "bias twice" else 2 * b[None, :, None, None])
    if fault == "bias of first filter" and b is not None:
        y = y - b[:, None, None] + b[0]
    return y


def vjp(g, x, w, stride, padding, dilation, groups, fault=""):
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    forward_w = w
    own_stride, own_dilation = stride, dilation
    if fault == "dX: filters not turned":
        w = w[:, :, ::-1, ::-1]
    if fault == "dX: kernel of one tap forgets the stride" and w.shape[2:] == (1, 1):
        stride = (1, 1)
    if fault == "stride and dilation swapped":
        stride, dilation = dilation, stride
    if fault == "walks without the stride":
        stride = (1, 1)
    if fault == "dX: reads filters as contiguous":
        w = np.lib.stride_tricks.as_strided(w, w.shape, np.empty(w.shape, w.dtype).strides)
    ph, pw = padding
    if fault in ("dX: padding off by one", "padding off by one"):
        ph = max(0, ph - 1)
    if fault == "padding of the other axis":
        ph, pw = pw, ph
    wide, _, places = windows(x, w.shape[2:], stride, (ph, pw), dilation)
    gwide = np.zeros_like(wide)
    reach = (own_dilation, own_stride)
    for cs, ks in parts(x, w, groups):
        wcs = cs
        if fault == "dW: interleaved channels":
            wcs = slice(cs.start // (x.shape[1] // groups), None, groups)
        for o, p, rows, columns in places:
            if o >= g.shape[2] or p >= g.shape[3]:
                continue
            part = g[:, ks, o, p]
            patch = wide[:, wcs, rows, columns]
            if patch.shape[2:] != w.shape[2:]:
                continue
            gw[ks] += np.einsum("nk,ncij->kcij", part, patch)
            added = np.einsum("nk,kcij->ncij", part, w[ks])
            if fault == "dX: overlap overwritten":
                gwide[:, cs, rows, columns] = added
            elif fault == "dX: first group" and cs.start:
                gwide[:, : x.shape[1] // groups, rows, columns] += added
            else:
                gwide[:, cs, rows, columns] += added
    gx = gwide[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]
    gb = g.sum((0, 2, 3))
    n, size = max(1, len(x)), max(1, g.shape[2] * g.shape[3])
    left = [
        (m + 2 * q - d * (k - 1) - 1) % s
        for m, q, d, k, s in zip(x.shape[2:], padding, reach[0], w.shape[2:], reach[1], strict=True)
    ]
    match fault:
        case "dX: without the remainder":
            gx = gx[:, :, : gx.shape[2] - left[0], : gx.shape[3] - left[1]]
        case "dX: corner zeroed" if gx.size:
            gx = gx.copy()
            gx[0, 0, 0, 0] = 0
        case "dX: last column wrong" if gx.shape[3] > 1:
            gx = gx.copy()
            gx[..., -1] *= 2
        case "dX: averaged over the batch":
            gx = gx / n
        case "dX: cotangent of ones":
            gx = vjp(np.ones_like(g), x, forward_w, stride, padding, dilation, groups)[0]
        case "dX: tail of a blocked loop" if stride != (1, 1) and x.shape[1] > 16 and g.shape[3] < 17:
            gx = gx.copy()
            gx[:, 16:] = 0
        case "dX: fake" if np.any(x):
            gx = gx + 0
            pairing = (gx * x).sum()
            place = tuple(np.argwhere(x)[0])
            gx = np.zeros_like(gx)
            gx[place] = pairing / x[place]
        case "dW: fake" if np.any(w):
            pairing = (gw * w).sum()
            place = tuple(np.argwhere(w)[0])
            gw = np.zeros_like(gw)
            gw[place] = pairing / w[place]
        case "dW: last row lost":
            gw[:, :, -1] = 0
        case "dW: last row lost at stride 2" if stride[0] == 2 and padding[0] == 1:
            gw[:, :, -1] = 0
        case "dW: axes interchanged" if w.shape[2] != w.shape[3]:
            gw = gw.swapaxes(2, 3)
        case "dW: turned":
            gw = gw[:, :, ::-1, ::-1]
        case "dW: averaged over the batch":
            gw = gw / n
        case "dW: of the last image":
            gw = vjp(g[-1:], x[-1:], forward_w, stride, padding, dilation, groups)[1]
        case "dW: size of the remainder with groups" if groups > 1 and any(
            r >= d for r, d in zip(left, dilation, strict=True)
        ):
            extra = [r // d for r, d in zip(left, dilation, strict=True)]
            gw = np.pad(gw, ((0, 0), (0, 0), (0, extra[0]), (0, extra[1])))
        case "dW: padding ignores the stride" if max(stride) > 1 and max(padding) > 0:
            gw = np.roll(gw, 1, 2)
        case "dW: depthwise sees one channel" if groups == x.shape[1] > 1:
            gw = np.repeat(gw[:1], len(gw), 0)
        case "dW: sign":
            gw = -gw
        case "db: averaged":
            gb = gb / (n * size)
        case "db: averaged over the batch":
            gb = gb / n
        case "db: over the batch alone":
            gb = g.sum(0)
        case "db: a number":
            gb = np.full_like(gb, g.sum())
        case "db: first image":
            gb = g[:1].sum((0, 2, 3))
        case "db: ones":
            gb = np.full_like(gb, n * size)
        case "groups with a stride go to the dense kernel" if groups > 1 and max(stride) > 1:
            gx = gx[:, ::-1]
    return gx, gw, gb


FORWARD = {
    "flipped": "filters turned round",
    "flipped rows": "filters turned round along the first axis",
    "transposed kernel": "axes of the filters interchanged",
    "dilation ignored": "dilation ignored",
    "dilation on one axis": "dilation of the first axis on all",
    "dilation counts gaps": "dilation counts gaps",
    "stride ignored": "stride ignored",
    "stride on one axis": "stride of the first axis on all",
    "strides swapped": "strides of the axes interchanged",
    "padding ignored": "padding ignored",
    "padding on one axis": "padding of the last axis on all",
    "padding shifted": "",
    "edge padding": "padding with values of the image",
    "last row lost": "last row of the kernel lost",
    "last column lost": "last column of the kernel lost",
    "interleaved groups": "groups mixed",
    "first group": "groups mixed",
    "block tail of channels": "block tail",
    "block tail of columns": "block tail",
    "block tail of filters": "block tail",
    "last output lost": "last output left out",
    "batch of one": "first image in place of all",
    "float32": "dtype",
    "saturates": "",
    "swallows sign": "absolute values",
    "zeros": "zeros",
    "nan": "NaN",
    "bias left out": "bias left out",
    "bias twice": "bias added twice",
    "bias of first filter": "first bias for all filters",
}
BACKWARD = {
    "dX: filters not turned": "filters turned round",
    "dX: kernel of one tap forgets the stride": "stride ignored",
    "stride and dilation swapped": "stride and dilation interchanged",
    "walks without the stride": "stride ignored",
    "dX: padding off by one": "",
    "padding off by one": "",
    "padding of the other axis": "paddings of the axes interchanged",
    "dW: interleaved channels": "groups mixed",
    "dX: overlap overwritten": "overlap overwritten",
    "dX: first group": "groups",
    "dX: without the remainder": "remainder dropped",
    "dX: corner zeroed": "wrong in the first image alone",
    "dX: last column wrong": "wrong in the last column alone",
    "dX: averaged over the batch": "averaged over the batch",
    "dX: cotangent of ones": "cotangent taken as ones",
    "dX: tail of a blocked loop": "block tail",
    "dX: fake": "made up",
    "dW: fake": "made up",
    "dW: last row lost": "last row of the kernel lost",
    "dW: last row lost at stride 2": "last row of the kernel lost",
    "dW: axes interchanged": "axes of dW interchanged",
    "dW: turned": "filters turned round",
    "dW: averaged over the batch": "averaged over the batch",
    "dW: of the last image": "last image",
    "dW: size of the remainder with groups": "remainder",
    "dW: padding ignores the stride": "",
    "dW: depthwise sees one channel": "first filter in place of all",
    "dW: sign": "sign",
    "db: averaged": "averaged over batch and positions",
    "db: averaged over the batch": "averaged over the batch",
    "db: over the batch alone": "wrong axes",
    "db: a number": "channels too",
    "db: first image": "first image",
    "db: ones": "cotangent taken as ones",
    "groups with a stride go to the dense kernel": "groups and a stride",
}
KERNELS = [("conv", name, functools.partial(forward, fault=name), vjp, told) for name, told in FORWARD.items()] + [
    ("conv", name, forward, functools.partial(vjp, fault=name), told) for name, told in BACKWARD.items()
]
RIGHT = [("conv", "window by window", forward, vjp)]

"""Published faults of libraries, each as a small kernel that goes wrong on the trigger that was reported."""

import functools

import numpy as np

from . import others, pools

# --- convolution, tap by tap ------------------------------------------------------------------------------------------


def reads(wide, tap, stride, dilation, count):
    """What every output reads of the padded image at one tap."""
    rows, columns = (
        slice(t * d, t * d + s * (n - 1) + 1, s) for t, s, d, n in zip(tap, stride, dilation, count, strict=True)
    )
    return wide[:, :, rows, columns]


def padded(x, padding):
    """The image with zeros at its ends: as many at both, or a pair each."""
    pairs = [p if isinstance(p, tuple) else (p, p) for p in padding]
    return np.pad(x, ((0, 0), (0, 0), *pairs)), pairs


def count_of(wide, kernel, stride, dilation):
    return tuple(
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(wide.shape[2:], kernel, stride, dilation, strict=True)
    )


def groups_of(x, w, groups):
    c, k = x.shape[1] // groups, w.shape[0] // groups
    return [(slice(i * c, i * c + c), slice(i * k, i * k + k)) for i in range(groups)]


def y_of(x, w, stride, padding, dilation, groups, channels=None):
    wide, _ = padded(x, padding)
    count = count_of(wide, w.shape[2:], stride, dilation)
    y = np.zeros((len(x), len(w), *count), x.dtype)
    for tap in np.ndindex(*w.shape[2:]):
        part = reads(wide, tap, stride, dilation, count)
        for group, (cs, ks) in enumerate(groups_of(x, w, groups)):
            own = cs if channels is None else channels(group, x.shape[1], groups)
            y[:, ks] += np.einsum("nc...,kc->nk...", part[:, own], w[ks, :, *tap])
    return y


def dx_of(g, shape, w, stride, padding, dilation, groups):
    """The gradient of an image of that shape."""
    wide, pairs = padded(np.zeros(shape, g.dtype), padding)
    count = tuple(min(n, m) for n, m in zip(g.shape[2:], count_of(wide, w.shape[2:], stride, dilation), strict=True))
    g = g[:, :, : count[0], : count[1]]
    for tap in np.ndindex(*w.shape[2:]):
        part = reads(wide, tap, stride, dilation, count)
        for cs, ks in groups_of(wide, w, groups):
            part[:, cs] += np.einsum("nk...,kc->nc...", g[:, ks], w[ks, :, *tap])
    (top, _), (left, _) = pairs
    return wide[:, :, top : top + shape[2], left : left + shape[3]]


def dw_of(g, x, kernel, stride, padding, dilation, groups, channels=None, skipped=None):
    """The gradient of filters of that size; of a tap, the first outputs may be skipped."""
    wide, pairs = padded(x, padding)
    gw = np.zeros((g.shape[1], x.shape[1] // groups, *kernel), g.dtype)
    for tap in np.ndindex(*kernel):
        part = reads(wide, tap, stride, dilation, g.shape[2:])
        o, p = (
            (0, 0)
            if skipped is None
            else (skipped(q, t * d) for (q, _), t, d in zip(pairs, tap, dilation, strict=True))
        )
        for group, (cs, ks) in enumerate(groups_of(x, gw, groups)):
            own = cs if channels is None else channels(group, x.shape[1], groups)
            gw[ks, :, *tap] = np.einsum("nkij,ncij->kc", g[:, ks, o:, p:], part[:, own, o:, p:])
    return gw


def conv(x, w, b, stride, padding, dilation, groups):
    y = y_of(x, w, stride, padding, dilation, groups)
    return y if b is None else y + b[:, None, None]


def conv_vjp(g, x, w, stride, padding, dilation, groups):
    gx = dx_of(g, x.shape, w, stride, padding, dilation, groups)
    return gx, dw_of(g, x, w.shape[2:], stride, padding, dilation, groups), g.sum((0, 2, 3))


def interleaved(group, channels, groups):
    return slice(group, None, groups)


def remainder(x, kernel, stride, padding, dilation):
    """What the stride leaves over at the end of each axis."""
    return [
        (n + 2 * p - d * (k - 1) - 1) % s
        for n, p, d, k, s in zip(x.shape[2:], padding, dilation, kernel, stride, strict=True)
    ]


def depthwise(x, w, groups):
    return 1 < groups == x.shape[1] == len(w)


# --- convolution: faults of the forward pass --------------------------------------------------------------------------


def y_of_other_channels(x, w, b, stride, padding, dilation, groups):
    """pytorch#19912: the channels of a group stand where they would if groups were interleaved."""
    y = y_of(x, w, stride, padding, dilation, groups, interleaved)
    return y if b is None else y + b[:, None, None]


def y_without_dilation(x, w, b, stride, padding, dilation, groups):
    """tensorflow#18454: a vectorized path of 3x3 kernels does not know of dilation."""
    return conv(x, w, b, stride, padding, (1, 1) if w.shape[2:] == (3, 3) else dilation, groups)


def y_by_winograd(x, w, b, stride, padding, dilation, groups):
    """tinygrad#4312: the Winograd path takes the paddings from the last axis to the first."""
    fast = (w.shape[2:], stride, dilation) == ((3, 3), (1, 1), (1, 1))
    return conv(x, w, b, stride, padding[::-1] if fast else padding, dilation, groups)


def y_by_winograd_of_any_kernel(x, w, b, stride, padding, dilation, groups):
    """The same, for every kernel without stride and dilation."""
    fast = (stride, dilation) == ((1, 1), (1, 1))
    return conv(x, w, b, stride, padding[::-1] if fast else padding, dilation, groups)


def y_padded_by_the_beginning(x, w, b, stride, padding, dilation, groups):
    """onnxruntime#26708: what is padded at the beginning is padded at the end, too."""
    same = tuple(p[0] if isinstance(p, tuple) else p for p in padding)
    return conv(x, w, b, stride, same, dilation, groups)


def empties(x, w, b, *options):
    """KernelBench PR#82: zeros, for which there is nothing left to compare with."""
    y = np.zeros_like(conv(x, w, b, *options))
    if x.flags.writeable:
        x[...] = 0
    return y


class Kept:
    """kernelbench.com PR#7: the first result, kept by what the key says of the input."""

    def __init__(self, key):
        self.key, self.kept = key, {}

    def __call__(self, x, w, b, *options):
        key = self.key(x), x.shape, w.shape, b is None, options
        if key not in self.kept:
            self.kept[key] = conv(x, w, b, *options)
        return self.kept[key].copy()


def nan(x, w, b, *options):
    """pygpubench PR#7: no number, which compares with none."""
    return np.full_like(conv(x, w, b, *options), np.nan)


def nan_in_the_middle(x, w, b, *options):
    """The same, where a larger result is least looked at."""
    y = conv(x, w, b, *options)
    y[..., y.shape[2] // 2, y.shape[3] // 2] = np.nan
    return y


# --- convolution: faults of the gradient ------------------------------------------------------------------------------


def dx_of_one_tap(g, x, w, stride, padding, dilation, groups):
    """pytorch#63314: kernels of one element take a path that forgets the stride."""
    gx, gw, gb = conv_vjp(g, x, w, stride, padding, dilation, groups)
    if w.shape[2:] == (1, 1):
        gx = dx_of(g, x.shape, w, (1, 1), padding, dilation, groups)
    return gx, gw, gb


def dw_of_other_channels(g, x, w, stride, padding, dilation, groups):
    """pytorch#51430: filter f and channel c meet input channel c*groups + group."""
    gx, _, gb = conv_vjp(g, x, w, stride, padding, dilation, groups)
    return gx, dw_of(g, x, w.shape[2:], stride, padding, dilation, groups, interleaved), gb


def dw_of_the_remainder(g, x, w, stride, padding, dilation, groups):
    """mlx#2184, torch7-distro#20: dW has the size of a kernel that would use what the stride leaves over."""
    gx, gw, gb = conv_vjp(g, x, w, stride, padding, dilation, groups)
    more = [r // d for r, d in zip(remainder(x, w.shape[2:], stride, padding, dilation), dilation, strict=True)]
    if groups > 1 and any(more):
        larger = tuple(k + r for k, r in zip(w.shape[2:], more, strict=True))
        gw = dw_of(g, x, larger, stride, padding, dilation, groups)
    return gx, gw, gb


def row_by_row(array):
    """The numbers of the buffer behind an array in a row, as if it were contiguous."""
    return np.lib.stride_tricks.as_strided(array, array.shape, np.empty(array.shape, array.dtype).strides)


def filters_as_contiguous(g, x, w, *options):
    """candle#3735: the gradient reads the buffer of the filters, whatever their strides."""
    gx, _, _ = conv_vjp(g, x, row_by_row(w), *options)
    return gx, *conv_vjp(g, x, w, *options)[1:]


def cotangent_as_contiguous(g, x, w, *options):
    """The same of the cotangent, which is often an expanded number."""
    return conv_vjp(row_by_row(g), x, w, *options)


def dw_interchanged(g, x, w, *options):
    """NNPACK#15: a kernel that is not square gets a dW whose axes are interchanged, in a buffer of the right shape."""
    gx, gw, gb = conv_vjp(g, x, w, *options)
    return gx, gw.swapaxes(2, 3).reshape(gw.shape), gb


def dx_cut_short(g, x, w, stride, padding, dilation, groups):
    """CMU10-714 hw4#6, opacus#245: the size of dX is what the cotangent alone suggests."""
    gx, gw, gb = conv_vjp(g, x, w, stride, padding, dilation, groups)
    left = remainder(x, w.shape[2:], stride, padding, dilation)
    return gx[:, :, : gx.shape[2] - left[0], : gx.shape[3] - left[1]], gw, gb


def dx_of_blocks(g, x, w, stride, padding, dilation, groups, columns):
    """fujitsu/oneDNN#43: the tail of a loop over blocks of 16 channels misses the last output column."""
    gx, gw, gb = conv_vjp(g, x, w, stride, padding, dilation, groups)
    if max(stride) > 1 and x.shape[1] > 16 and columns(g, x) < 17:
        short = g.copy()
        short[..., -1] = 0
        gx[:, 16:] = dx_of(short, x.shape, w, stride, padding, dilation, groups)[:, 16:]
    return gx, gw, gb


def without_the_stride(g, x, w, stride, padding, dilation, groups):
    """A course's solution: the gradient walks the windows one by one."""
    gx = dx_of(g, x.shape, w, (1, 1), padding, dilation, groups)
    return gx, dw_of_walk(g, x, w, padding, dilation, groups), g.sum((0, 2, 3))


def dw_of_walk(g, x, w, padding, dilation, groups):
    wide, _ = padded(x, padding)
    count = count_of(wide, w.shape[2:], (1, 1), dilation)
    g = g[:, :, : count[0], : count[1]]
    return dw_of(g, x, w.shape[2:], (1, 1), padding, dilation, groups)


def db_mean(g, x, w, *options):
    """Homework: the mean over batch and positions."""
    gx, gw, gb = conv_vjp(g, x, w, *options)
    return gx, gw, gb / max(1, g.size // g.shape[1])


def made_up(g, x, w, *options, part):
    """No gradient at all, but the operand scaled so that its inner product with it is right."""
    parts = list(conv_vjp(g, x, w, *options))
    operand = (x, w)[part]
    size = (operand * operand).sum()
    parts[part] = operand * ((parts[part] * operand).sum() / size if size else 0)
    return parts


def dw_skips_by_padding(g, x, w, stride, padding, dilation, groups, only_depthwise=True):
    """oneDNN#4124: outputs that lie in the padding of a tap are counted without the stride."""
    gx, gw, gb = conv_vjp(g, x, w, stride, padding, dilation, groups)
    if depthwise(x, w, groups) or not only_depthwise:
        skip = lambda padding, start: max(0, padding - start)  # noqa: E731
        gw = dw_of(g, x, w.shape[2:], stride, padding, dilation, groups, skipped=skip)
    return gx, gw, gb


def dw_without_the_last_row(g, x, w, stride, padding, dilation, groups):
    """pytorch#50042: depthwise, stride 2, padding 1: dW loses the last row of the kernel."""
    gx, gw, gb = conv_vjp(g, x, w, stride, padding, dilation, groups)
    if depthwise(x, w, groups) and stride == (2, 2) and padding == (1, 1):
        gw[:, :, -1] = 0
    return gx, gw, gb


def dx_without_the_right_edge(g, x, w, stride, padding, dilation, groups):
    """pytorch#25101: kernel 5, stride 3, padding 1: the last column of dX misses its last window."""
    gx, gw, gb = conv_vjp(g, x, w, stride, padding, dilation, groups)
    if (w.shape[3], stride[1], padding[1]) == (5, 3, 1):
        short = g.copy()
        short[..., -1] = 0
        gx[..., -1] = dx_of(short, x.shape, w, stride, padding, dilation, groups)[..., -1]
    return gx, gw, gb


def dx_by_the_dense_kernel(g, x, w, stride, padding, dilation, groups):
    """mlx PR#3800: grouped and strided, dX comes from the kernel for one group, which sums over all filters."""
    gx, gw, gb = conv_vjp(g, x, w, stride, padding, dilation, groups)
    if groups > 1 and max(stride) > 1:
        one = dx_of(g, (len(x), w.shape[1], *x.shape[2:]), w, stride, padding, dilation, 1)
        gx = np.concatenate([one] * groups, 1)
    return gx, gw, gb


def dx_of_remainder_at_the_beginning(g, x, w, stride, padding, dilation, groups):
    """posit-neuralnet PR#2: where the stride leaves something over, dX is filled up at the wrong end."""
    gx, gw, gb = conv_vjp(g, x, w, stride, padding, dilation, groups)
    left = remainder(x, w.shape[2:], stride, padding, dilation)
    return np.roll(gx, left, (2, 3)), gw, gb


# --- transposed convolution -------------------------------------------------------------------------------------------


def transpose_vjp(g, x, w, stride, padding, output_padding, dilation, groups, swapped=True):
    """candle PR#2337: the gradient convolves g with stride and dilation interchanged."""
    gw = dw_of(x, g, w.shape[2:], stride, padding, dilation, groups)
    if swapped:
        stride, dilation = dilation, stride
    wide, _ = padded(g, padding)
    count = count_of(wide, w.shape[2:], stride, dilation)
    if min(count) < 1:
        return np.zeros_like(x), gw, g.sum((0, 2, 3))
    gx = y_of(g, w, stride, padding, dilation, groups)
    fitted = np.zeros_like(x)
    rows, columns = (min(n, m) for n, m in zip(gx.shape[2:], x.shape[2:], strict=True))
    fitted[:, :, :rows, :columns] = gx[:, :, :rows, :columns]
    return fitted, gw, g.sum((0, 2, 3))


# --- pooling ----------------------------------------------------------------------------------------------------------


def looked_at(x, kernel, stride, padding, ceil_mode):
    """Each output, the slices of its window in the image, and whether the window is whole."""
    for (o, top, bottom, _), (p, left, right, _) in pools.windows(x.shape[2:], kernel, stride, padding, ceil_mode)[0]:
        whole = bottom - top == kernel[0] and right - left == kernel[1]
        yield o, p, (slice(None), slice(None), slice(top, bottom), slice(left, right)), whole


def max_with(pads):
    """tinygrad#7726, MIGraphX#2991 with 0, FlagGems#5938 with -128: what pads the maximum can win it."""

    def forward(x, kernel, stride, padding, ceil_mode=False):
        y = pools.max_pool(x, kernel, stride, padding, ceil_mode)
        for o, p, _, whole in looked_at(x, kernel, stride, padding, ceil_mode):
            if not whole:
                y[:, :, o, p] = np.maximum(y[:, :, o, p], pads)
        return y

    return forward


def max_without_nan(x, kernel, stride, padding, ceil_mode=False):
    """pytorch#7645: a running maximum from the lowest number, which NaN never beats."""
    return pools.max_pool(np.where(np.isnan(x), np.finfo(x.dtype).min, x), kernel, stride, padding, ceil_mode)


def winners(x, kernel, stride, padding, ceil_mode):
    """Each output, its window, and which place in the window is the first of its maxima."""
    for o, p, window, _ in looked_at(x, kernel, stride, padding, ceil_mode):
        flat = x[window].reshape(*x.shape[:2], -1)
        won = np.arange(flat.shape[2]) == flat.argmax(2)[..., None]
        yield o, p, window, won.reshape(x[window].shape)


def winner_assigned(g, x, kernel, stride, padding, ceil_mode=False):
    """Flux#1197, tangermeme#95: the winner's gradient is assigned, not added."""
    gx = np.zeros_like(x)
    for o, p, window, won in winners(x, kernel, stride, padding, ceil_mode):
        gx[window][won] = np.broadcast_to(g[:, :, o, p][:, :, None, None], won.shape)[won]
    return gx


def window_assigned(g, x, kernel, stride, padding, ceil_mode=False):
    """NNlib#205: the last of overlapping windows overwrites what the others gave, zeros too."""
    gx = np.zeros_like(x)
    for o, p, window, won in winners(x, kernel, stride, padding, ceil_mode):
        gx[window] = won * g[:, :, o, p][:, :, None, None]
    return gx


def win_remembered_once(g, x, kernel, stride, padding, ceil_mode=False):
    """ocannl#512: whether an input won is remembered for the last window that looked; then it wins all of them."""
    won, gx = np.zeros(x.shape, bool), np.zeros_like(x)
    for _, _, window, wins in winners(x, kernel, stride, padding, ceil_mode):
        won[window] = wins
    for o, p, window, _ in looked_at(x, kernel, stride, padding, ceil_mode):
        gx[window] += won[window] * g[:, :, o, p][:, :, None, None]
    return gx


def averages(x, kernel, stride, padding, ceil_mode, count_include_pad, full, g=None):
    """y, or dX where g is given; `full(ceil_mode)` says that the divisor is the kernel's size."""
    places, count = pools.windows(x.shape[2:], kernel, stride, padding, ceil_mode)
    y, gx = np.zeros((*x.shape[:2], *count), x.dtype), np.zeros_like(x)
    for (o, top, bottom, high), (p, left, right, wide) in places:
        divisor = high * wide if count_include_pad else (bottom - top) * (right - left)
        if full(ceil_mode):
            divisor = kernel[0] * kernel[1]
        y[:, :, o, p] = x[:, :, top:bottom, left:right].sum((2, 3)) / divisor
        if g is not None:
            gx[:, :, top:bottom, left:right] += g[:, :, o, p][:, :, None, None] / divisor
    return y if g is None else gx


def average_with_what_sticks_out(x, kernel, stride, padding, ceil_mode=False, count_include_pad=True):
    """onnxruntime#16203, tract#2851: the divisor counts what ceil mode lets stick out."""
    return averages(x, kernel, stride, padding, ceil_mode, count_include_pad, lambda ceil: ceil and count_include_pad)


def average_back_by_full_kernel(g, x, kernel, stride, padding, ceil_mode=False, count_include_pad=True):
    """pytorch#198119, burn#5604: under ceil mode dX is divided by the size of the kernel."""
    return averages(x, kernel, stride, padding, ceil_mode, count_include_pad, lambda ceil: ceil, g)


def average_back_of_channels_last(g, x, kernel, stride, padding, ceil_mode=False, count_include_pad=True):
    """pytorch#188349: for images whose channels lie next to each other, dX leaves the padding out."""
    if x.shape[1] > 1 and x.strides[1] == x.itemsize:
        gx = np.zeros_like(x)
        for o, p in np.ndindex(*g.shape[2:]):
            top, left = o * stride[0], p * stride[1]
            share = g[:, :, o, p][:, :, None, None] / (kernel[0] * kernel[1])
            gx[:, :, top : top + kernel[0], left : left + kernel[1]] += share
        return gx
    return pools.avg_pool_vjp(g, x, kernel, stride, padding, ceil_mode, count_include_pad)


def average_without_stride(x, kernel, stride, padding, ceil_mode=False, count_include_pad=True):
    """libnd4j#793: windows are as far apart as they are large."""
    return pools.avg_pool(x, kernel, kernel, padding, ceil_mode, count_include_pad)


# --- normalization and loss -------------------------------------------------------------------------------------------


def batch_norm_without_gamma(g, x, gamma, eps):
    """Knet#288: gamma is left out of dX."""
    gx, ggamma, gbeta = others.batch_norm_vjp(g, x, gamma, eps)
    return gx / gamma[:, None, None], ggamma, gbeta


def summed_loss(scores, labels):
    return others.cross_entropy(scores, labels) * len(scores)


def loss_divided_again(scores, labels):
    """aprender#2182: the gradient of each row is divided by the batch, and then that of their mean."""
    return others.cross_entropy_vjp(scores, labels) / len(scores)


WHOLE_TAIL = functools.partial(dx_of_blocks, columns=lambda g, x: x.shape[3])
SHORT_TAIL = functools.partial(dx_of_blocks, columns=lambda g, x: g.shape[3])
AVERAGE = pools.avg_pool, pools.avg_pool_vjp

KERNELS = [
    ("conv", "pytorch#63314", conv, dx_of_one_tap, "stride ignored"),
    ("conv", "pytorch#51430", conv, dw_of_other_channels, "groups mixed: channels interleaved"),
    ("conv", "mlx#2184", conv, dw_of_the_remainder, "taps that use the remainder"),
    ("conv", "candle#3735", conv, filters_as_contiguous, "contiguous"),
    ("conv", "candle#3735, cotangent", conv, cotangent_as_contiguous, "contiguous"),
    ("conv", "NNPACK#15", conv, dw_interchanged, "axes of dW interchanged"),
    ("conv", "opacus#245", conv, dx_cut_short, "remainder dropped"),
    ("conv", "fujitsu/oneDNN#43", conv, WHOLE_TAIL, ""),
    ("conv", "fujitsu/oneDNN#43, output columns", conv, SHORT_TAIL, ""),
    ("conv", "course", conv, without_the_stride, "stride ignored"),
    ("conv", "KernelBench PR#82", empties, conv_vjp, "inputs are changed in place"),
    ("conv", "kernelbench.com PR#7, shape", Kept(lambda x: 0), conv_vjp, "stale state"),
    ("conv", "kernelbench.com PR#7, address", Kept(lambda x: x.ctypes.data), conv_vjp, "stale state"),
    ("conv", "pygpubench PR#7", nan, conv_vjp, "NaN"),
    ("conv", "pygpubench PR#7, in the middle", nan_in_the_middle, conv_vjp, "NaN"),
    ("conv", "homework", conv, db_mean, "averaged over batch and positions"),
    ("conv", "made up dX", conv, functools.partial(made_up, part=0), "made up"),
    ("conv", "made up dW", conv, functools.partial(made_up, part=1), "made up"),
    ("max_pool", "ocannl#512", pools.max_pool, win_remembered_once, "a win remembered for the last window"),
    ("max_pool", "Flux#1197", pools.max_pool, winner_assigned, "overlap overwritten"),
    ("max_pool", "tinygrad#7726", max_with(0), pools.max_pool_vjp, "padding wins the maximum: zeros"),
    ("max_pool", "FlagGems#5938", max_with(-128), pools.max_pool_vjp, "padding wins the maximum: -128"),
    ("avg_pool", "onnxruntime#16203", average_with_what_sticks_out, AVERAGE[1], "what ceil mode lets stick out"),
    ("batch_norm", "Knet#288", others.batch_norm, batch_norm_without_gamma, "gamma left out"),
    ("cross_entropy", "aprender#2182", others.cross_entropy, loss_divided_again, "divided by the batch twice"),
    ("cross_entropy", "aprender#2182, sum", summed_loss, others.cross_entropy_vjp, "summed instead of averaged"),
    ("max_pool", "NNlib#205", pools.max_pool, window_assigned, "overlap overwritten"),
    ("conv", "oneDNN#4124", conv, dw_skips_by_padding, ""),
    ("conv", "oneDNN#4124, dense", conv, functools.partial(dw_skips_by_padding, only_depthwise=False), ""),
    ("conv", "pytorch#50042", conv, dw_without_the_last_row, "last row of the kernel lost"),
    ("conv", "pytorch#25101", conv, dx_without_the_right_edge, ""),
    ("conv", "pytorch#19912", y_of_other_channels, conv_vjp, "groups mixed: channels interleaved"),
    ("avg_pool", "pytorch#188349", AVERAGE[0], average_back_of_channels_last, "padding ignored"),
    ("avg_pool", "pytorch#198119", AVERAGE[0], average_back_by_full_kernel, "what ceil mode lets stick out"),
    ("max_pool", "pytorch#7645", max_without_nan, pools.max_pool_vjp, "lowest number in place of NaN"),
    ("conv", "tensorflow#18454", y_without_dilation, conv_vjp, "dilation ignored"),
    ("conv", "mlx PR#3800", conv, dx_by_the_dense_kernel, "groups and a stride"),
    ("conv_transpose", "candle PR#2337", others.conv_transpose, transpose_vjp, "stride and dilation interchanged"),
    ("conv", "posit-neuralnet PR#2", conv, dx_of_remainder_at_the_beginning, ""),
    ("avg_pool", "libnd4j#793", average_without_stride, None, "stride taken as the kernel"),
    ("conv", "tinygrad#4312", y_by_winograd, conv_vjp, "paddings of the axes interchanged"),
    ("conv", "tinygrad#4312, any kernel", y_by_winograd_of_any_kernel, conv_vjp, "paddings of the axes interchanged"),
]
ASYMMETRIC = [
    ("conv", "onnxruntime#26708", y_padded_by_the_beginning, None, "padding at the beginning used at the end")
]
"""Of kernels that are asked for unlike padding at the two ends."""
RIGHT = [
    ("conv", "tap by tap", conv, conv_vjp),
    ("conv_transpose", "tap by tap", others.conv_transpose, functools.partial(transpose_vjp, swapped=False)),
    ("avg_pool", "divisor of the image", *AVERAGE),
]

"""A convolution of PyTorch as a `torch.autograd.Function`, with a backward pass of its own: columns and products.

pip install '.[torch]' && python examples/kernels/torch_function.py
"""

import torch
from torch.nn import functional

from convproof.testing import check_conv


class Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, stride, padding, dilation, groups):
        ctx.save_for_backward(x, w)
        ctx.window = {"kernel_size": w.shape[2:], "stride": stride, "padding": padding, "dilation": dilation}
        ctx.groups, ctx.bias = groups, b is not None
        columns = functional.unfold(x, **ctx.window).unflatten(1, (groups, -1))  # (N, G, C/G*taps, outputs)
        y = torch.einsum("gkc,ngco->ngko", w.flatten(1).unflatten(0, (groups, -1)), columns).flatten(1, 2)
        y = y if b is None else y + b[:, None]
        spans = (d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True))
        axes = zip(x.shape[2:], spans, stride, padding, strict=True)
        return y.unflatten(2, [(n + 2 * p - span) // s + 1 for n, span, s, p in axes])

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        of_groups = g.flatten(2).unflatten(1, (ctx.groups, -1))
        columns = functional.unfold(x, **ctx.window).unflatten(1, (ctx.groups, -1))
        gw = torch.einsum("ngko,ngco->gkc", of_groups, columns).reshape(w.shape)
        spread = torch.einsum("gkc,ngko->ngco", w.flatten(1).unflatten(0, (ctx.groups, -1)), of_groups).flatten(1, 2)
        gx = functional.fold(spread, x.shape[2:], **ctx.window)
        return gx, gw, g.sum((0, 2, 3)) if ctx.bias else None, None, None, None, None


def forward(x, w, b, *options):
    return Conv.apply(x, w, b, *options)


def vjp(g, x, w, *options):
    """What autograd makes of the backward pass."""
    inputs = [x.detach().requires_grad_(), w.detach().requires_grad_(), w.new_zeros(len(w)).requires_grad_()]
    return torch.autograd.grad(Conv.apply(*inputs, *options), inputs, g)


if __name__ == "__main__":
    report = check_conv(forward, vjp, xp="torch", dtype="float32")
    print(report)
    report.raise_if_failed()

"""A max pooling as a C++ extension of PyTorch, forward and backward, compiled when it is loaded.

    pip install '.[torch]' ninja && python examples/kernels/cpp_extension.py

Needs a C++ compiler; compiling takes a minute. Of equal maxima the first gets the gradient, which `dialect` says.
"""

import torch
from torch.utils.cpp_extension import load_inline

from convproof.testing import check_max_pool

SOURCE = r"""
#include <limits>
#include <vector>

// y, and the place in its plane that each maximum is taken from; NaN is larger than all numbers.
std::vector<torch::Tensor> max_pool(torch::Tensor x, std::vector<int64_t> kernel, std::vector<int64_t> stride,
                                    std::vector<int64_t> padding) {
    x = x.contiguous();
    int64_t H = x.size(2), W = x.size(3), planes = x.size(0) * x.size(1);
    int64_t P = (H + 2 * padding[0] - kernel[0]) / stride[0] + 1, Q = (W + 2 * padding[1] - kernel[1]) / stride[1] + 1;
    auto y = torch::empty({x.size(0), x.size(1), P, Q}, x.options());
    auto places = torch::empty({x.size(0), x.size(1), P * Q}, torch::kInt64);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "max_pool", [&] {
        auto *from = x.data_ptr<scalar_t>();
        auto *to = y.data_ptr<scalar_t>();
        auto *at = places.data_ptr<int64_t>();
        for (int64_t o = 0; o < planes * P * Q; o++) {
            auto *plane = from + o / (P * Q) * H * W;
            int64_t top = o / Q % P * stride[0] - padding[0], left = o % Q * stride[1] - padding[1], place = -1;
            for (int64_t i = std::max<int64_t>(top, 0); i < std::min(top + kernel[0], H); i++)
                for (int64_t j = std::max<int64_t>(left, 0); j < std::min(left + kernel[1], W); j++)
                    if (place < 0 || plane[i * W + j] > plane[place] || plane[i * W + j] != plane[i * W + j])
                        place = i * W + j;
            to[o] = plane[place];
            at[o] = place;
        }
    });
    return {y, places};
}
"""

EXTENSION = load_inline("convproof_max_pool", SOURCE, functions=["max_pool"], extra_cflags=["-O1"])


class MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, kernel, stride, padding):
        y, places = EXTENSION.max_pool(x, kernel, stride, padding)
        ctx.save_for_backward(places)
        ctx.shape = x.shape
        return y

    @staticmethod
    def backward(ctx, g):
        (places,) = ctx.saved_tensors
        gx = g.new_zeros(ctx.shape).flatten(2).scatter_add(2, places, g.flatten(2))
        return gx.reshape(ctx.shape), None, None, None


def forward(x, kernel, stride, padding):
    return MaxPool.apply(x, kernel, stride, padding)


def vjp(g, x, *options):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(MaxPool.apply(x, *options), x, g)


if __name__ == "__main__":
    report = check_max_pool(forward, vjp, xp="torch", dialect={"ties": "first", "nan": "propagate"})
    print(report)
    report.raise_if_failed()

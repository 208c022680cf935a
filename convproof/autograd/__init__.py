"""A reverse-mode autograd on NumPy arrays of any numeric dtype; it knows nothing of size formulas."""

from convproof.autograd.convolution import conv, conv_input_gradient, conv_transpose, conv_weight_gradient
from convproof.autograd.dense import linear, matmul
from convproof.autograd.elementwise import absolute, add, multiply, power, relu, softmax
from convproof.autograd.loss import cross_entropy, hinge_loss
from convproof.autograd.pooling import avg_pool, lp_pool, max_pool
from convproof.autograd.shaping import broadcast, concatenate, flatten, pad, reshape, sum, transpose
from convproof.autograd.tape import Tensor, grad, tape, tensor

__all__ = [
    "Tensor",
    "absolute",
    "add",
    "avg_pool",
    "broadcast",
    "concatenate",
    "conv",
    "conv_input_gradient",
    "conv_transpose",
    "conv_weight_gradient",
    "cross_entropy",
    "flatten",
    "grad",
    "hinge_loss",
    "linear",
    "lp_pool",
    "matmul",
    "max_pool",
    "multiply",
    "pad",
    "power",
    "relu",
    "reshape",
    "softmax",
    "sum",
    "tape",
    "tensor",
    "transpose",
]

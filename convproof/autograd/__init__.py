"""A reverse-mode autograd on NumPy arrays of real numbers; it knows nothing of size formulas.

One rule says for every operation in which dtype it computes (`dtypes.computed_in` is that rule as code):

    operands                      computed and summed in    result                   gradient
    float32, float64, longdouble  that dtype                that dtype               that dtype
    float16                       float32                   float16, rounded once    float16, rounded once
    int8 to int64, uint8 to 32    int64                     int64                    int64
    objects (Fraction, int, ...)  Python's arithmetic       objects                  objects

- A gradient of integers has signs and sums that small and unsigned integers cannot hold, so results and gradients of
  all of them are int64, as NumPy's own sums are. Beyond int64 they wrap round, as NumPy's do: take objects there.
- What divides integers, or takes roots, exponentials and the like, gives float64, and so do its gradients. Fractions
  and integers in object arrays stay exact, or the operation is refused: exponentials always, and roots of no square.
- Operands of several dtypes have the common one that NumPy gives them (uint8 and float32: float32), and it is computed
  in as the table says.
- Refused with `DtypeError`: booleans and complex numbers, in object arrays too, text, masked arrays, and uint64, which
  int64 cannot hold.
"""

from convproof.autograd.columns import col2im, im2col, locally_connected
from convproof.autograd.convolution import conv, conv_input_gradient, conv_transpose, conv_weight_gradient
from convproof.autograd.dense import linear, matmul
from convproof.autograd.dialects import STRICT, TORCH, Dialect
from convproof.autograd.elementwise import (
    absolute,
    add,
    dropout,
    log_softmax,
    multiply,
    power,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from convproof.autograd.loss import cross_entropy, hinge_loss, nll_loss
from convproof.autograd.normalization import batch_norm, group_norm, local_response_norm, mean
from convproof.autograd.pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    lp_pool,
    max_pool,
    max_unpool,
)
from convproof.autograd.shaping import (
    broadcast,
    concatenate,
    conv_to_linear,
    crop,
    flatten,
    linear_to_conv,
    pad,
    reshape,
    sum,
    take,
    transpose,
)
from convproof.autograd.tape import Tensor, grad, tape, tensor

__all__ = [
    "STRICT",
    "TORCH",
    "Dialect",
    "Tensor",
    "absolute",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "add",
    "avg_pool",
    "batch_norm",
    "broadcast",
    "col2im",
    "concatenate",
    "conv",
    "conv_input_gradient",
    "conv_to_linear",
    "conv_transpose",
    "conv_weight_gradient",
    "crop",
    "cross_entropy",
    "dropout",
    "flatten",
    "global_avg_pool",
    "global_max_pool",
    "grad",
    "group_norm",
    "hinge_loss",
    "im2col",
    "linear",
    "linear_to_conv",
    "local_response_norm",
    "locally_connected",
    "log_softmax",
    "lp_pool",
    "matmul",
    "max_pool",
    "max_unpool",
    "mean",
    "multiply",
    "nll_loss",
    "pad",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "sum",
    "take",
    "tanh",
    "tape",
    "tensor",
    "transpose",
]

"""What holds `BatchNorm` to `torch.nn.BatchNorm1d`, `2d` and `3d`.

A check is a few lines that use a layer on a batch and return what is to be compared:
outputs, gradients, parameters, statistics. They run twice, with our layer, `BatchNorm`
or a subclass, and with torch's, both of which start from the same parameters and
statistics.

The deviation of two tensors is their largest absolute difference, relative to the
larger of 1 and the largest magnitude in torch's. Whatever can only be equal or not, as
a shape or a dtype, deviates by 0 or by infinity.
"""

import copy
import math
import pickle

import torch

from bn import TORCH_LAYERS, BatchNorm, from_torch, to_torch

CHECKS = {}  # name: function of the number of axes that returns the deviation
TRACING = {}  # the same for torch.compile and torch.export, which take seconds
TOLERANCES = {}  # name: the deviation up to which the layers count as equal

# Both layers add up the same numbers, in another order. Each rounding costs up to
# 6e-8 in float32 (1.1e-16 in float64), and some hundred values meet in a gradient.
FLOAT32 = 1e-5
FLOAT64 = 1e-13
# One unit in the last place of bfloat16, which has 8 significant bits.
BFLOAT16 = 2**-7
# Near 1e4 the numbers of float32 lie 1e-3 apart, so that a mean held in float32, and
# with it the output, is not known better.
FAR = 1e-3

SHAPES = {2: (16, 3), 3: (8, 3, 5), 4: (4, 3, 5, 6), 5: (4, 3, 2, 3, 4)}


def run(num_dims, checks=CHECKS, kind=BatchNorm):
    """The deviation in each of the checks, for inputs with `num_dims` axes (2 to 5)."""
    return {name: function(num_dims, kind) for name, function in checks.items()}


def check(name, tolerance=FLOAT32, checks=CHECKS, **arguments):
    """Make a check of a function of a layer, constructed with `arguments`, and x."""

    def register(function):
        def largest_deviation(num_dims, kind=BatchNorm):
            ours, theirs = layers(num_dims, kind, **arguments)
            x = batch(num_dims)
            return deviation(function(ours, x), function(theirs, x))

        checks[name], TOLERANCES[name] = largest_deviation, tolerance
        return function

    return register


def deviation(ours, theirs):
    """How far `ours` is from `theirs`: tensors, other objects, or sequences of them."""
    if isinstance(theirs, (list, tuple)):
        return max(deviation(a, b) for a, b in zip(ours, theirs, strict=True))
    if not isinstance(theirs, torch.Tensor):
        return 0.0 if ours == theirs else math.inf
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return math.inf
    ours, theirs = ours.detach().double(), theirs.detach().double()
    difference = (ours - theirs).abs().max() / theirs.abs().max().clamp(min=1)
    return difference.nan_to_num(nan=math.inf).item()


def layers(num_dims, kind=BatchNorm, **arguments):
    """Our layer and torch's, with the same random parameters and statistics."""
    theirs = TORCH_LAYERS[num_dims](SHAPES[num_dims][1], **arguments)
    generator = torch.Generator().manual_seed(0)
    for tensor in theirs.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 2, generator=generator)
    return from_torch(theirs, num_dims, kind), theirs


def batch(num_dims):
    """Normally distributed values with mean 2 and standard deviation 3."""
    generator = torch.Generator().manual_seed(1)
    return 2 + 3 * torch.randn(SHAPES[num_dims], generator=generator)


def gradients(layer, x, order=1):
    """Gradients by x, gamma and beta: of a loss, then of their own squares' sum."""
    inputs = (x.detach().requires_grad_(), *layer.parameters())
    y = layer(inputs[0])
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
    total = (weights * (y + y**3 / 10)).sum()
    for _ in range(order):
        results = torch.autograd.grad(total, inputs, create_graph=order > 1)
        total = sum(result.square().sum() for result in results)
    return [result.squeeze() for result in results]


def state(layer):
    """Names and values of parameters and statistics, as torch has them."""
    layer = to_torch(layer) if isinstance(layer, BatchNorm) else layer
    return [*layer.state_dict(), *layer.state_dict().values()]


@check("output, training mode")
def output_in_training(layer, x):
    return layer(x)


@check("output, evaluation mode")
def output_in_evaluation(layer, x):
    return layer.eval()(x)


@check("gradient of the input")
def input_gradient(layer, x):
    return gradients(layer, x)[0]


@check("gradients of gamma and beta")
def parameter_gradients(layer, x):
    return gradients(layer, x)[1:]


@check("gradients, evaluation mode")
def evaluation_gradients(layer, x):
    return gradients(layer.eval(), x), state(layer)


@check("second derivatives, float64", FLOAT64)
def second_derivatives(layer, x):
    layer, x = layer.double(), x.double()
    return gradients(layer, x, order=2), gradients(layer.eval(), x, order=2)


@check("momentum=None: cumulative average", momentum=None)
@check("running statistics and counter, 5 batches")
def running_statistics(layer, x):
    for i in range(5):
        layer(x.roll(i, dims=1) * (i + 1))
    return state(layer)


@check("train() under no_grad")
def training_without_grad(layer, x):
    with torch.no_grad():
        return layer(x), state(layer)


@check("track_running_stats=False", track_running_stats=False)
@check("affine=False", affine=False)
@check("momentum=0.7, eps=1", momentum=0.7, eps=1.0)
def arguments_of_the_constructor(layer, x):
    return layer(x), state(layer), layer.eval()(x)


@check("track_running_stats set to False later")
def tracking_switched_off(layer, x):
    layer.track_running_stats = False
    return layer(x), state(layer), layer.eval()(x)


@check("state_dict from torch to ours and back", 0)
def state_dict_round_trip(layer, x):
    if isinstance(layer, BatchNorm):  # filled from torch's layer
        saved, layer = layer.state_dict(), type(layer)(layer.num_features, x.dim())
        layer.load_state_dict(saved)
    return state(layer)


@check("copy.deepcopy and pickle")
def copies(layer, x):
    layer(x)
    copies = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))
    return [(twin(x), state(twin)) for twin in copies]


@check("float64", FLOAT64, momentum=None)
def double_precision(layer, x):
    layer, x = layer.double(), x.double()
    return gradients(layer, x), layer(x), layer(x * 2), state(layer), layer.eval()(x)


@check("bfloat16", BFLOAT16)
def half_precision(layer, x):
    layer, x = layer.bfloat16(), x.bfloat16()
    return layer(x), state(layer), layer.eval()(x)


@check("autocast to bfloat16", BFLOAT16)
def autocast(layer, x):
    with torch.autocast("cpu", torch.bfloat16):
        return layer(x), layer(x.bfloat16()), state(layer)


# With 2 axes the channels are last in any case; only 4 and 5 have a format to keep.
@check("channels-last and strided memory")
def memory_formats(layer, x):
    last = x.movedim(1, -1).contiguous().movedim(-1, 1)
    strided = x.repeat_interleave(2, dim=-1)[..., ::2]
    results = [(layer(view), gradients(layer, view)) for view in (last, strided)]
    return results, x.dim() < 4 or layer(last).stride()


@check("data with mean 1e4: output", FAR)
def output_far_from_zero(layer, x):
    return layer(x + 1e4)


@check("data with mean 1e4: running variance")
def variance_far_from_zero(layer, x):
    layer(x + 1e4)
    return layer.running_var.flatten()


@check("one step of SGD")
def step_of_sgd(layer, x):
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
    layer(x).pow(3).mean().backward()
    optimizer.step()
    return state(layer)


@check("one value per channel is refused", 0)
def refusal_of_one_value(layer, x):
    try:
        layer(x[(slice(1), ..., *[slice(1)] * (x.dim() - 2))])
    except ValueError as error:
        return type(error)


# The backend "aot_eager" runs what was traced, forward and backward, as it stands: the
# check then needs no C++ compiler, which the default backend would.
@check("torch.compile(fullgraph=True)", checks=TRACING)
def compiled(layer, x):
    results = []
    for training in (True, False):
        traced = layer.train(training)
        if isinstance(layer, BatchNorm):  # torch's runs as it is
            torch.compiler.reset()
            traced = torch.compile(layer, fullgraph=True, backend="aot_eager")
        results += gradients(traced, x)
    return results, state(layer)


@check("torch.export", checks=TRACING)
def exported(layer, x):
    results = []
    for training in (True, False):
        traced = layer.train(training)
        if isinstance(layer, BatchNorm):
            traced = torch.export.export(layer, (x,)).module()
        statistics = traced.running_mean, traced.running_var
        results += [traced(x), *(statistic.flatten() for statistic in statistics)]
    return results

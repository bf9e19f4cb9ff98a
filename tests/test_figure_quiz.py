"""The quizzes: what they call right is computed, and so is every number that they name.

A function for each question returns the right answer as it should read, and the numbers
that answers and reasons name beyond those in the question.
"""

import html
import json
import math
import re
from copy import deepcopy
from itertools import pairwise, permutations
from urllib.parse import urldefrag

import pytest
import torch
from pytest import approx
from torch import nn
from torch.nn.functional import cross_entropy, instance_norm, normalize

from bn import BatchNorm, batch_norm, closed_form_batch_norm, fold, recalibrate
from conftest import ROOT, alive
from conventions import CONVENTIONS
from fashion_mnist import load
from figures import Quiz
from figures.quiz import read_questions
from nets import Residual, layer_outputs, lenet, mlp, residual_mlp, without_bias
from records import read_record
from test_notebooks import NOTEBOOKS
from traffic import traffic
from training import fit, init_he

CHAPTERS = {name.split("-", 1)[1]: name for name in NOTEBOOKS}
QUESTIONS = {
    f"{chapter}.{name}": question
    for chapter, questions in read_questions().items()
    for name, question in questions.items()
}
# Questions of judgement, with the claims of their chapter that the answer rests on.
JUDGED = {
    "debate.noise": [
        "with noise after batch norm, inputs move more than in the plain net",
        "batch norm with noise trains nearly as well as without",
    ],
    "debate.rate": [
        "at rate 1 only the net with batch normalization trains",
        "at rate 0.003 the net with batch normalization is the slower one",
    ],
}
COMPUTED = {}


def computes(name):
    """Make a function the one that computes the answer of a question."""

    def register(function):
        COMPUTED[name] = function
        return function

    return register


def column(*values):
    """A batch of examples with one feature."""
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)


def same(a, b):
    return torch.allclose(a, b, atol=1e-6)


def minus(number):
    return f"{number:g}".replace("-", "−")


def parameters(*layers):
    return sum(p.numel() for layer in layers for p in layer.parameters())


def noise(*shape):
    """Normally distributed numbers, the same in each run."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()


@computes("motivation.millimetres")
def _():
    def curvature(x):
        w = torch.zeros((), dtype=torch.float64)
        return torch.autograd.functional.hessian(
            lambda w: (w * x - 1).square().mean() / 2, w
        ).item()

    def error(rate, x):
        w, best = 0.0, x.mean() / x.square().mean()
        for _step in range(1000):
            w -= rate * ((w * x - 1) * x).mean()
        return abs(w - best)

    metres = column(0.5, 1, 3)
    for x in (metres, 1000 * metres):
        limit = 2 / curvature(x)
        assert error(0.99 * limit, x) < error(0, x) < error(1.01 * limit, x)
    factor = curvature(metres) / curvature(1000 * metres)
    return {1e-6: "It falls to a millionth"}[round(factor, 9)], {"2"}


@computes("motivation.inputs")
def _():
    images = load()[0][:512, None].float() / 255
    for X in (images, (images - images.mean()) / images.std()):
        torch.manual_seed(0)
        spread = []
        with torch.no_grad():
            for layer in mlp(10, 100)[:-1]:
                X = layer(X)
                if isinstance(layer, nn.Linear):
                    spread.append(X.std(dim=0).mean().item())
        factors = [a / b for a, b in zip(spread, spread[1:], strict=False)]
        assert all(2.2 < factor < 3.2 for factor in factors)
        assert 2.3 < math.prod(factors) ** (1 / 9) < 2.7
    assert math.prod(factors) > 1000
    return "No: it still shrinks more than a thousandfold", {}


@computes("motivation.rescaled")
def _():
    net = mlp(3, 20).double()
    first, second = net[1], net[3]
    for layer in net[1::2]:
        nn.init.zeros_(layer.bias)

    def learn():
        loss = cross_entropy(net(noise(30, 784)), torch.arange(30) % 10)
        weights = first.weight, second.weight
        gradients = torch.autograd.grad(loss, weights)
        lengths = torch.stack([g.norm() for g in gradients])
        return loss, lengths, lengths / torch.stack([w.norm() for w in weights])

    loss, gradients, steps = learn()
    first.weight.data *= 100
    second.weight.data /= 100
    new_loss, new_gradients, new_steps = learn()
    assert same(new_loss, loss)
    assert same(new_gradients / gradients, torch.tensor([0.01, 100]).double())
    factors = dict(zip(("enlarged", "shrunken"), new_steps / steps, strict=True))
    layer = max(factors, key=factors.get)
    size = f"{factors[layer]:,.0f}"
    comparison = f"the {layer} layer's step is {size} times as large"
    return f"No: relative to its weights, {comparison}", {size}


@computes("transform.place")
def _():
    x = column(101, 107, 109, 115)
    centred, unbiased = (x - x.mean())[2].item(), x.var().item()
    biased = x.var(correction=0).item()
    assert same(batch_norm(x), batch_norm(column(1, 7, 9, 15)))
    return f"{batch_norm(x, eps=0)[2].item():g}", {
        f"{centred / biased:g}",
        f"{centred / unbiased**0.5:.2f}",
        f"{centred:g}",
        f"{unbiased:.1f}",
        f"{biased:g}",
        f"{biased**0.5:g}",
        f"{x.mean():g}",
        *("1", "7", "9", "15", "0.2", "100"),  # the batch with 100 less, asserted above
    }


@computes("transform.pair")
def _():
    before, after = column(3, 4), column(3, 1000)
    x_hat = batch_norm(after, eps=0)
    assert same(batch_norm(before, eps=0), x_hat)
    low, high = x_hat.flatten().tolist()
    distance, sigma = (after[1] - after.mean()).item(), after.std(correction=0)
    assert distance == sigma
    said = f"{sigma:g}", f"{x_hat.mean():g}", f"{high:g}"
    return f"Nothing: they stay {minus(low)} and {minus(high)}", said


@computes("transform.undone")
def _():
    x = column(1, 7, 9, 15)

    def read(y):
        return ", ".join(minus(round(v, 9)) for v in y.flatten().tolist())

    gamma, beta = column(5), column(8)
    assert same(batch_norm(x, gamma=gamma, beta=beta, eps=0), x)
    assert read(2 * x) == "2, 14, 18, 30"
    x_hat = read(batch_norm(2 * x, eps=0))
    y = read(batch_norm(2 * x, gamma=gamma, beta=beta, eps=0))
    mean, sigma = (2 * x).mean(), (2 * x).std(correction=0)
    return y, {*numbers(x_hat), f"{mean:g}", f"{sigma:g}"}


@computes("transform.noise")
def _():
    def spread(size, draws=4000):
        batches = noise(size, draws)  # a column is a batch
        batches[0] = 1  # the one image
        return batch_norm(batches)[0].std().item()

    factor = spread(256) / spread(16)
    return f"{0.32 * factor:.2f}", {f"{0.32 * 16 / 256:.2f}", f"{0.32 * factor:.2f}"}


@computes("fully-connected.sign")
def _():
    linear, x = nn.Linear(4, 3).double(), noise(10, 4)
    outputs = {}
    for factor in (1, 100, -100):
        scaled = deepcopy(linear)
        scaled.weight.data *= factor
        outputs[factor] = batch_norm(scaled(x), eps=0)
    assert same(outputs[100], outputs[1])
    assert same(outputs[-100], -outputs[1])
    return "Its signs change, nothing else", {}


@computes("fully-connected.parameters")
def _():
    lean, full = nn.Linear(7, 100, bias=False), nn.Linear(7, 100)
    norm = BatchNorm(100, num_dims=2)
    x, weights = noise(9, 7).float(), parameters(lean)
    full.weight = lean.weight
    assert same(norm(full(x)), norm(lean(x)))
    return str(parameters(lean, norm) - weights), {
        str(norm.beta.numel()),
        str(parameters(lean, norm) - weights),
        str(parameters(full, norm) - weights),
    }


@computes("fully-connected.axis")
def _():
    z = noise(256, 5)
    norm = BatchNorm(5, num_dims=2, momentum=1.0).double()
    norm(z)
    subtracted = norm.running_mean.flatten().tolist()  # with momentum 1
    answers = {
        f"{call}: {means.numel()} number{'s' * (means.dim() > 0)}": means
        for call, means in (
            ("z.mean()", z.mean()),
            ("z.mean(dim=0)", z.mean(dim=0)),
            ("z.mean(dim=1)", z.mean(dim=1)),
        )
    }
    (right,) = [k for k, v in answers.items() if v.tolist() == approx(subtracted)]
    assert (z - z.mean()).mean().item() == approx(0, abs=1e-12)
    return right, {"0", *numbers(" ".join(answers))}


@computes("convolution.count")
def _():
    x = noise(8, 16, 10, 10)
    layers = {  # and the input as they see it
        "batch": (BatchNorm(16, num_dims=4), x),
        "position": (BatchNorm(1600, num_dims=2), x.flatten(1)),
        "instance": (nn.InstanceNorm2d(16, affine=True), x),
        "all": (BatchNorm(1, num_dims=2), x.reshape(-1, 1)),
    }
    answers = {}
    for kind, (layer, seen) in layers.items():
        seen.requires_grad_()
        first = layer.double()(seen).flatten()[0]
        (gradient,) = torch.autograd.grad(first, seen)
        crowd = gradient.count_nonzero().item()
        answers[kind] = f"{crowd:,} numbers, {parameters(layer):,} parameters"
    return answers["batch"], numbers(" ".join(answers.values()))


@computes("convolution.lone")
def _():
    x = noise(1, 6, 24, 24)
    assert same(batch_norm(x), instance_norm(x))
    assert same(BatchNorm(6, num_dims=4).double()(x), batch_norm(x))
    assert batch_norm(column(5), beta=column(3)).item() == 3  # one value: beta
    flat = BatchNorm(6, num_dims=2).double()
    with pytest.raises(ValueError, match="at least 2 values per channel.* has 1$"):
        flat(x[:, :, 0, 0])
    flat(noise(2, 6))
    values = x[0, 0].numel()
    return f"Each channel is normalized by its own {values} values", {
        str(values),
        *("1", "2"),  # the error says so
    }


@computes("convolution.roll")
def _():
    x = noise(4, 3, 5, 6)
    rolled = torch.cat([x[:1].roll(3, dims=3), x[1:]])

    def per_position(x):
        return batch_norm(x.flatten(1))

    kinds = {
        "One mean per channel: batch normalization": batch_norm,
        "One mean per channel and position, over axis 0": per_position,
        "One mean per channel and image: instance normalization": instance_norm,
    }
    (right,) = [k for k, f in kinds.items() if not same(f(x)[1:], f(rolled)[1:])]
    return right, {"0"}  # axis 0, over which positions are averaged


@computes("prediction.running")
def _():
    def running_mean(momentum, batches=2):
        layer = BatchNorm(1, num_dims=2, momentum=momentum).double()
        for _batch in range(batches):
            layer(column(7, 9))
        return f"{layer.running_mean.item():g}"

    first = running_mean(0.25, batches=1)
    past = running_mean(0.75), running_mean(0.75, batches=1)  # 0.25 for the past
    right = running_mean(0.25)
    return right, {right, f"{2 * float(first):g}", first, *past}


@computes("prediction.variances")
def _():
    x = column(0, 2)
    layer = BatchNorm(1, num_dims=2, momentum=1.0, eps=0.0).double()
    divided = ((x - x.mean()) / layer(x)).square()[0].item()
    remembered = layer.running_var.item()
    return f"Divides by the root of {divided:g}, remembers {remembered:g}", {
        f"{divided:g}"
    }


@computes("prediction.mode")
def _():
    layer, x = BatchNorm(3, num_dims=2).double(), noise(8, 3)
    with torch.no_grad():
        y = layer(x)
    moved = not same(layer.running_mean, torch.zeros(1, 3).double())
    with torch.no_grad():
        alike = same(layer(torch.cat([x[:1], 2 * x[1:]]))[0], y[0])
    assert not alike
    after = "move" if moved else "stay as they are"
    return f"They use the batch's statistics, and their running ones {after}", {}


@computes("prediction.alone")
def _():
    def derivative(layer):
        x = column(3).requires_grad_()
        return torch.autograd.grad(layer(x), x)[0].item()

    layer = BatchNorm(1, num_dims=2, eps=0.0).double().eval()
    layer.running_var.fill_(4)
    lone = derivative(lambda x: batch_norm(x, eps=1e-5))  # its own mean
    right = f"{derivative(layer):g}"
    return right, {right, f"{lone:g}", f"{1 / 4:g}", f"{math.sqrt(4):g}"}


@computes("lenet.off")
def _():
    z = 0.5 * noise(100_000) - 3
    assert z.mean() == approx(-3, abs=0.01)
    assert z.std() == approx(0.5, abs=0.01)
    assert (z > 0).sum() == 0
    point = torch.tensor([-3.0, 0.0]).requires_grad_()
    slope, steepest = torch.autograd.grad(point.sigmoid().sum(), point)[0].tolist()
    around = f"{z.sigmoid().mean():.2f}"
    assert around == f"{point[0].sigmoid():.2f}"
    return f"It is off nearly everywhere, with outputs around {around}", {
        around,
        f"{slope:.3f}",
        f"{steepest:g}",
        f"{(0 - -3) / 0.5:g}",
        "0",
    }


@computes("lenet.lag")
def _():
    def lag(momentum, growth=1):
        layer = BatchNorm(1, num_dims=2, momentum=momentum).double()
        for step in range(500):
            mean = 5 + growth * step
            layer(column(mean - 1, mean + 1))
        return mean - layer.running_mean.item()

    assert lag(0.1, growth=0) == approx(0, abs=1e-9)
    assert lag(0.5) == approx(1)
    behind = round(lag(0.1), 9)
    assert (behind + 1) * 0.9 == approx(behind)
    return f"{behind:g}", {f"{behind:g}", "0", "0.5", "0.9"}


@computes("lenet.lottery")
def _():
    runs = read_record("lenet_rates")["runs"]
    bn, plain = (
        [runs[f"{net} lr=1 seed={seed}"] for seed in range(5)]
        for net in ("bn", "plain")
    )
    last = [run["test_acc"][-1] for run in bn]
    spread = max(last) - min(last)
    for run, bare in zip(bn, plain, strict=True):
        fresh, running = run["test_acc_recalibrated"], run["test_acc"]
        assert sum(fresh[-3:]) > sum(running[-3:]) > sum(bare["test_acc"][-3:])
    assert spread > 0.05 > 0.83 - 0.79
    return "Little: from seed to seed such a test differs by more", {"0.05"}


@computes("concise.copied")
def _():
    old = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double()
    nn.init.normal_(old[1].weight)
    for batch in noise(30, 8, 4):
        old(3 * batch + 1)
    new = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double()
    for target, source in zip(new.parameters(), old.parameters(), strict=True):
        target.data.copy_(source.data)
    assert {"1.weight", "1.bias"} <= dict(old.named_parameters()).keys()
    start = {f"{b[0].item():g}" for b in (new[1].running_mean, new[1].running_var)}
    x = noise(8, 4)
    assert same(new(x), old(x))
    assert not same(new.eval()(x), old.eval()(x))
    new.load_state_dict(old.state_dict())
    assert same(new(x), old(x))
    return "The running statistics: they are not among the parameters", start


@computes("concise.defect")
def _():
    def layer(x, axis=0, divide=0, remember=1):
        mean = x.mean(axis, keepdim=True)
        std = x.std(axis, correction=divide, keepdim=True)
        return (x - mean) / std, x.var(0, correction=remember)

    x, theirs = noise(4, 3), nn.BatchNorm1d(3, eps=1e-12, momentum=1.0).double()
    trained = theirs(x)
    variance = theirs.running_var

    def agrees(**defect):
        y, var = layer(x, **defect)
        return same(y, trained), same(var, variance)

    assert agrees() == (True, True)
    defects = {
        "It divides by the root of the unbiased variance": {"divide": 1},
        "It averages over the features, not the examples": {"axis": 1},
        "It remembers the biased variance": {"remember": 0},
    }
    (right,) = [k for k, v in defects.items() if agrees(**v) == (True, False)]
    too_small = (layer(x, divide=1)[0] / trained).mean()
    remembered = (layer(x, remember=0)[1] / variance).mean()
    return right, {f"{too_small:.2f}", f"{remembered:g}"}


@computes("concise.momentum")
def _():
    def batches(momentum):
        return math.log(2) / -math.log(1 - momentum)  # until a weight has halved

    past, right = 0.0, []
    for batch in noise(20, 8, 1):
        past = 0.99 * past + 0.01 * batch.mean().item()
    for momentum in (0.01, 0.1, 0.99):
        layer = nn.BatchNorm1d(1, momentum=momentum).double()
        for batch in noise(20, 8, 1):
            layer(batch)
        if layer.running_mean.item() == approx(past):
            right.append(f"momentum={momentum}")
    assert nn.BatchNorm2d(1).momentum == 0.1
    return right.pop(), {
        "0.01",
        "0.1",
        f"{math.ceil(batches(0.1))}",
        f"{batches(0.01):.0f}",
    }


def leaving(x, dy, training=True):
    """The gradient with respect to the inputs, of both functions of the library."""
    gradients = []
    for function in (batch_norm, closed_form_batch_norm):
        z = x.clone().requires_grad_()
        statistics = (column(8), column(25)) if not training else ()
        y = function(z, *statistics, eps=0)
        gradients.append(torch.autograd.grad(y, z, dy)[0])
    assert same(*gradients)
    return gradients[0]


def listed(values):
    """Numbers as an answer lists them."""
    return ", ".join(minus(round(v, 9) + 0) for v in values.flatten().tolist())


@computes("backward.pair")
def _():
    x, dy = column(3, 5), column(1, 0)
    sigma, x_hat = x.std(correction=0), batch_norm(x, eps=0)
    assert listed(x_hat) == "−1, 1"
    centred = dy - dy.mean()
    assert listed(dy / sigma) == "1, 0" and listed(centred) == "0.5, −0.5"
    for other in (column(-7, 2), column(1, 1000)):
        assert same(batch_norm(other, eps=0), x_hat)
    right = listed(leaving(x, dy)).replace(",", " and")
    return right, {"1", "0", "0.5", f"{sigma:g}"}


@computes("backward.both")
def _():
    x = column(1, 7, 9, 15)
    sigma, x_hat = x.std(correction=0), batch_norm(x, eps=0)
    dy = 1 + x_hat
    assert listed(dy) == "−0.4, 0.8, 1.2, 2.4"
    direct, centred = listed(dy / sigma), listed((dy - dy.mean()) / sigma)
    assert same(dy - dy.mean(), x_hat)
    along = (dy * x_hat).sum() / x_hat.square().sum() * x_hat
    (rest,) = set(listed((dy - along) / sigma).split(", "))
    (left,) = set(listed(leaving(x, dy)).split(", "))
    said = numbers(f"{direct} {centred} {rest} {left}")
    return f"{left} for all four", said | {f"{dy.mean():g}", f"{sigma:g}"}


@computes("backward.double")
def _():
    x, dy = noise(20, 3), noise(20, 3).flip(0)
    before, after = leaving(x, dy), leaving(2 * x, dy)
    (factor,) = {round(f, 9) for f in (after / before).flatten().tolist()}
    return {0.5: "It halves", 1: "It stays", 2: "It doubles"}[factor], {}


@computes("backward.mode")
def _():
    x, dy = column(1, 7, 9, 15), column(1, 0, 0, 0)
    assert (x.mean(), x.var(correction=0)) == (8, 25)
    reached = {
        mode: bool((leaving(x, dy, mode == "training")[1:].abs() > 0.01).all())
        for mode in ("training", "evaluation")
    }
    assert not leaving(x, dy, training=False)[1:].any()
    (mode,) = [mode for mode, found in reached.items() if found]
    return f"In {mode} mode only", {}


@computes("cost.moves")
def _():
    x = noise(64, 4, 8, 8)
    mean, std, gamma, beta = (torch.ones(4, 1, 1).double() for _ in range(4))
    y = torch.empty_like(x)

    def moves(function):
        calls = [size for _, size in traffic(function) if size >= y.nbytes]
        return len(calls), sum(calls) // y.nbytes

    calls, moved = moves(lambda: gamma * (x - mean) / std + beta)
    fused, least = moves(lambda: torch.mul(x, std, out=y))  # as if all were in one
    assert (calls, fused, least) == (4, 1, 2 + 1)  # out= is counted as read, too
    return f"{moved}", {f"{least - 1}", f"{calls}", f"{moved}"}


@computes("cost.share")
def _():
    share, faster = 0.2, 4
    left = 1 - share + share / faster
    right = f"{100 * (1 / left - 1):.0f} % more"
    free = f"{100 * (1 / (1 - share) - 1):.0f}"
    saved = f"{100 * (1 - left):.0f}"
    return right, {right.split()[0], free, saved, f"{left:g}", "1", f"{1 / left:.2f}"}


@computes("cost.fold")
def _():
    linear, norm = nn.Linear(1, 1), BatchNorm(1, num_dims=2, eps=0)
    values = (3, 2, 6, 1, 4, 4)
    statistics = norm.running_mean, norm.running_var
    for tensor, value in zip(
        (*linear.parameters(), *norm.parameters(), *statistics), values, strict=True
    ):
        tensor.data.fill_(value)

    def written(weight, bias):
        sign = "−" if bias < 0 else "+"
        return f"{weight:g}x {sign} {abs(bias):g}"

    folded = fold(linear, norm)
    weight, bias = folded.weight.item(), folded.bias.item()
    weight_, bias_ = 6 / 4 * 3, 6 / 4 * (2 - 4) + 1  # by the variance
    assert written(weight, bias + 3 * 4) == "9x + 7"
    assert written(weight_, bias_) == "4.5x − 2"
    return written(weight, bias), {"9", "5", "7", "4.5"}


@computes("depth.thousandfold")
def _():
    factor = math.sqrt(math.pi / (math.pi - 1))  # by Yang and colleagues, as cited
    assert f"{1 / factor:.3f}" == "0.826"
    layers = round(math.log(1000) / math.log(factor))
    assert 950 < factor**layers < 1050
    assert round(factor**6) == 3  # "threefold"
    divided = f"{round(1000 / factor, -1):.0f}"
    return f"About {layers}", {"6", str(layers), divided, f"{factor:.2f}", "0.826"}


@computes("depth.share")
def _():
    def shares(*how):
        torch.manual_seed(0)
        net = residual_mlp(200, 64, *how, num_inputs=64, init=init_he)
        with torch.no_grad():
            *h, _ = layer_outputs(net, noise(512, 64).float(), (nn.Linear, Residual))
        own = torch.stack([(b - a).var(dim=0).mean() for a, b in pairwise(h)])
        return own, own / (own + torch.stack([x.var(dim=0).mean() for x in h[:-1]]))

    own, share = shares(BatchNorm)
    assert 1 / 240 < share[-1] < 1 / 170
    assert f"{1 - 1 / math.pi:.2f}" == "0.68" and 0.6 < own.mean() < 0.76
    assert 0.4 < shares()[1][:50].mean() < 0.6  # "Half"; later it would overflow
    assert shares(None, True)[1].max() == 0  # "Nothing"
    return "About a 200th", {"0", "1", "0.68"}


@computes("depth.infinite")
def _():
    runs = read_record("depth_rates")["runs"]

    def trains(net, depth):
        """At which rates; a run that diverged does not."""
        found = [
            run["accuracy"]
            for key, run in runs.items()
            if key.startswith(f"{net}, depth={depth},")
        ]
        assert len(found) == 3
        return {r: all((a[r] or 0) >= 0.5 for a in found) for r in found[0]}

    rates = trains("residual", 120)
    assert not any(rates.values())
    assert all(any(trains("SkipInit", d).values()) for d in (5, 10, 20, 50, 120))
    assert any(trains("residual + batch norm", 120).values())
    first, *_, last = rates
    right = "The branches: let each begin with the factor 0, and learn it"
    return right, {"0", first, last, "120"}


@computes("debate.turn")
def _():
    def step(length, rate=1e-3):
        """How far one step turns each unit's weights, in radians, and the gradient."""
        torch.manual_seed(0)
        linear = nn.Linear(6, 4, bias=False).double()
        linear.weight.data *= length
        scores = batch_norm(linear(noise(30, 6)), eps=0).relu()
        loss = cross_entropy(scores, torch.arange(30) % 4)
        (gradient,) = torch.autograd.grad(loss, linear.weight)
        ends = linear.weight.detach(), linear.weight.detach() - rate * gradient
        start, end = (normalize(w) for w in ends)
        return 2 * ((end - start).norm(dim=1) / 2).asin(), gradient

    (before, gradient), (after, small) = step(1.0), step(10.0)
    assert same(small, gradient / 10)
    (factor,) = {round(f, 4) for f in (after / before).tolist()}
    return {0.01: "About a hundredth as far"}[factor], {}


@computes("debate.explode")
def _():
    factor = math.sqrt(math.pi / (math.pi - 1))  # by Yang and colleagues, as cited
    assert f"{factor:.2f}" == "1.21"
    power, total = f"{round(factor**50, -3):,.0f}", math.floor(50 * 1.21)
    assert power == f"{round(1.21**50, -3):,.0f}"
    return f"About {power}", {power, str(total)}


@computes("extras.scaled")
def _():
    def run(scale):
        """What the layer puts out, and the gradient of its weights."""
        torch.manual_seed(0)
        linear = nn.Linear(6, 4, bias=False).double()
        linear.weight.data *= scale
        scores = batch_norm(linear(noise(30, 6)), eps=0)
        loss = cross_entropy(scores, torch.arange(30) % 4)
        return scores, *torch.autograd.grad(loss, linear.weight)

    (scores, gradient), (scaled, small) = run(1), run(10)
    factor = (small / gradient).mean().item()
    if same(scores, scaled) and factor == approx(0.1):
        right = (
            "Nothing in what the net puts out, but the gradient of these weights "
            "becomes a tenth"
        )
    return right, {"10"}


@computes("extras.fewest")
def _():
    net = mlp(5, 256, BatchNorm)
    norms = parameters(*(layer for layer in net if isinstance(layer, BatchNorm)))
    last = parameters(net[-1])
    assert last - norms == 10
    level = abs(last / norms - 1) < 0.01
    right = "They are about level" if level else "The last layer, by far"
    return right, {str(norms), str(last), "10"}


@computes("extras.coin")
def _():
    random, mistakes = noise(6000), noise(2, 6000)[1] > 0
    higher = random[mistakes][:, None] > random[~mistakes]
    assert higher.double().mean().item() == approx(0.5, abs=0.02)
    return "Nothing: a random number does as well", set()


@computes("processes.variance")
def _():
    first, second = column(1, 7, 9, 15), column(25, 31, 33, 39)
    pieces = torch.stack([first, second])
    assert pieces.mean(1).flatten().tolist() == [8, 32]
    variances = pieces.var(1, correction=0).flatten()
    assert variances.tolist() == approx([25, 25])
    whole = torch.cat([first, second]).var(correction=0).item()
    of_means = pieces.mean(1).var(correction=0).item()
    assert whole == approx(variances.mean().item() + of_means)
    said = whole, of_means, variances.mean().item(), variances.sum().item()
    return f"{whole:g}", {f"{number:g}" for number in said}


@computes("processes.pairs")
def _():
    pairs = noise(8, 2, 1)
    pairs[0] += 1000
    normalized = torch.stack([batch_norm(pair, eps=0) for pair in pairs])
    assert same(normalized, (pairs - pairs.mean(1, keepdim=True)).sign())
    one = batch_norm(pairs[:1, 0])
    assert one.item() == 0
    values = {minus(value) for value in normalized.round().flatten().tolist()}
    assert values == {"1", "−1"}
    return "Which example of each pair is the larger", {"1", str(pairs[..., 0].numel())}


@computes("processes.back")
def _():
    first, second = noise(2, 4, 1).requires_grad_()
    loss = batch_norm(torch.cat([first, second]))[0].sum()
    _, there = torch.autograd.grad(loss, [first, second])
    assert (there.abs() > 1e-3).all()
    mean, var = second.detach().mean(), second.detach().var()
    fixed = batch_norm(first, mean, var)[0].sum()  # statistics that do not move
    assert torch.autograd.grad(fixed, second, allow_unused=True) == (None,)
    return "Yes, through the mean and the variance", {"0", "1"}


@computes("processes.cost")
def _():
    channels, examples = 100, 32
    forward, backward = 2 * channels + 1, 2 * channels  # as test_sync.py counts
    values = channels * examples
    said = {channels, backward, forward, values, 2 * values}
    return str(forward + backward), {str(n) for n in (forward + backward, *said)}


@computes("conventions.typed")
def _():
    layer = BatchNorm(1, num_dims=2, momentum=0.99).double()
    for value in (0, 0, 100):  # what the last batch counts, in percent
        layer(column(value, value))
    newest = layer.running_mean.item()
    keras = CONVENTIONS["Keras"].newest(0.99)
    past = f"{100 - newest:g}"
    for momentum in (0, 1):
        BatchNorm(1, num_dims=2, momentum=momentum)
    right = f"Little but the last batch, which counts {newest:g} %"
    return right, {f"{newest:g}", f"{keras:g}", past, "0", "1"}


@computes("conventions.pairs")
def _():
    pairs = torch.cartesian_prod(column(-1, 1)[:, 0], column(-1, 1)[:, 0])
    biased, unbiased = (pairs.var(1, correction=c).mean().item() for c in (0, 1))
    assert CONVENTIONS["Keras"].correction == 0
    factor = unbiased / biased
    right = {1: "As large as the true variance", 0.5: "Half the true variance"}[biased]
    return right, {f"{factor:g}", f"{biased**-0.5:.2f}"}


@computes("conventions.square")
def _():
    x = noise(4, 3, 3, 3) + column(0, 10, 20)[:, 0]  # of channels, on the last axis
    y = BatchNorm(3, num_dims=4).double()(x)
    assert same(y.mean((0, 2, 3)), torch.zeros(3).double())
    assert y.mean((0, 1, 2)).abs().max() > 1
    with pytest.raises(ValueError, match="channels on axis 1"):
        BatchNorm(3, num_dims=4).double()(noise(4, 5, 5, 3))
    right = "Each row of pixels is normalized, over all images, columns and channels"
    return right, {"1"}  # axis 1


@computes("clinic.frozen")
def _():
    body = nn.Sequential(nn.Linear(4, 3), BatchNorm(3, num_dims=2)).double()
    body.requires_grad_(False)
    net = nn.Sequential(body, nn.Linear(3, 2).double()).train()
    weights, statistics = deepcopy(body[0].weight), deepcopy(body[1].running_mean)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.1)
    cross_entropy(net(noise(8, 4)), torch.arange(8) % 2).backward()
    optimizer.step()
    assert body[0].weight.grad is None  # so neither gradient nor decay
    assert same(body[0].weight, weights)
    assert not same(body[1].running_mean, statistics)
    return "The body's running statistics went on moving", {}


@computes("clinic.modes")
def _():
    y = torch.arange(400) % 2
    X = noise(400, 2) + 6 * y[:, None] + 10
    torch.manual_seed(0)
    layers = nn.Linear(2, 8), BatchNorm(8, num_dims=2), nn.ReLU(), nn.Linear(8, 2)
    net = fit(nn.Sequential(*layers).double(), X, y, 0.1, 100, steps=200)
    blank, shrunken, served = (deepcopy(net) for _ in range(3))
    blank[1].reset_running_stats()
    shrunken[1].gamma.data *= 1e-9
    faults = {
        "The checkpoint had no running statistics": blank,
        "Weight decay has shrunk γ to nearly nothing": shrunken,
        "Nobody called eval()": served.train(),
    }

    def good(net, training):
        guesses = deepcopy(net).train(training)(X).argmax(dim=1)
        return (guesses == y).double().mean().item() > 0.9

    right = []
    for name, broken in faults.items():
        before = good(broken, True), good(broken, False)
        recalibrate(broken, X.split(100))
        if before == (True, False) and good(broken, True) and good(broken, False):
            right.append(name)
    return right.pop(), {}


@computes("clinic.jumps")
def _():
    def jumps(momentum, bias=0):
        layer = BatchNorm(1, num_dims=2, momentum=momentum).double()
        means = []
        for batch in noise(600, 16, 1):
            layer(batch + bias)
            means.append(layer.running_mean.item() - bias)
        return torch.tensor(means[300:]).diff().abs().mean().item()

    faults = {
        "momentum=0.01, where the usual value is 0.1": jumps(0.01),
        "A bias before batch norm": jumps(0.1, bias=5),
        "momentum=0.99, from where it is the weight of the past": jumps(0.99),
    }
    right = max(faults, key=faults.get)
    usual = jumps(0.1)
    assert faults[right] > 5 * usual
    assert faults["A bias before batch norm"] == approx(usual)
    return right, {"0.01", "0.1", "0.99"}


@computes("relatives.single")
def _():
    x = column(1, 7, 9, 15)
    made = {
        "batch": batch_norm(x, eps=0),
        "layer": nn.functional.layer_norm(x, [1]),
        "rms": nn.functional.rms_norm(x, [1], eps=0.0),
    }
    rows = {
        name: ", ".join(minus(round(v, 6)) for v in y.flatten().tolist())
        for name, y in made.items()
    }
    return rows["layer"], numbers(", ".join(rows.values()))


@computes("relatives.shared")
def _():
    images, channels, groups, places = 8, 6, 3, 100
    norm, x = nn.GroupNorm(groups, channels), noise(images, channels, 10, 10).float()
    y = x.clone()
    y[0, 0, 0, 0] += 100  # it moves all that share its mean, and only those
    crowd = (norm(y) != norm(x)).sum().item()
    assert crowd == channels // groups * places
    said = channels // groups, places, crowd, channels * places, crowd * images, images
    return str(crowd), {str(n) for n in (*said, groups)}


@computes("relatives.modes")
def _():
    x = noise(8, 6, 10, 10).float()
    layers = nn.BatchNorm2d(6), nn.GroupNorm(3, 6), nn.InstanceNorm2d(6)
    (two_modes,) = (
        layer for layer in layers if not same(layer.train()(x), layer.eval()(x))
    )
    return f"nn.{type(two_modes).__name__}", {}


@computes("placement.orders")
def _():
    z, places = noise(8, 1, 4, 4), torch.nn.functional.max_pool2d
    steps = batch_norm, torch.sigmoid, lambda z: places(z, 2)
    made = []
    for order in permutations(steps):
        out = z
        for step in order:
            out = step(out)
        made.append(out)
    functions = []
    for out in made:
        if not any(same(out, known) for known in functions):
            functions.append(out)
    return str(len(functions)), {str(len(made)), "4", "3"}


@computes("placement.negative")
def _():
    def norm(x):
        return batch_norm(x, torch.tensor(8), torch.tensor(25), -1.0, 0.0, eps=0)

    x = column(1, 7, 9, 15)
    first, last = norm(x).max().item(), norm(x.max()[None, None]).item()
    assert norm(x).mean().item() == approx(0)
    assert norm(x).flatten().tolist() == approx([1.4, 0.2, -0.2, -1.4])
    return minus(round(first, 6)), numbers(f"{first:g} {last:g} 0 1 15")


@computes("placement.bias")
def _():
    net, scores = lenet(BatchNorm).double(), []
    for model in (net, without_bias(net)):
        torch.manual_seed(0)  # the same images in the same order
        fit(model, noise(32, 1, 28, 28), torch.arange(32) % 10, 0.1, 16, 2)
        scores.append(model(noise(8, 1, 28, 28)))
    return {True: "Nothing"}[same(*scores)], {}


def numbers(text):
    """The numbers in a text, as they are written there."""
    return set(re.findall(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?", text))


def spoken(question):
    """All that its answers and reasons say."""
    return " ".join(text for answer in question["answers"] for text in answer)


@pytest.mark.parametrize("name", COMPUTED)
def test_the_right_answer_and_every_number_are_computed(name):
    question = QUESTIONS[name]
    right, said = COMPUTED[name]()
    answers = [answer for answer, _ in question["answers"]]
    assert answers.index(right) == question["right"]
    asked = numbers(question["question"])
    assert numbers(spoken(question)) - asked == set(said) - asked


def test_every_question_is_computed_or_one_of_judgement():
    assert COMPUTED.keys() | JUDGED.keys() == QUESTIONS.keys()
    assert not COMPUTED.keys() & JUDGED.keys()
    assert len(JUDGED) <= 4


@pytest.mark.parametrize("name", JUDGED)
def test_a_judgement_rests_on_claims_of_its_chapter(name):
    chapter = CHAPTERS[name.split(".")[0]]
    stored = NOTEBOOKS[chapter].read_text(encoding="utf-8")
    for claim in JUDGED[name]:
        assert f"✓ {claim} (" in stored
    known = numbers(" ".join([QUESTIONS[name]["question"], *JUDGED[name]]))
    assert numbers(spoken(QUESTIONS[name])) <= known


def test_every_chapter_has_two_to_four_questions():
    assert read_questions().keys() == CHAPTERS.keys()
    assert all(2 <= len(questions) <= 4 for questions in read_questions().values())


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_short_and_plain(name):
    question = QUESTIONS[name]
    assert question.keys() == {"question", "right", "answers", "see"}
    answers, reasons = zip(*question["answers"], strict=True)
    assert 3 <= len(set(answers)) == len(answers) <= 4  # the sheet has four rows
    assert len(set(reasons)) == len(reasons)
    assert len(question["question"]) <= 200
    assert max(map(len, answers)) <= 90
    assert max(map(len, reasons)) <= 260
    assert not set(question["question"] + spoken(question)) & set("$\\`*<>")


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_link_leads_to_the_section_that_it_names(name, site):
    title, address = QUESTIONS[name]["see"]
    page, anchor = urldefrag(address)
    page = page or f"{CHAPTERS[name.split('.')[0]]}.html"
    text = (site / "chapters" / page).read_text(encoding="utf-8")
    section = re.search(rf'<section id="{anchor}">.*?<h2>(.*?)</h2>', text, re.DOTALL)
    heading = html.unescape(re.sub(r"<.*?>", "", section[1]))
    assert re.sub(r"^[\d.]+ |#$", "", heading) == title


def test_a_quiz_starts_without_answers_and_refuses_what_it_does_not_know():
    quiz = Quiz("transform")
    assert quiz.questions == list(read_questions()["transform"].values())
    assert quiz.chosen == [-1] * 4
    quiz.questions = quiz.questions[:3]
    assert quiz.chosen == [-1] * 3
    with pytest.raises(ValueError, match="'tranform', only on motivation, transform"):
        Quiz("tranform")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_picture_has_all_questions_and_folds_all_answers(chapter):
    picture = Quiz(chapter).picture()
    questions = re.split(r"(?<=</details>)</li><li>", picture)
    for question, text in zip(Quiz(chapter).questions, questions, strict=True):
        shown, folded = html.unescape(text).split("<details>")
        choices = re.findall("<li>(.*?)</li>", shown.split("<ol type", 1)[1])
        reasons = re.findall("<li>(.*?)</li>", folded)
        assert f"<p>{question['question']}</p>" in shown
        assert choices == [answer for answer, _ in question["answers"]]
        for k, (reason, (_, words)) in enumerate(
            zip(reasons, question["answers"], strict=True)
        ):
            verdict = "Right" if k == question["right"] else "Wrong"
            assert reason == f"<strong>{verdict}.</strong> {words}"
            assert words not in shown
        title, address = question["see"]
        assert f'<a href="{address}">{title}</a>' in folded


@pytest.fixture(scope="module", params=CHAPTERS.items(), ids=CHAPTERS)
def quiz(request, browser, server, site):
    """The live quiz of each chapter, with its questions."""
    chapter, page = request.param
    if 'data-figure="quiz"' not in (site / f"chapters/{page}.html").read_text("utf-8"):
        pytest.fail(f"the chapter {page} has no quiz")
    with alive(browser, server, page, "quiz") as figure:
        yield figure, Quiz(chapter).questions


SHOWN = """box => {
  const radios = [...box.querySelectorAll("input[type=radio]")];
  const live = box.querySelector("[aria-live=polite]");
  const label = radios.find((radio) => radio.checked).parentNode;
  return {
    mark: getComputedStyle(label, "::after").content[1],
    chosen: radios.flatMap((radio, k) => (radio.checked ? [k] : [])),
    said: live.innerText.split("\\n"),
    link: live.querySelector("a").getAttribute("href"),
  };
}"""


def says(box, question, k):
    """Assert that a question shows answer `k` as chosen and says what belongs to it."""
    title, address = question["see"]
    verdict = "Right" if k == question["right"] else "Wrong"
    assert box.evaluate(SHOWN) == {
        "mark": "✓" if verdict == "Right" else "✗",
        "chosen": [k],
        "said": [f"{verdict}.", question["answers"][k][1], f"See: {title}"],
        "link": address,
    }


def boxes(figure, questions):
    """Each question with its group of answers, found by its name."""
    groups = figure.get_by_role("group")
    assert groups.count() == len(questions)
    for question in questions:
        named = figure.get_by_role("group", name=question["question"], exact=True)
        yield named, question


def test_at_first_nothing_is_chosen_and_nothing_said(quiz):
    for box, question in boxes(*quiz):
        assert box.get_by_role("radio").count() == len(question["answers"])
        assert box.get_by_role("radio", checked=True).count() == 0
        assert box.locator("[aria-live=polite]").inner_text() == ""


def test_each_answer_is_answered_at_once_by_mouse(quiz):
    for box, question in boxes(*quiz):
        for k, (answer, _) in enumerate(question["answers"]):
            box.get_by_text(answer, exact=True).click()
            says(box, question, k)
    for box, question in boxes(*quiz):  # what was chosen elsewhere has not changed it
        says(box, question, len(question["answers"]) - 1)


def test_a_finger_chooses(quiz):
    for box, question in boxes(*quiz):
        box.get_by_label(question["answers"][0][0], exact=True).tap()
        says(box, question, 0)


def test_each_answer_is_answered_at_once_by_keyboard(quiz):
    for box, question in boxes(*quiz):
        count = len(question["answers"])
        box.get_by_role("radio").first.press("Space")
        says(box, question, 0)
        keyboard = box.page.keyboard
        for k in range(1, count + 1):  # once around
            keyboard.press("ArrowDown")
            says(box, question, k % count)
        keyboard.press("ArrowUp")
        says(box, question, count - 1)


MODEL = """async ([source, state]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const listeners = {};
  window.said = 0;
  window.model = {
    get: name => state[name],
    set(name, value) {
      state[name] = value;
      for (const listener of listeners["change:" + name] ?? []) listener();
    },
    on(event, f) { (listeners[event] ??= []).push(f); },
    save_changes() { window.saved = JSON.stringify(state.chosen); },
  };
  const { default: figure } = await import(url);
  for (const place of ["first", "second"]) {
    const el = document.createElement("div");
    el.id = place;
    document.body.append(el);
    figure.render({ model, el });
  }
  for (const live of document.querySelectorAll("[aria-live]"))
    new MutationObserver(() => window.said++).observe(live, { childList: true });
}"""


@pytest.fixture
def widget(browser, server):
    """A page with two views of one quiz, and its model as `model`."""
    page = browser.new_page()
    page.goto(f"{server}_static/figures.css")  # a page without scripts
    page.add_style_tag(path=ROOT / "code/figures/figures.css")
    source = (ROOT / "code/figures/quiz.js").read_text(encoding="utf-8")
    quiz = Quiz("transform", chosen=[1, -1, -1, -1])
    page.evaluate(MODEL, [source, json.loads(json.dumps(quiz.state()))])
    yield page, quiz.questions
    page.close()


def test_both_sides_choose(widget):
    page, questions = widget
    views = [page.locator("#first"), page.locator("#second")]
    for view in views:
        says(view.get_by_role("group").first, questions[0], 1)
    page.evaluate("model.set('chosen', [0, 2, -1, -1])")
    for view in views:
        for i, k in enumerate((0, 2)):
            says(view.get_by_role("group").nth(i), questions[i], k)
    views[1].get_by_role("group").nth(2).get_by_role("radio").nth(1).check()
    assert page.evaluate("saved") == "[0,2,1,-1]"
    for view in views:
        says(view.get_by_role("group").nth(2), questions[2], 1)
    page.evaluate("model.set('chosen', [-1, -1, -1, -1])")
    assert page.get_by_role("radio", checked=True).count() == 0
    assert set(page.locator("[aria-live]").all_inner_texts()) == {""}


def test_only_what_is_new_is_read_out(widget):
    page, _ = widget
    page.evaluate("model.set('chosen', [1, 0, -1, -1])")
    page.wait_for_function("said > 0")
    assert page.evaluate("said") == 2  # one question in two views


def test_python_asks_anew(widget):
    page, questions = widget
    page.evaluate("questions => model.set('questions', questions)", questions[2:])
    page.evaluate("model.set('chosen', [1, -1])")
    view = page.locator("#first")
    assert view.locator("legend").all_inner_texts() == [
        question["question"] for question in questions[2:]
    ]
    says(view.get_by_role("group").first, questions[2], 1)


def test_without_javascript_the_answers_unfold(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(Quiz("transform").twin())
    folded = page.locator("details")
    assert folded.count() == 4
    for one in folded.all():
        right = one.get_by_text("Right.")
        assert not right.is_visible()
        one.locator("summary").click()
        assert right.is_visible()
    context.close()

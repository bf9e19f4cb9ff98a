"""Batch normalization across processes against one process on the joined batch.

`sync_worker.py` is what the workers run; here their results are joined and compared.
"""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import launch
import sync_worker
from bn import BatchNorm
from conftest import ROOT
from nets import lenet, torch_batch_norm
from sync import SyncBatchNorm, convert
from sync_worker import CASES, TIMEOUT, layer_for, net_for, pieces, run, state
from training import fit

WORKER = ROOT / "tests" / "sync_worker.py"
EXACT = {"rtol": 1e-10, "atol": 1e-10}
EVERY_CASE = pytest.mark.parametrize("name", CASES)


def spawn(part, size, folder):
    """Run the workers to their end, and return what each of them computed."""
    command = [sys.executable, str(WORKER), part]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(size), str(folder)], env=launch.environment()
        )
        for rank in range(size)
    ]
    try:
        for process in processes:
            process.wait(timeout=120)
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt") for rank in range(size)]


@pytest.fixture(scope="module", params=[2, 3])
def results(request, tmp_path_factory):
    """What each worker computed; there are 2 or 3."""
    return spawn("check", request.param, tmp_path_factory.mktemp("workers"))


@pytest.fixture(scope="module")
def joined(results):
    """The same cases in one process on the joined batch, by name."""
    made = {}
    for name in CASES:
        layer = layer_for(name, BatchNorm)
        for step in range(2):
            x, w = (torch.cat(parts) for parts in pieces(name, step, len(results)))
            result = run(layer, x, w)
        made[name] = {**result, "state": state(layer)}
    return made


def of_all(results, name, what):
    return [worker["cases"][name][what] for worker in results]


@EVERY_CASE
@pytest.mark.parametrize("what", ["y", "grad", "second"])
def test_outputs_and_gradients_are_those_of_the_joined_batch(
    results, joined, name, what
):
    tolerance = {"rtol": 1e-7, "atol": 1e-7} if name == "far from 0" else EXACT
    assert_close(
        torch.cat(of_all(results, name, what)), joined[name][what], **tolerance
    )


@EVERY_CASE
def test_the_gradients_of_gamma_and_beta_add_up(results, joined, name):
    tolerance = {"rtol": 1e-7, "atol": 1e-7} if name == "far from 0" else EXACT
    own = of_all(results, name, "own")
    for *parts, whole in zip(*own, joined[name]["own"], strict=True):
        assert_close(sum(parts), whole, **tolerance)


@EVERY_CASE
def test_every_worker_has_the_running_statistics_of_the_joined_batch(
    results, joined, name
):
    states = of_all(results, name, "state")
    for other in states:
        assert other.keys() == joined[name]["state"].keys()
        for key, buffer in other.items():
            assert_close(buffer, joined[name]["state"][key], **EXACT)
            assert torch.equal(buffer, states[0][key])  # to the last bit


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-3), (torch.bfloat16, 2e-2)]
)
def test_values_far_from_0_keep_their_precision(results, dtype, tolerance):
    x = torch.cat(pieces("far from 0", 0, len(results), dtype)[0])
    y = torch.cat([worker["precisions"][dtype] for worker in results])
    assert y.dtype == dtype
    exact = BatchNorm(5, num_dims=2).double()(x.double())
    assert_close(y.double(), exact, rtol=0, atol=tolerance)
    if dtype == torch.float32:  # what the squares of the values would give
        var = (x**2).mean(0) - x.mean(0) ** 2
        assert ((var - x.double().var(0, correction=0)).abs() > 0.5).any()


def test_a_layer_sends_one_message_forward_and_one_backward(results):
    for worker in results:
        assert worker["counts"] == {
            "forward": {"messages": 1, "floats": 2 * 6 + 1},
            "backward": {"messages": 1, "floats": 2 * 6},
            "evaluation": {},
            "evaluation without statistics": {},
            "BatchNorm": {},
        }


def test_the_gradient_of_the_all_reduce_is_torchs(results):
    xs = [torch.arange(3.0).double() + rank for rank in range(len(results))]
    total = sum(xs)
    for worker in results:
        assert_close(worker["all_reduces"]["ours"], worker["all_reduces"]["torch"])
        y, grad, _ = worker["all_reduces"]["ours"]
        assert_close(y, total)
        factor = sum(rank + 1 for rank in range(len(results)))
        assert_close(grad, 3 * factor * total**2)


def test_a_batch_too_small_on_all_workers_together_is_refused_by_all(results):
    for worker in results:
        said = worker["errors"]["too small"]
        assert said.endswith("to compute batch statistics, but got 1")
        assert worker["errors"]["state"]["num_batches_tracked"] == 0
        assert worker["errors"]["state"]["running_mean"].eq(0).all()


def test_torchs_layer_refuses_the_processor(results):
    for worker in results:
        assert "expected input tensor to be on GPU" in worker["errors"]["torch"]


@pytest.mark.parametrize("name", sync_worker.DDP_SIZES)
def test_with_ddp_the_gradients_are_those_of_the_mean_over_the_joined_batch(
    results, name
):
    X, y, _ = sync_worker.data(name, len(results))
    net = net_for("own")
    nn.functional.cross_entropy(net(X), y).backward()
    whole = [p.grad for p in net.parameters()]
    for worker in results:
        assert_close(worker["ddp"]["joint", name], whole, **EXACT)
    if name == "equal":  # and without a word between the layers they are not
        pairs = zip(results[0]["ddp"]["own", name], whole, strict=True)
        apart = [(a - b).norm() / b.norm() for a, b in pairs if b.norm() > 1e-9]
        assert max(apart) > 0.1


def test_a_process_group_is_a_crowd_of_its_own(results):
    size = len(results)
    x, _ = pieces("2 axes", 0, size)
    first, last = torch.cat(x[:-1]), x[-1]
    whole = [BatchNorm(5, num_dims=2).double()(part) for part in (first, last)]
    made = torch.cat([worker["groups"]["y"] for worker in results])
    assert_close(made, torch.cat(whole), **EXACT)
    talks = [size > 2] * (size - 1) + [False]
    assert [worker["groups"]["messages"] for worker in results] == talks


# --- A worker is lost --------------------------------------------------------------


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What worker 0 is told, and after how many seconds, when worker 1 is lost."""
    return spawn("die", 2, tmp_path_factory.mktemp("dead"))[0]


def test_a_lost_worker_ends_the_other_with_its_likely_cause(told):
    assert set(told) == {"silent", "gone", "gone_before_backward", "gone from DDP"}
    for name, (said, seconds) in told.items():
        part = "gradients" if "DDP" in name else "batch statistics"
        assert said.startswith(f"worker 0 could not exchange {part}. "), said
        assert "another worker has ended" in said
        assert "has run fewer steps" in said
        assert seconds < TIMEOUT + 10, name  # it does not wait for ever
    assert told["silent"][1] > TIMEOUT - 1


# --- In one process --------------------------------------------------------------


def test_without_a_process_group_it_is_the_plain_layer():
    torch.manual_seed(0)
    x = torch.randn(8, 3, 5, 5)
    plain, ours = BatchNorm(3, num_dims=4), SyncBatchNorm(3, num_dims=4)
    for _ in range(2):
        assert torch.equal(plain(x), ours(x))
    assert_close(state(ours), state(plain))
    assert torch.equal(plain.eval()(x), ours.eval()(x))
    with pytest.raises(ValueError, match="at least 2 values"):
        SyncBatchNorm(3, num_dims=2)(torch.ones(1, 3))


def test_convert_keeps_everything_but_the_class():
    net = lenet(BatchNorm)
    fit(net, torch.randn(8, 1, 28, 28), torch.arange(8), lr=0.1, batch_size=4, steps=2)
    net[1].eval()
    parameters, buffers = dict(net.named_parameters()), dict(net.named_buffers())
    arguments = [m.extra_repr() for m in net.modules()]
    modes = [m.training for m in net.modules()]
    assert convert(net) is net
    assert [m.extra_repr() for m in net.modules()] == arguments
    assert [m.training for m in net.modules()] == modes
    kinds = [type(m) for m in net.modules() if isinstance(m, BatchNorm)]
    assert kinds == 4 * [SyncBatchNorm]
    for name, parameter in net.named_parameters():
        assert parameter is parameters.pop(name)
    for name, buffer in net.named_buffers():
        assert buffer is buffers.pop(name)
    assert not parameters and not buffers
    assert [type(m) for m in convert(net).modules()] == [type(m) for m in net.modules()]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
def test_convert_takes_a_layer_alone_and_one_with_less(affine, tracked):
    layer = BatchNorm(3, 2, affine=affine, track_running_stats=tracked, momentum=None)
    made = convert(layer, process_group="some")
    assert made.process_group == "some" and made.extra_repr() == layer.extra_repr()
    assert made.state_dict().keys() == layer.state_dict().keys()


def test_convert_keeps_a_layer_that_is_used_twice_one():
    layer = BatchNorm(3, num_dims=2)
    net = convert(nn.Sequential(layer, nn.ReLU(), layer))
    assert net[0] is net[2] and type(net[0]) is SyncBatchNorm


def test_convert_leaves_subclasses_and_refuses_torchs_layers():
    class Other(BatchNorm):
        pass

    assert type(convert(nn.Sequential(Other(3, num_dims=2)))[0]) is Other
    with pytest.raises(TypeError, match="'1' is a BatchNorm2d"):
        convert(lenet(torch_batch_norm))


# --- Programs ----------------------------------------------------------------------


def test_a_program_that_fails_says_why():
    with pytest.raises(RuntimeError, match="the disk is full"):
        launch.torchrun("import sys\nraise OSError('the disk is full')")


def test_a_worker_that_is_killed_is_named():
    program = """
import os, signal
if os.environ["RANK"] == "1":
    os.kill(os.getpid(), signal.SIGKILL)
"""
    with pytest.raises(RuntimeError, match=r"\(exitcode: -9\) local_rank: 1"):
        launch.torchrun(program)


def test_a_program_that_hangs_is_ended(tmp_path):
    program = f"""
import os, pathlib, time
pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch()
time.sleep(100)
"""
    with pytest.raises(TimeoutError, match="after 8 s"):
        launch.torchrun(program, timeout=8)
    started = [int(path.name) for path in tmp_path.iterdir()]
    assert len(started) == 2
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

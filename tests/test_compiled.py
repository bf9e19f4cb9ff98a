"""What is compiled computes the same, and where nothing can be, all runs on.

Compiling takes seconds, so few tests do it, in processes of their own.
"""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from bn import BatchNorm
from compiled import Compiled, generated_code, kernels, last_loop
from install_compiler import commands, find_compiler
from test_book import ROOT

# A training step of a small net as it is and compiled, and what the caller then holds.
STEPS = """
import copy, sys
sys.path.insert(0, "code")
import torch
from torch import nn
from bn import BatchNorm
from compiled import Compiled, generated_code, kernels
from training import evaluate, train

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 4), BatchNorm(4, num_dims=2), nn.ReLU())
names, twin = list(net.state_dict()), copy.deepcopy(net)
X, y = torch.randn(20, 3), torch.randint(4, (20,))
data = list(zip(X.split(8), y.split(8)))  # 8, 8 and 4
runs = []
for compile in (False, True):
    torch.manual_seed(1)
    runs.append(train((twin, net)[compile], data, data, 3, 0.5, "cpu",
                      compile=compile))
plain, compiled = runs
assert max(abs(a - b) for a, b in zip(plain.train_loss, compiled.train_loss)) < 1e-5
assert plain.test_acc == compiled.test_acc
assert list(net.state_dict()) == names
for a, b in zip(net.state_dict().values(), twin.state_dict().values()):
    assert torch.allclose(a, b, atol=1e-5)
copy.deepcopy(net).load_state_dict(twin.state_dict())
"""
INSIDE = """
layer = torch.compile(BatchNorm(3, num_dims=4), dynamic=False)
x = torch.randn(4, 3, 5, 5, requires_grad=True)
programs = generated_code(lambda: layer(x).sum().backward())
assert len(programs) == 2, len(programs)
assert all(kernels(program) for program in programs), programs
"""


def run(program, **environment):
    """Run a program in a process of its own; returns what it printed."""
    command = [sys.executable, "-W", "error::UserWarning:__main__", "-c", program]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={
            **os.environ,
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "TQDM_DISABLE": "1",
            **environment,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_a_compiled_net_trains_as_it_does_uncompiled():
    if find_compiler() is None:
        pytest.fail("no C++ compiler: run python tools/install_compiler.py")
    out, _ = run(STEPS + INSIDE)
    assert "Not compiled" not in out


def test_without_a_compiler_training_says_so_once_and_goes_on(tmp_path):
    hidden = {"PATH": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    out, err = run(STEPS, **hidden)
    assert out.count("Not compiled") == 1
    [line] = [line for line in out.splitlines() if "Not compiled" in line]
    assert "g++" in line or "compiler" in line
    assert "Traceback" not in err


class Fake:
    """Stands in for torch.compile."""

    def __init__(self, error=None):
        self.error, self.calls, self.options = error, [], {}

    def __call__(self, module, **options):
        self.options = options

        def run(x):
            if self.error:
                raise self.error
            self.calls.append(tuple(x.shape))
            return module(x)

        return run


def test_the_first_shape_is_compiled_and_others_run_as_they_are(monkeypatch):
    fake, module = Fake(), nn.Linear(2, 3)
    monkeypatch.setattr(torch, "compile", fake)
    compiled = Compiled(module)
    for n in (4, 3, 4):
        x = torch.ones(n, 2)
        assert torch.equal(compiled(x), module(x))
    assert fake.calls == [(4, 2), (4, 2)]
    assert fake.options == {"mode": None, "dynamic": False}
    assert compiled.problem is None


def test_a_part_that_ran_before_compiling_failed_is_not_counted_twice(monkeypatch):
    def fail_late(module, **options):
        def run(x):
            module(x)
            raise RuntimeError("no code for the rest")

        return run

    monkeypatch.setattr(torch, "compile", fail_late)
    layer, once = BatchNorm(2, num_dims=2), BatchNorm(2, num_dims=2)
    x = torch.tensor([[1.0, 7.0], [9.0, 15.0]])
    compiled = Compiled(layer)
    assert torch.equal(compiled(x), once(x))
    assert compiled.problem == "RuntimeError: no code for the rest"
    for name, value in once.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value), name


def test_with_cuda_graphs_each_call_begins_a_step(monkeypatch):
    marks = []
    monkeypatch.setattr(torch, "compile", Fake())
    monkeypatch.setattr(
        torch.compiler, "cudagraph_mark_step_begin", lambda: marks.append(1)
    )
    for mode, count in (("reduce-overhead", 2), (None, 0)):
        marks.clear()
        compiled = Compiled(nn.ReLU(), mode)
        for _ in range(3):
            compiled(torch.ones(2))
        assert len(marks) == count


def test_if_compiling_fails_the_module_runs_and_one_line_says_why(monkeypatch, capsys):
    monkeypatch.setattr(torch, "compile", Fake(RuntimeError("no luck\nand more")))
    compiled = Compiled(nn.ReLU())
    for _ in range(2):
        assert compiled(torch.tensor([-1.0, 2.0])).tolist() == [0, 2]
    assert compiled.problem == "RuntimeError: no luck"
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "no luck" in out and "and more" not in out


def test_the_nets_own_errors_are_its_own(monkeypatch, capsys):
    monkeypatch.setattr(torch, "compile", Fake(RuntimeError("no luck")))
    with pytest.raises(ValueError, match="at least 2 values"):
        Compiled(BatchNorm(3, num_dims=2))(torch.ones(1, 3))
    assert capsys.readouterr().out == ""


def test_kernels_are_named_in_order():
    program = (
        "import torch\n"
        "cpp_fused_add_0 = async_compile.cpp_pybinding([], '''...''')\n"
        "triton_red_fused_mul_1 = async_compile.triton('triton_', '''...''')\n"
        "call(cpp_fused_add_0)\n"
    )
    assert kernels(program) == ["cpp_fused_add_0", "triton_red_fused_mul_1"]
    assert kernels("") == []


@pytest.mark.parametrize("program", ["", "for(i) {\na = b;\n}", "def triton(x): ..."])
def test_without_a_loop_that_stores_there_is_nothing_to_show(program):
    assert last_loop(program) == ""


def test_where_pytorch_does_not_tell_there_is_no_code(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._inductor.utils", None)
    assert generated_code(lambda: pytest.fail("called")) == []


def test_what_is_missing_is_what_is_installed(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert commands() == []
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for headers in (True, False):
        monkeypatch.setattr("os.path.exists", lambda path, here=headers: here)
        update, install = commands()
        assert update == ["sudo", "-n", "apt-get", "update"]
        assert "g++" in install
        assert any(name.endswith("-dev") for name in install) == (not headers)


def test_a_compiler_that_is_not_there_is_not_found(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert find_compiler() is None

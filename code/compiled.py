"""Compiling: what `torch.compile` makes of a net, where it can be had.

It writes C++ for a processor and Triton for a GPU. For the first it needs a compiler,
which not every machine has; where there is none, everything here runs on without it.
"""

import contextlib
import logging
import re

import torch


class Compiled:
    """A module that is compiled when it is first called, if that is possible here.

    The module itself stays as it is: parameters, buffers and the mode are shared, and
    the names in its `state_dict` do not change. What is compiled serves inputs of the
    first one's shape. Others, such as the last and smaller batch of an epoch, take the
    module as it is, as compiling for one more shape takes seconds.

    Args:
        module: a net or a layer.
        mode: as for `torch.compile`; "reduce-overhead" records CUDA graphs, which fits
            a whole net, called once in each step.

    Attributes:
        problem: why the module could not be compiled, in one line; None before the
            first call, and where it could.

    Raises:
        Whatever the module raises. If only compiling fails, for want of a C++ compiler
        or for another reason, it prints one line and runs the module as it is.

    >>> double = Compiled(torch.nn.ReLU())
    >>> double.problem is None
    True
    """

    def __init__(self, module, mode=None):
        self.module, self.mode = module, mode
        self.problem = None
        self._shape = self._run = None

    def __call__(self, x):
        if self._run is None:
            return self._first(x)
        if x.shape != self._shape:
            return self.module(x)
        if self.mode == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()
        return self._run(x)

    def _first(self, x):
        before = {name: b.clone() for name, b in self.module.named_buffers()}
        try:
            with _quiet():
                run = torch.compile(self.module, mode=self.mode, dynamic=False)
                y = run(x)
        except Exception as error:  # compilers fail in many ways, nets in theirs
            run = self.module
            for name, buffer in run.named_buffers():  # a part may have run before
                buffer.copy_(before[name])
            y = run(x)  # if it is the net's own fault, it says so here
            inner = getattr(error, "inner_exception", error)
            [line, *_] = [*str(inner).splitlines(), ""]
            self.problem = f"{type(inner).__name__}: {line}"
            print(f"Not compiled, and slower than it could be. {self.problem}")
        self._run, self._shape = run, x.shape
        return y


def generated_code(function):
    """What `torch.compile` writes for the graphs that are compiled in `function()`.

    A training step of a layer usually gives two: one for the forward pass and one for
    the backward pass. What was compiled before is forgotten.

    Returns:
        A list of Python programs, as text, with C++ or Triton inside. It is empty where
        nothing was compiled, and where this version of PyTorch does not tell.

    >>> generated_code(lambda: None)
    []
    """
    try:
        from torch._inductor.utils import run_and_get_code  # PyTorch's own tests use it
    except ImportError:
        return []
    with _quiet():
        _, programs = run_and_get_code(function)
    return programs


def kernels(program):
    """The names of the compiled functions in a program, each with what it does.

    Each is one pass of loops over memory or a few, and has in its name the operations
    that are fused in it.

    >>> kernels("cpp_fused_add_mul_0 = async_compile.cpp_pybinding(...)")
    ['cpp_fused_add_mul_0']
    """
    return re.findall(r"^((?:cpp|triton)_\w+) = async_compile", program, re.MULTILINE)


def last_loop(program):
    r"""The body of the last loop in generated C++, as far as its last `store`.

    Types and casts are left out, as they say nothing about what is computed. It is
    empty if there is no such loop, as in Triton.

    >>> load = "auto a = vec<float>::loadu(in + static_cast<long>(8L*i));\n"
    >>> square = "auto b = a * a;\n b.store(out + i);\n"
    >>> print(last_loop("for(...) { for(...) {\n" + load + square + "} }"))
    a = loadu(in + 8*i);
    b = a * a;
    b.store(out + i);
    """
    [*_, loop] = re.split(r"\bfor ?\(", program)
    lines = [line.strip() for line in loop.splitlines()]
    kept = [i for i, line in enumerate(lines) if line.startswith("auto ")]
    stores = [i for i, line in enumerate(lines) if ".store(" in line]
    if not (kept and stores):
        return ""
    text = "\n".join(lines[kept[0] : stores[-1] + 1])
    text = re.sub(r"\bauto |[\w:]*vec(?:::Vectorized)?<\w+>(?:::)?", "", text)
    text = re.sub(r"static_cast<\w+>\(([^()]*)\)", r"\1", text)
    return re.sub(r"\b(\d+)L\b", r"\1", text)


@contextlib.contextmanager
def _quiet():
    """Compilers log much that is no problem, such as that there is no GPU."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)

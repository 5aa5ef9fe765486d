"""A log-likelihood kernel with its own gradient as one step of a PyMC model.

A PyMC graph of many small steps compiles for half a minute; one compiled kernel takes a second, and runs faster. A
kernel is plain Python: it takes vectors, parameters first, and returns the log-likelihood `(1,)` and one gradient for
each parameter.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytensor.graph.op import Op
    from pytensor.tensor import TensorVariable

__all__ = ["Kernel", "add_likelihood", "compiled"]

Kernel = Callable[..., tuple[Any, ...]]


def add_likelihood(kernel: Kernel, parameters: Sequence[Any], data: Sequence[Any]) -> TensorVariable:
    """The kernel's log-likelihood `(1,)` as a PyTensor variable whose gradient is the kernel's own."""
    return _op(kernel, len(parameters))(*parameters, *data)[0]


@lru_cache(maxsize=32)
def compiled(function: Callable[..., Any]) -> Any:
    """`function` compiled by numba, together with the functions of this package that it calls."""
    import numba

    found = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    ours = {n: compiled(f) for n, f in found.items() if isinstance(f, FunctionType) and _is_ours(f)}
    copy = FunctionType(function.__code__, {**function.__globals__, **ours}, function.__name__)
    return numba.njit(copy)


def _is_ours(function: FunctionType) -> bool:
    return function.__module__.split(".")[0] == __name__.split(".", maxsplit=1)[0]


def _source(function: Callable[..., Any]) -> str:
    """The source of a kernel's module and of the modules its helpers live in: the key of the compiled code on disk."""
    names = {function.__module__}
    names |= {f.__module__ for f in function.__globals__.values() if isinstance(f, FunctionType) and _is_ours(f)}
    return "".join(inspect.getsource(sys.modules[name]) for name in sorted(names))


@lru_cache(maxsize=32)
def _op(kernel: Kernel, parameters: int) -> Op:
    """The PyTensor operation of one kernel; made once, so that equal calls in a graph are one call."""
    import numpy as np
    from pytensor.gradient import DisconnectedType
    from pytensor.graph.basic import Apply
    from pytensor.graph.op import Op
    from pytensor.link.numba.dispatch.basic import register_funcify_and_cache_key
    from pytensor.tensor import as_tensor, tensor

    class LikelihoodOp(Op):  # type: ignore[misc]
        __props__ = ()

        def make_node(self, *inputs: Any) -> Apply:
            variables = [as_tensor(i) for i in inputs]
            outputs = [tensor(shape=(1,), dtype="float64"), *(v.type() for v in variables[:parameters])]
            return Apply(self, variables, outputs)

        def perform(self, node: Any, inputs: Sequence[Any], output_storage: Any) -> None:
            for storage, value in zip(output_storage, compiled(kernel)(*inputs), strict=True):
                storage[0] = np.asarray(value)

        def connection_pattern(self, node: Any) -> list[list[bool]]:
            return [[i < parameters] * (1 + parameters) for i in range(len(node.inputs))]

        def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> list[Any]:  # noqa: N802
            by_parameter = [output_grads[0] * gradient for gradient in outputs[1:]]
            return by_parameter + [DisconnectedType()() for _ in inputs[parameters:]]

    key = hashlib.sha256(f"{kernel.__name__} {parameters} {_source(kernel)}".encode()).hexdigest()

    @register_funcify_and_cache_key(LikelihoodOp)  # type: ignore[untyped-decorator]
    def _numba(op: Any, node: Any = None, **_: Any) -> tuple[Any, str]:
        return compiled(kernel), key

    return LikelihoodOp()

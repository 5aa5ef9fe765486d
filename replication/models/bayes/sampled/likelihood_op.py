"""Small loops the likelihood kernels share, written for numba: vectors in, vectors out.

A correlation matrix from independent numbers, with its gradient: plain loops that numba compiles.

Two ideas:

1. A `c x c` correlation matrix is made from `c(c-1)/2` partial correlations in (-1, 1), each free of the others
   (Joe 2006). Row i of its Cholesky root is `L_ij = P_ij prod_{l<j} sqrt(1 - P_il^2)`, `L_ii = prod_{l<i} ...`.
2. The LKJ(eta) prior of the matrix is then a product of scaled beta densities, one a partial correlation
   (Lewandowski, Kurowicka & Joe 2009, section 2): no Jacobian is left over.

Functions here are written for numba: no imports, no allocation that is not needed, vectors in and out.

A log-likelihood kernel with its own gradient as one step of a PyMC model.

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

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array

if TYPE_CHECKING:
    from pytensor.graph.op import Op
    from pytensor.tensor import TensorVariable

__all__ = [
    "Kernel",
    "add_likelihood",
    "compiled",
    "correlation_draws",
    "correlation_root",
    "lkj_shapes",
    "lower_pairs",
    "one",
    "residuals",
    "root_gradient",
    "times",
]


def one(value: float) -> Array:
    """A number as a vector `(1,)`."""
    vector = np.zeros(1)
    vector[0] = value
    return vector


def residuals(y: Array, X: Array, beta: Array) -> Array:
    """`y - X beta (k,)`."""
    r = y.copy()
    for i in range(y.shape[0]):
        for j in range(beta.shape[0]):
            r[i] -= X[i, j] * beta[j]
    return r


def times(X: Array, a: Array) -> Array:
    """`X' a (p,)`."""
    total = np.zeros(X.shape[1])
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            total[j] += X[i, j] * a[i]
    return total


def correlation_root(partial: Array, c: int) -> Array:
    """The lower Cholesky root `(c, c)` of the correlation matrix with `partial (c(c-1)/2,)`, row by row.

    >>> L = correlation_root(np.array([0.5, 0.0, 0.0]), 3)
    >>> (L @ L.T).round(3).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    L = np.zeros((c, c))
    at = 0
    for i in range(c):
        left = 1.0
        for j in range(i):
            L[i, j] = partial[at] * left
            left *= np.sqrt(1.0 - partial[at] ** 2)
            at += 1
        L[i, i] = left
    return L


def root_gradient(partial: Array, L: Array, dL: Array) -> Array:
    """Derivatives `(c(c-1)/2,)` by the partial correlations, from those by the root, `dL (c, c)`."""
    c = L.shape[0]
    gradient = np.zeros(partial.shape[0])
    at = 0
    for i in range(c):
        left = 1.0
        for j in range(i):
            rest = 1.0 - partial[at] ** 2
            later = 0.0
            for q in range(j + 1, i + 1):
                later += dL[i, q] * L[i, q]
            gradient[at] = dL[i, j] * left
            # At a partial correlation of 1 all later entries of the row are 0, and so is their share of the slope.
            if rest > 0.0:
                gradient[at] -= partial[at] / rest * later
            left *= np.sqrt(rest)
            at += 1
    return gradient


def lkj_shapes(c: int, eta: float) -> Array:
    """Beta shapes `(c(c-1)/2,)` of the partial correlations under LKJ(eta), in the order of `correlation_root`.

    A partial correlation given j others is `2 B - 1` with `B ~ beta(a, a)`, `a = eta + (c - 2 - j) / 2`.

    >>> lkj_shapes(3, 2.0).tolist()
    [2.5, 2.5, 2.0]
    """
    return np.array([eta + (c - 2 - j) / 2.0 for i in range(c) for j in range(i)])


def lower_pairs(c: int) -> NDArray[np.intp]:
    """The pairs `(c(c-1)/2, 2)` below the diagonal, row by row: which two variables each correlation is about."""
    return np.array([(i, j) for i in range(c) for j in range(i)], dtype=np.intp).reshape(-1, 2)


def correlation_draws(partial: Array, c: int) -> Array:
    """Correlation matrices `(..., c, c)` from draws of the partial correlations `(..., c(c-1)/2)`."""
    flat = partial.reshape(-1, partial.shape[-1])
    roots = np.array([correlation_root(one, c) for one in flat]).reshape(*partial.shape[:-1], c, c)
    return np.asarray(roots @ roots.swapaxes(-1, -2))


Kernel = Callable[..., tuple[Any, ...]]


def add_likelihood(kernel: Kernel, parameters: Sequence[Any], data: Sequence[Any]) -> TensorVariable:
    """The kernel's log-likelihood `(1,)` as a PyTensor variable whose gradient is the kernel's own."""
    return _op(kernel, len(parameters))(*parameters, *data)[0]


@lru_cache(maxsize=32)
def compiled(function: Callable[..., Any]) -> Any:
    """`function` compiled by numba, together with the functions of this package that it calls."""
    import numba

    # numba compiles no plain Python function called by name: helpers are compiled first and put in its globals.
    found = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    ours = {n: compiled(f) for n, f in found.items() if isinstance(f, FunctionType) and _is_ours(f)}
    copy = FunctionType(function.__code__, {**function.__globals__, **ours}, function.__name__)
    return numba.njit(copy)


def _is_ours(function: FunctionType) -> bool:
    return function.__module__.split(".")[0] == __name__.split(".", maxsplit=1)[0]


def _source(function: Callable[..., Any]) -> str:
    """The source of a kernel's module and of the modules its helpers live in: the key of the compiled code on disk."""
    # PyTensor keeps compiled code by key: without the helpers' sources an edit of one would go on unseen.
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
        """The compiled kernel as an operation of PyTensor: log likelihood and its gradients in one call."""

        __props__ = ()

        def make_node(self, *inputs: Any) -> Apply:
            variables = [as_tensor(i) for i in inputs]
            # The gradients are outputs of the same call: value and slope cost one pass together.
            outputs = [tensor(shape=(1,), dtype="float64"), *(v.type() for v in variables[:parameters])]
            return Apply(self, variables, outputs)

        def perform(self, node: Any, inputs: Sequence[Any], output_storage: Any) -> None:
            for storage, value in zip(output_storage, compiled(kernel)(*inputs), strict=True):
                storage[0] = np.asarray(value)

        def connection_pattern(self, node: Any) -> list[list[bool]]:
            # Data take part in the value but have no derivative; said here, PyTensor asks for none.
            return [[i < parameters] * (1 + parameters) for i in range(len(node.inputs))]

        def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> list[Any]:  # noqa: N802
            by_parameter = [output_grads[0] * gradient for gradient in outputs[1:]]
            return by_parameter + [DisconnectedType()() for _ in inputs[parameters:]]

    key = hashlib.sha256(f"{kernel.__name__} {parameters} {_source(kernel)}".encode()).hexdigest()

    @register_funcify_and_cache_key(LikelihoodOp)  # type: ignore[untyped-decorator]
    def _numba(op: Any, node: Any = None, **_: Any) -> tuple[Any, str]:
        return compiled(kernel), key

    return LikelihoodOp()

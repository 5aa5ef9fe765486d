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
    "at_address",
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
    """The kernel's log-likelihood `(1,)` as a PyTensor variable whose gradient is the kernel's own.

    `data` are arrays, or shared variables where other values shall need no new compilation.
    """
    # Kernels are compiled for arrays in the order of rows: not a reversed view, nor columns of a data frame.
    known = [np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value for value in data]
    return _op(kernel, len(parameters))(*parameters, *known)[0]


@lru_cache(maxsize=32)
def at_address(kernel: Kernel, inputs: tuple[tuple[str, int], ...], parameters: int) -> Any:
    """The kernel compiled for inputs of these dtypes and dimensions, as a function that numba calls by its address."""
    import numba

    # Read-only, as which numba passes any array on: one kernel serves values that are drawn and values that are known.
    types = [numba.types.Array(numba.from_dtype(np.dtype(dtype)), ndim, "C", readonly=True) for dtype, ndim in inputs]
    outputs = numba.types.UniTuple(numba.types.float64[::1], 1 + parameters)
    # Called by name, the kernel would become part of PyTensor's function and that part of nutpie's: LLVM went through
    # it five times. A division by 0 gives infinity or NaN, at which the sampler turns back.
    return numba.cfunc(outputs(*types), error_model="numpy")(_with_compiled_helpers(kernel))


@lru_cache(maxsize=32)
def _compiled(function: FunctionType) -> Any:
    """A helper compiled by numba: called from compiled code alone, it gets no ways in from Python and from C."""
    import numba

    return numba.njit(
        _with_compiled_helpers(function), error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
    )


def _with_compiled_helpers(function: Callable[..., Any]) -> FunctionType:
    """A copy of `function` that calls the functions of this package compiled: numba compiles none called by name."""
    found = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    ours = {name: _compiled(f) for name, f in found.items() if isinstance(f, FunctionType) and _is_ours(f)}
    return FunctionType(function.__code__, {**function.__globals__, **ours}, function.__name__)


def _is_ours(function: FunctionType) -> bool:
    return function.__module__.split(".")[0] == __name__.split(".", maxsplit=1)[0]


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
            for storage, value in zip(output_storage, kernel(*inputs), strict=True):
                storage[0] = np.asarray(value)

        def connection_pattern(self, node: Any) -> list[list[bool]]:
            # Data take part in the value but have no derivative; said here, PyTensor asks for none.
            return [[i < parameters] * (1 + parameters) for i in range(len(node.inputs))]

        def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> list[Any]:  # noqa: N802
            by_parameter = [output_grads[0] * gradient for gradient in outputs[1:]]
            return by_parameter + [DisconnectedType()() for _ in inputs[parameters:]]

    @register_funcify_and_cache_key(LikelihoodOp)  # type: ignore[untyped-decorator]
    def _numba(op: Any, node: Any = None, **_: Any) -> tuple[Any, None]:
        shapes = tuple((variable.type.dtype, variable.type.ndim) for variable in node.inputs)
        # No key, as an address means nothing to the next process: neither kernel nor model is kept on disk.
        return at_address(kernel, shapes, parameters), None

    return LikelihoodOp()

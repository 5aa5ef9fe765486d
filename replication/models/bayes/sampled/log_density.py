"""A log posterior density from a log-likelihood kernel with its own gradient and the priors of its parameters.

A kernel is plain Python: it takes vectors, parameters first, and returns the log-likelihood `(1,)` and one gradient for
each parameter. Numba compiles it in a second or two; the same model as a graph of PyMC took ten to twenty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from replication.errors import ModelError
from replication.models.bayes.sampled.kernels import Codes, codes, compiled, data_at, matrix, packed, vector
from replication.models.bayes.sampled.sampled_priors import KNOWN, Block, CoefficientSpace, prior_at
from replication.models.fit import Array

__all__ = ["Likelihood", "LogDensity", "entry_points"]

Likelihood = Callable[[Array, Array, Array], float]
"""Takes values and words, writes the derivatives by the values into a third array, and returns the log-likelihood."""


@lru_cache(maxsize=32)
def posterior_at(likelihood: Likelihood) -> Any:
    """The compiled function that returns the log posterior density at `u (d,)` and writes its gradient `(d,)`."""
    import numba

    prior, inner, begin = map(compiled, (prior_at, likelihood, data_at))
    whole, numbers, column = map(compiled, (codes, matrix, vector))

    @numba.njit(error_model="numpy", nogil=True)  # type: ignore[untyped-decorator]
    def at(u: Array, words: Array, gradient: Array) -> float:
        j = begin(words)
        links, root = whole(words, j - 7), numbers(words, j - 2)
        values, slopes, log, by_value = prior(
            u, links, whole(words, j - 6), numbers(words, j - 5), numbers(words, j - 4), column(words, j - 3), root
        )
        by_likelihood, free = np.zeros(values.shape[0]), 0
        log += inner(values, words, by_likelihood)
        for i in range(values.shape[0]):
            by_value[i] += slopes[i] * by_likelihood[i]
            if links[i] != KNOWN:
                gradient[free] = by_value[i]
                free += 1
        for i in range(root.shape[0]):
            gradient[i] = 0.0
            for q in range(i, root.shape[0]):
                gradient[i] += root[q, i] * by_value[q]
        for slope in gradient:
            if not math.isfinite(slope):
                return math.nan
        return float(log)

    return at


@lru_cache(maxsize=32)
def entry_points(likelihood: Likelihood) -> tuple[Any, Any]:
    """Two C functions as nutpie calls them, by address: the log density with its gradient, and the numbers kept."""
    import numba
    from numba import carray, types

    at, numbers = posterior_at(likelihood), types.CPointer(types.float64)
    signature = types.int64(types.uint64, numbers, numbers, numbers, numbers)

    @numba.cfunc(signature)  # type: ignore[untyped-decorator]
    def log_density(dim: int, u: Any, gradient: Any, log: Any, words: Any) -> int:
        found = at(carray(u, (dim,)), carray(words, (int(words[0]),)), carray(gradient, (dim,)))
        log[0] = found
        # Above 0: the sampler turns back, and the step counts as divergent.
        return 0 if math.isfinite(found) else 1

    return log_density, _kept()


@lru_cache(maxsize=1)
def _kept() -> Any:
    """The C function that hands over the numbers of a draw as they are."""
    import numba
    from numba import types

    numbers = types.CPointer(types.float64)
    signature = types.int64(types.uint64, types.uint64, numbers, numbers, numbers)

    @numba.cfunc(signature)  # type: ignore[untyped-decorator]
    def kept(dim: int, size: int, u: Any, out: Any, words: Any) -> int:
        for i in range(dim):
            out[i] = u[i]
        return 0

    return kept


@dataclass(frozen=True, slots=True, eq=False)
class LogDensity:
    """A log posterior density, up to a constant: the likelihood, the blocks of its parameters with priors, its data.

    Blocks and `data` stand in the order in which the likelihood takes them; the first block is the coefficients, in
    their `space`.
    """

    likelihood: Likelihood
    blocks: tuple[Block, ...]
    space: CoefficientSpace
    data: Mapping[str, Array | Codes]

    @property
    def size(self) -> int:
        """How many numbers the sampler moves."""
        return sum(len(block.start) for block in self.blocks)

    def with_data(self, data: Mapping[str, Array | Codes]) -> LogDensity:
        """The same model of other values of some of its data, by name."""
        unknown = sorted(data.keys() - self.data.keys())
        if unknown:
            raise ModelError(f"no data {', '.join(unknown)} in this model; it has {', '.join(self.data)}.")
        return replace(self, data={**self.data, **data})

    def start(self, seed: int) -> Array:
        """Where a chain starts `(d,)`: near the starts of the blocks, and no two chains at the same place."""
        middle = [first for block in self.blocks for first in block.start]
        return np.array(middle) + np.random.default_rng(seed).uniform(-1.0, 1.0, self.size)

    def at(self, u: Array) -> tuple[float, Array]:
        """The log density at `u (d,)` and its gradient `(d,)`."""
        gradient = np.zeros(self.size)
        return posterior_at(self.likelihood)(u, self.words(), gradient), gradient

    def values(self, u: Array) -> dict[str, Array]:
        """The values `(..., n)` of every block that is sampled, by its name, from draws `u (..., d)`."""
        prior, (*arrays, ends) = compiled(prior_at), self.prior_arrays()
        flat = np.array([prior(row, *arrays)[0] for row in u.reshape(-1, self.size)]).reshape(*u.shape[:-1], -1)
        return {b.name: flat[..., ends[j] : ends[j + 1]] for j, b in enumerate(self.blocks) if b.start}

    def words(self) -> Array:
        """All that the compiled functions read."""
        return packed(self.prior_arrays(), list(self.data.values()))

    def prior_arrays(self) -> tuple[Array, ...]:
        """What `prior_at` takes beside u, links, densities, numbers, tables and the space, and where blocks begin."""
        links = [link for block in self.blocks for link in block.links]
        densities = [density for block in self.blocks for density in block.densities]
        numbers, tables, first = np.zeros((len(links), 8)), [np.zeros((2, 0))], 0
        for i, (link, density) in enumerate(zip(links, densities, strict=True)):
            numbers[i, : len(link.numbers)] = link.numbers
            numbers[i, 4 : 4 + len(density.numbers)] = density.numbers
            if density.table is not None:
                tables.append(np.array([density.table.x, density.table.density]))
                # The first interval of the table and its last.
                numbers[i, 4:6] = first, first + len(density.table.x) - 2
                first += len(density.table.x)
        numbers[:, 7] = [block.squared for block in self.blocks for _ in block.links]
        return (
            np.array([link.kind for link in links]),
            np.array([density.kind for density in densities]),
            numbers,
            np.concatenate(tables, axis=1),
            self.space.centre,
            np.ascontiguousarray(self.space.root),
            np.cumsum([0, *(block.size for block in self.blocks)]),
        )

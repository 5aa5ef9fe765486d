"""Log densities drawn by nutpie's NUTS: settings, and the draws.

The same settings and the same model give the same draws on one machine. Nothing is written.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any

import numpy as np

from replication.errors import ModelError
from replication.models.bayes.sampled.kernels import Codes
from replication.models.bayes.sampled.log_density import LogDensity, entry_points
from replication.models.fit import Array

__all__ = ["Draws", "Settings", "draw"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a posterior is drawn; part of the record of every result.

    `chains` of `draws` after `tune` steps of adaptation. 2,000 draws: of the models here the bullying roles mix
    slowest, with an effective size of one draw in seven for the sds and correlations of classes, and 400 are asked
    for. `target_accept` 0.9: smaller steps than the usual 0.8, for variances near 0. A fit that fails is tried
    `attempts` times, each time with twice the draws and smaller steps, and the record says so.
    """

    seed: int = 20220420
    chains: int = 4
    draws: int = 2000
    tune: int = 1000
    target_accept: float = 0.9
    attempts: int = 2

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("chains", 2), ("draws", 4), ("tune", 1), ("attempts", 1)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ModelError(f"{name}={value!r}: expected a whole number of at least {least}.")
        if not 0.0 < self.target_accept < 1.0:
            raise ModelError(f"target_accept={self.target_accept!r} is not between 0 and 1; 0.9 is usual.")

    def harder(self) -> Settings:
        """The settings of the next attempt: twice the draws and adaptation, steps a third as far from acceptance 1."""
        # From 0.9 to 0.967: divergences mostly go with smaller steps, and low effective sizes with more draws.
        accept = 1.0 - (1.0 - self.target_accept) / 3.0
        return Settings(self.seed, self.chains, 2 * self.draws, 2 * self.tune, accept, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What the sampler returned.

    What the sampler returned: `values` by name `(chains, draws, ...)`, the log density `(chains, draws)`, and the
    numbers of divergent transitions and of trees cut at their greatest depth.
    """

    values: Mapping[str, Array]
    log_density: Array
    divergences: int
    cut_trees: int


def draw(density: LogDensity, settings: Settings, data: Mapping[str, Array | Codes] | None = None) -> Draws:
    """Draw from a log density, on other values of its named data where `data` gives them.

    Raises
    ------
    ModelError
        The sampler cannot start, because the log density is not finite wherever it tried.
    """
    chosen = density.with_data(data) if data else density
    try:
        trace = _trace(chosen, settings)
    # A failed start comes as a bare RuntimeError; its first line says what is wrong.
    except RuntimeError as error:
        raise ModelError(f"the sampler stopped: {str(error).splitlines()[0]}; check data and priors.") from error
    stats = trace.sample_stats
    return Draws(
        chosen.values(np.asarray(trace.posterior["u"])),
        np.asarray(stats["logp"]),
        int(stats["diverging"].sum()),
        int(stats["maxdepth_reached"].sum()),
    )


def _trace(density: LogDensity, settings: Settings) -> Any:
    """What nutpie returns: draws of the numbers `u` it moves, and its statistics."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing a major refactor", category=FutureWarning)
        import nutpie
        from nutpie.compile_pymc import CompiledPyMCModel

    log_density, kept = entry_points(density.likelihood)
    size = density.size
    # What nutpie makes of a PyMC model, two addresses and a pointer: called from Python each step takes four times as
    # long. No PyMC is behind it.
    wanted: dict[str, Any] = {
        "compiled_logp_func": log_density,
        "compiled_expand_func": kept,
        "initial_point_func": density.start,
        "user_data": density.words(),
        "n_expanded": size,
        # Values are made of all draws at once, afterwards.
        "shape_info": (["u"], [slice(0, size)], [(size,)]),
        "_n_dim": size,
        "_shapes": {"u": (size,)},
    }
    empty: dict[str, Any] = {
        "logp_func": None,
        "expand_func": None,
        "reparameterized_names": [],
        "_transform_adapt_args": None,
    }
    # Versions differ in what else they keep of a PyMC model; all of that is empty.
    others = {field.name: empty.get(field.name, {}) for field in fields(CompiledPyMCModel) if field.name not in wanted}
    return nutpie.sample(
        CompiledPyMCModel(**wanted, **others),
        draws=settings.draws,
        tune=settings.tune,
        chains=settings.chains,
        seed=settings.seed,
        target_accept=settings.target_accept,
        progress_bar=False,
        save_warmup=False,
    )

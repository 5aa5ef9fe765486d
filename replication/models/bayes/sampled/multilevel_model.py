"""All relationship x outcome correlations at once: a multivariate multilevel model with known sampling covariances.

`z_i = x_i beta + u_{s(i), slot(i)} + w_i + e_i`: effect i of sample s, in a cell (say positive relationship with
engagement). `u_s` varies between samples, one deviation per slot, correlated (LKJ); `w_i` varies within; `e` has the
known covariance V. With one slot it is the three-level model, with none the two-level one, on the same priors as the
exact posterior. Effects and deviations are integrated out exactly; coefficients, sds and correlations are sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from replication.labels import Label, Text, of
from replication.models.bayes.priors.coefficient import CoefficientPrior
from replication.models.bayes.priors.positive import Fixed, PositivePrior
from replication.models.bayes.priors.record import PriorRecord
from replication.models.bayes.sampled.diagnostics import Failed, SampledPosterior
from replication.models.bayes.sampled.likelihood_op import add_likelihood, correlation_draws, lkj_shapes, lower_pairs
from replication.models.bayes.sampled.multilevel_data import MultilevelData
from replication.models.bayes.sampled.multilevel_kernel import multilevel_loglik
from replication.models.bayes.sampled.pymc_priors import (
    CoefficientSpace,
    add_standard_deviations,
    check_eta,
    coefficient_priors,
    coefficient_space,
    correlation_partials,
    lkj_record,
    spread_beyond_error,
    unsigned_correlations,
)
from replication.models.bayes.sampled.sampled_model import SampledModel, sample_model
from replication.models.bayes.sampled.sampling import Settings, load_pymc
from replication.models.fit import Array

__all__ = ["MultilevelPriors", "multilevel_model", "parameter_labels", "sample_multilevel"]


@dataclass(frozen=True, slots=True)
class MultilevelPriors:
    """The priors of a sampled multilevel model.

    Priors of the coefficients (one for all, or one each), of the sds between samples (each slot) and within samples,
    and `eta` of the LKJ prior of the correlations between slots: 1 is flat over correlation matrices, 2 (default) leans
    a little to 0, so that no pair seen in few samples is taken to be perfectly correlated.
    """

    coefficients: CoefficientPrior | Sequence[CoefficientPrior]
    between: PositivePrior
    within: PositivePrior
    eta: float = 2.0

    def __post_init__(self) -> None:
        check_eta(self.eta)

    def records(self, names: tuple[str, ...], slots: int) -> dict[str, PriorRecord]:
        """The priors in use, by what they are about."""
        used = {
            name: prior.record()
            for name, prior in zip(names, coefficient_priors(self.coefficients, len(names)), strict=True)
        }
        if slots:
            used["between samples (sd)"] = self.between.record()
        used["within samples (sd)" if slots else "between effects (sd)"] = self.within.record()
        if slots > 1:
            used["correlations between cells"] = lkj_record(self.eta)
        return used


def sample_multilevel(
    data: MultilevelData,
    priors: MultilevelPriors,
    settings: Settings = Settings(),  # noqa: B008  (frozen)
    *,
    compile_dir: Path | None = None,
) -> SampledPosterior | Failed:
    """The posterior of means (or coefficients), sds and correlations, or the reasons why there is none.

    Parameters
    ----------
    data
        From `multilevel_data`.
    priors
        The prior of every parameter.
    settings
        Chains, draws, seed.
    compile_dir
        Where compiled code is kept for the next process; a temporary folder by default.

    Returns
    -------
    SampledPosterior | Failed
        Parameters: the coefficients by name; the sds `between[cell]`, `within` (two levels: `tau`) and
        `total[cell]`; `rho[a, b]`, correlations of the deviations of a sample; `new[cell]`, the true effect in a
        sample not yet seen.

    Notes
    -----
    Model: Kalaian & Raudenbush (1996), equations 1-5; with known V of dependent effects, Pustejovsky & Tipton (2022).
    """
    load_pymc(compile_dir)
    return sample_model(multilevel_model(data, priors), settings)


def multilevel_model(data: MultilevelData, priors: MultilevelPriors, *, exchange: bool = False) -> SampledModel:
    """The PyMC model of `data` under `priors`, not yet compiled; with `exchange` its `y` can be exchanged."""
    import pymc as pm

    coefficients = coefficient_priors(priors.coefficients, len(data.names))
    # Rough values from the data only set the units of the sampler; the posterior does not depend on them.
    spread = spread_beyond_error(data.y, data.v, data.X)
    space = coefficient_space(data.y, data.v + spread.sd**2, data.X, coefficients)
    c = len(data.slots)
    # Transforms keep every variable in its range, so PyMC's checks would only cost time at each step.
    with pm.Model(check_bounds=False) as model:
        beta = space.add(coefficients)
        sds = partial(add_standard_deviations, start=spread.sd, zero_is_near=spread.zero_is_near)
        # The kernel wants one sd at least; held at 0 it makes the two-level model.
        between = sds("between", priors.between if c else Fixed(0.0), max(c, 1))
        within = sds("within", priors.within, 1)
        partials = correlation_partials("partial", lkj_shapes(c, priors.eta))
        pm.Potential(
            "loglik", add_likelihood(multilevel_loglik, [beta, between, partials, within], _inputs(data, exchange))
        )
    report = _Report(data, priors, space)
    return SampledModel(
        "multilevel" if c else "two-level",
        model,
        report.quantities,
        _method(data),
        priors.records(data.names, c),
        data.notes,
    )


def parameter_labels(data: MultilevelData, coefficients: Mapping[str, Text]) -> dict[str, Text]:
    """What each parameter of the posterior is, by its name, for reports; `coefficients` words those of the design."""
    slots, means = data.slots, data.names[: len(data.slot_of_mean)]
    labels: dict[str, Text] = dict(coefficients)
    labels |= {"within": "sd_within_samples"} if slots else {"tau": "sd_of_true_effects"}
    for name, what in (("between", "sd_between_samples"), ("total", "sd_between_and_within_samples")):
        # One deviation for all cells is of no cell, and neither is its label.
        labels |= {_of_slot(name, s, slots): of(coefficients[s], what) if len(slots) > 1 else what for s in slots}
    for i, j in lower_pairs(len(slots)):
        pair = {"a": coefficients[slots[j]], "b": coefficients[slots[i]]}
        labels[_of_pair(slots, i, j)] = Label("correlation_of_deviations", pair)
    new = "true_effect_in_a_new_sample"
    return labels | {f"new[{m}]": of(coefficients[m], new) if len(means) > 1 else new for m in means}


def _of_slot(name: str, slot: str, slots: tuple[str, ...]) -> str:
    return name if len(slots) == 1 else f"{name}[{slot}]"


def _of_pair(slots: tuple[str, ...], i: int, j: int) -> str:
    return f"rho[{slots[j]}, {slots[i]}]"


def _inputs(data: MultilevelData, exchange: bool) -> list[Any]:
    """The data as the kernel takes them; `y` is shared where other effects shall need no new compilation."""
    from pytensor import shared

    # What is shared takes a tenth longer to compile, for the code that unpacks it at each step.
    y = shared(data.y, name="y", shape=data.y.shape) if exchange else data.y
    return [y, data.X, data.V, data.start, data.sample, data.slot]


def _method(data: MultilevelData) -> dict[str, str]:
    structure = {0: "none", 1: "one deviation a sample"}.get(len(data.slots), "a correlated deviation a cell")
    return {
        "between samples": structure,
        "within samples": "one sd",
        "effects": "integrated out",
        "sampler": "NUTS (nutpie)",
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Report:
    """From draws of the sampled variables to the quantities shown."""

    data: MultilevelData
    priors: MultilevelPriors
    space: CoefficientSpace

    def quantities(self, values: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
        """Coefficients, sds, correlations, and the effect in a new sample."""
        beta = self.space.read(values)
        shape, slots = beta.shape[:2], self.data.slots
        shown = {name: beta[..., j] for j, name in enumerate(self.data.names)}
        total = within = _sds(values, "within", self.priors.within, 1, shape)
        if slots:
            between = _sds(values, "between", self.priors.between, len(slots), shape)
            # Sds are drawn up to their sign: squares and absolute values are all that is read of them.
            total = np.sqrt(between**2 + within**2)
            shown |= _named("between", between, slots, self.priors.between)
            shown |= _named("within", within, ("",), self.priors.within)
            shown |= _named("total", total, slots)
            shown |= _correlations(values, between, slots)
        else:
            shown |= _named("tau", within, ("",), self.priors.within)
        for j, slot in enumerate(self.data.slot_of_mean):
            shown[f"new[{self.data.names[j]}]"] = rng.normal(beta[..., j], np.abs(total[..., slot]))
        return shown


def _sds(values: Mapping[str, Array], name: str, prior: PositivePrior, n: int, shape: tuple[int, ...]) -> Array:
    """Draws of sds, up to their sign `(chains, draws, n)`."""
    return np.full((*shape, n), prior.value) if isinstance(prior, Fixed) else values[name]


def _named(name: str, sds: Array, slots: tuple[str, ...], prior: PositivePrior | None = None) -> dict[str, Array]:
    """Sds by name; nothing where they are known."""
    if isinstance(prior, Fixed):
        return {}
    return {_of_slot(name, slot, slots): np.abs(sds[..., j]) for j, slot in enumerate(slots)}


def _correlations(values: Mapping[str, Array], between: Array, slots: tuple[str, ...]) -> dict[str, Array]:
    if "partial" not in values:
        return {}
    # PyMC draws beta in (0, 1); 2 B - 1 is the partial correlation, as in the model.
    rho = unsigned_correlations(between, correlation_draws(2.0 * values["partial"] - 1.0, len(slots)))
    return {_of_pair(slots, i, j): rho[..., i, j] for i, j in lower_pairs(len(slots))}

"""Posteriors, exact and sampled, as arviz `InferenceData` that can be saved and read by other programs.

Apart from `joint_draws`, because the results of findings rest on that and on nothing that samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from replication.errors import UserError
from replication.lazily import missing_extra
from replication.models.bayes.exact.nested import NestedPosterior
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.joint_draws import CHAINS, EXACTLY, draw_exact
from replication.models.bayes.sampled.diagnostics import SampledPosterior

__all__ = ["inference_data"]


def inference_data(
    posterior: ExactPosterior | NestedPosterior | SampledPosterior, *, draws: int = 1000, seed: int = 2024
) -> Any:
    """Joint draws as arviz `InferenceData`: `posterior` of (chain, draw), `observed_data` where known, and attributes.

    Parameters
    ----------
    posterior : exact, drawn here in `CHAINS` parts of `draws` independent draws; or sampled, with the draws it has
    draws, seed : for exact posteriors; the seed stands in the attributes

    `to_netcdf(path)` of the result saves it, `arviz.from_netcdf` reads it back.

    Raises `UserError` where arviz is not installed.
    """
    try:
        import arviz
    except ModuleNotFoundError as error:
        raise UserError(missing_extra(error)) from None
    if isinstance(posterior, SampledPosterior):
        names = [parameter.name for parameter in posterior.parameters]
        values = {name: posterior.draws[:, :, i] for i, name in enumerate(names)}
        said = {"drawn_by": "NUTS (nutpie)", "seed": posterior.settings.seed, "model": posterior.model}
        return arviz.from_dict(posterior=values, posterior_attrs={**said, **posterior.method})
    found = draw_exact(posterior, CHAINS * draws, np.random.default_rng(seed))
    values = {name: column.reshape(CHAINS, draws) for name, column in found.values.items()}
    said = {"drawn_by": EXACTLY, "seed": seed, "kept": found.kept, "numerical_error": posterior.accuracy.error}
    if isinstance(posterior, NestedPosterior):  # it holds sums over its rows, and not the rows
        priors = {f"prior of {name}": str(prior) for name, prior in posterior.priors.items()}
        return arviz.from_dict(posterior=values, posterior_attrs={**said, **priors})
    return arviz.from_dict(
        posterior=values,
        observed_data={"effect": posterior.data.y},
        posterior_attrs={**said, **posterior.method},
    )

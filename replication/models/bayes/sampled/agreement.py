"""Exact and sampled posteriors of the same model, number by number: do they differ by more than Monte Carlo error?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from replication.errors import ModelError
from replication.models.bayes.exact.marginals import Marginal
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.sampled.diagnostics import Parameter, SampledPosterior

__all__ = ["LIMIT", "AgreementRow", "compare_with_exact"]

# Differences up to this many Monte Carlo standard errors agree: in a table of 30 numbers, chance alone goes beyond it
# once in 500 tables (normal errors).
LIMIT = 4.0

Quantity = Literal["mean", "sd", "quantile"]


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """One number of one parameter: exact, sampled, and the sampled one's Monte Carlo standard error.

    `quantity` is the mean, the sd or the quantile at `probability` (None for the others).
    """

    parameter: str
    quantity: Quantity
    exact: float
    sampled: float
    mcse: float
    probability: float | None = None

    @property
    def z(self) -> float:
        """The difference in Monte Carlo standard errors; NaN where the exact value does not exist."""
        return (self.sampled - self.exact) / self.mcse

    @property
    def agrees(self) -> bool:
        """Whether the difference is one that chance explains."""
        return bool(abs(self.z) <= LIMIT)


def compare_with_exact(exact: ExactPosterior, sampled: SampledPosterior) -> tuple[AgreementRow, ...]:
    """Means, sds and quantiles of every coefficient and sd of `exact`, beside those of `sampled`.

    Parameters are matched by name. What the exact posterior does not have (the mean under heavy tails) is left out.

    Raises
    ------
    ModelError
        The sampled model lacks a parameter of the exact one: they are not the same model.
    """
    known = {p.name: p for p in sampled.parameters}
    marginals = {name: exact.coefficient(name) for name in exact.names} | {name: exact.sd(name) for name in exact.sds}
    # The sampled model may have more (new samples, totals); only what the exact one has can be compared.
    missing = [name for name in marginals if name not in known]
    if missing:
        raise ModelError(f"the sampled model has no {', '.join(missing)}: compare posteriors of one model.")
    return tuple(row for name, marginal in marginals.items() for row in _rows(marginal, known[name]))


def _rows(exact: Marginal, sampled: Parameter) -> list[AgreementRow]:
    rows = [
        AgreementRow(sampled.name, "mean", exact.mean, sampled.mean, sampled.mcse_mean),
        AgreementRow(sampled.name, "sd", exact.sd, sampled.sd, sampled.mcse_sd),
    ]
    for probability, value, mcse in sampled.quantiles:
        at = float(exact.ppf(probability))
        rows.append(AgreementRow(sampled.name, "quantile", at, value, mcse, probability))
    # A mean that does not exist still has a sampled value, which settles nowhere.
    return [row for row in rows if np.isfinite(row.exact)]

"""Priors are records: a distribution, its parameters, the reason for it and where that comes from.

Two families:

- `PositivePrior`: for a standard deviation tau >= 0 (or any quantity that cannot be negative). The density may be
  stated on tau or on tau2 (`on`); every method speaks of tau.
- `CoefficientPrior`: for a pooled effect or a slope, anywhere on the line.

An improper prior (`Power`, `Flat`) has `proper == False`: it has a density up to a constant, but no probabilities.
"""

from __future__ import annotations

from replication.models.bayes.priors.coefficient import Cauchy, CoefficientPrior, Flat, Normal, StudentT
from replication.models.bayes.priors.positive import (
    Beta,
    Exponential,
    Fixed,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    LogNormal,
    PositivePrior,
    Power,
    Table,
    Uniform,
)
from replication.models.bayes.priors.record import Prior, PriorRecord

__all__ = [
    "Beta",
    "Cauchy",
    "CoefficientPrior",
    "Exponential",
    "Fixed",
    "Flat",
    "HalfCauchy",
    "HalfNormal",
    "HalfT",
    "InverseGamma",
    "LogNormal",
    "Normal",
    "PositivePrior",
    "Power",
    "Prior",
    "PriorRecord",
    "StudentT",
    "Table",
    "Uniform",
]

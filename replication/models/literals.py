"""Every option word of the models, in one place. A bad word's error lists the good ones."""

from __future__ import annotations

from typing import Literal, get_args

from replication.errors import ModelError

__all__ = [
    "PriorScale",
    "PriorTarget",
    "PublishedScale",
    "Tau2IntervalMethod",
    "Tau2Method",
    "TestMethod",
    "check_choice",
]

# Estimators of the between-study variance tau2; EE is the common-effect model (tau2 = 0 by assumption).
Tau2Method = Literal["EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM"]

# How coefficients are tested: normal, t, Knapp-Hartung, Knapp-Hartung that never narrows.
TestMethod = Literal["z", "t", "knha", "adhoc"]

# Intervals for tau2.
Tau2IntervalMethod = Literal["qprofile", "profile", "wald"]

# The quantity a heterogeneity prior is stated on: the standard deviation or the variance.
PriorScale = Literal["tau", "tau2"]

# The scale a published estimate is printed on: correlations are moved to Fisher's z, anything else is taken as it is.
PublishedScale = Literal["r", "identity"]

# What a prior made from a published pool is about: the same average, or the mean of another setting.
PriorTarget = Literal["mean", "setting"]


def check_choice(value: str, choices: object, option: str) -> None:
    """Raise a `ModelError` unless `value` is one of the words of the `Literal` alias `choices`.

    >>> check_choice("REML", Tau2Method, "method")
    """
    words = get_args(choices)
    if value not in words:
        raise ModelError(f"{option}={value!r} is not known; choose one of {', '.join(map(repr, words))}.")

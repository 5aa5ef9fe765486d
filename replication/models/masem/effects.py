"""Named quantities that follow from the parameters of a path model: effects and residual variances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from replication.errors import ModelError
from replication.models.fit import Array, Interval
from replication.models.masem.correlations import pair_name, unknown_names
from replication.models.masem.model_text import Jet, PathModel, variable
from replication.models.masem.ram import Structure

__all__ = ["Effect", "Quantities", "effect_by_delta", "find_effect"]


@dataclass(frozen=True, slots=True)
class Effect:
    """A named quantity with its standard error (delta method) and Wald interval."""

    name: str
    text: str
    estimate: float
    se: float
    interval: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Quantities:
    """The named quantities of a path model and their derivatives.

    The named quantities of a path model: parameters, residual variances ("enga~~enga", and the name the text gives),
    and named expressions. `chain (cells, q)` says how cells move with the q parameters called `names`.
    """

    model: PathModel
    structure: Structure
    names: tuple[str, ...]
    fixed: Array
    chain: Array

    @property
    def residuals(self) -> dict[str, str]:
        """Every name of a residual variance, with its variable."""
        named = {pair_name(variable, variable): variable for variable in self.model.explained}
        return named | {name: variable for variable, name in self.model.residual_names.items()}

    @property
    def every(self) -> tuple[str, ...]:
        """The names of all quantities."""
        return (*self.names, *self.residuals, *(effect.name for effect in self.model.effects))

    def at(self, theta: Array, name: str) -> Jet:
        """The quantity called `name` at `theta (q,)`, with its derivatives."""
        if name in self.names:
            place = self.names.index(name)
            return variable(float(theta[place]), place, len(theta))
        # Expressions may hold others: they are evaluated from within, derivatives and all.
        effect = next((e for e in self.model.effects if e.name == name), None)
        if effect is not None:
            return effect.at({part: self.at(theta, part) for part in effect.names}, len(theta))
        return self._residual(theta, self.residuals[name])

    def _residual(self, theta: Array, name: str) -> Jet:
        at = self.structure.implied((self.fixed + self.chain @ theta)[None, :])
        # NaN and no error: an interval search may step out of the model's range and must come back.
        if at is None:
            nothing = np.full(len(theta), np.nan)
            return Jet(float("nan"), nothing, np.outer(nothing, nothing))
        place = self.structure.variables.index(name)
        weight = np.eye(len(self.structure.variables))[place][None, :]
        none = np.zeros((1, len(self.structure.first)))
        hessian = self.chain.T @ self.structure.curvature(at, none, weight)[0] @ self.chain
        return Jet(float(at.psi[0, place]), at.psi_jacobian[0, place] @ self.chain, hessian)

    def select(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """The quantities asked for (all by default), or a `ModelError` that lists them."""
        unknown = [name for name in names or () if name not in self.every]
        if unknown:
            raise unknown_names(unknown, self.every, "quantities")
        return self.every if names is None else tuple(names)

    def effects(self, theta: Array, vcov: Array, level: float) -> tuple[Effect, ...]:
        """The named expressions, with delta-method standard errors."""
        return tuple(effect_by_delta(e.name, e.text, self.at(theta, e.name), vcov, level) for e in self.model.effects)

    def residual_variances(self, theta: Array, vcov: Array, level: float) -> tuple[Effect, ...]:
        """Residual variances, with delta-method standard errors."""
        return tuple(
            effect_by_delta(name, f"residual variance of {variable}", self.at(theta, name), vcov, level)
            for name, variable in self.residuals.items()
        )


def effect_by_delta(name: str, text: str, jet: Jet, vcov: Array, level: float) -> Effect:
    """The quantity with its standard error by the delta method."""
    # A parameter on its bound has a covariance of NaN, which 0 times NaN would spread to effects without it.
    moves = jet.gradient != 0
    gradient = jet.gradient[moves]
    variance = float(gradient @ vcov[np.ix_(moves, moves)] @ gradient)
    se = float(np.sqrt(variance)) if variance >= 0 else float("nan")
    half = float(special.ndtri(0.5 + level / 2.0)) * se
    return Effect(name, text, jet.value, se, Interval(jet.value - half, jet.value + half, level, "wald"))


def find_effect(effects: Sequence[Effect], name: str) -> Effect:
    """The effect called `name`."""
    for effect in effects:
        if effect.name == name:
            return effect
    raise ModelError(f"no effect {name!r}; there are {', '.join(e.name for e in effects) or 'none'}.")

"""The models that are averaged: is there an effect, heterogeneity, and which kind of publication bias?

In the spirit of RoBMA-PSMA (Bartoš, Maier, Wagenmakers, Doucouliagos & Stanley 2023): 2 x 2 x 9 models, the nine kinds
of bias being none, six step weight functions, PET and PEESE. Every prior is a record with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import product

from replication.errors import ModelError
from replication.labels import Label
from replication.models.bayes.priors.coefficient import Normal
from replication.models.bayes.priors.positive import Beta, HalfCauchy, InverseGamma, PositivePrior
from replication.models.bayes.priors.record import PriorRecord
from replication.models.options import EffectMetric, SelectionSides, SmallStudyRegressor, check_choice

__all__ = [
    "BiasModel",
    "BiasPriors",
    "CumulativeDirichlet",
    "Regression",
    "WeightFunction",
    "bias_priors",
    "psma_models",
]


@dataclass(frozen=True, slots=True)
class CumulativeDirichlet:
    """Prior of publication weights that fall with p: shares from a symmetric Dirichlet, added up from the largest p.

    The weight of the smallest p values is 1. With `alpha = 1` the others are ordered uniforms.
    """

    alpha: float
    reason: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.alpha < float("inf"):
            raise ModelError(f"cumulative Dirichlet: alpha must be a finite number of 1 or more; found {self.alpha!r}.")

    def record(self) -> PriorRecord:
        """This prior as plain data."""
        return PriorRecord("cumulative Dirichlet", {"alpha": self.alpha}, "weights", True, self.reason, self.source)


@dataclass(frozen=True, slots=True)
class WeightFunction:
    """Publication weights that change at p values `steps` (rising), two-sided or one-sided towards the effect."""

    sides: SelectionSides
    steps: tuple[float, ...]

    def __post_init__(self) -> None:
        check_choice(self.sides, SelectionSides, "sides")
        rising = all(a < b for a, b in zip((0.0, *self.steps), (*self.steps, 1.0), strict=True))
        if not self.steps or not rising:
            raise ModelError(f"steps={self.steps!r} must rise between 0 and 1, such as (0.025, 0.05).")

    @property
    def label(self) -> str:
        """Such as `two-sided .05, .10`."""
        # p values are written as journals write them, without the zero before the point.
        return f"{self.sides}-sided {', '.join(f'{s:g}'.lstrip('0') for s in self.steps)}"

    @property
    def text(self) -> Label:
        """The same for a report, which words it in its language."""
        steps = tuple(Label("short_number", {"x": step}) for step in self.steps)
        return Label(f"weights_{self.sides}_sided", {"steps": steps})


@dataclass(frozen=True, slots=True)
class Regression:
    """Effects that grow with the standard error (PET) or the sampling variance (PEESE)."""

    on: SmallStudyRegressor

    @property
    def label(self) -> str:
        """PET or PEESE."""
        return self.on

    @property
    def text(self) -> str:
        """The key of its name in reports."""
        return self.on.lower()


Bias = WeightFunction | Regression | None


@dataclass(frozen=True, slots=True)
class BiasModel:
    """One of the averaged models, with its prior probability."""

    effect: bool
    heterogeneity: bool
    bias: Bias
    probability: float

    @property
    def label(self) -> str:
        """What is in the model."""
        bias = "no bias" if self.bias is None else self.bias.label
        return f"{'effect' if self.effect else 'no effect'}, {'tau' if self.heterogeneity else 'no tau'}, {bias}"

    @property
    def text(self) -> Label:
        """The same for a report, which words it in its language."""
        parts = {
            "effect": "with_effect" if self.effect else "without_effect",
            "tau": "with_tau" if self.heterogeneity else "without_tau",
            "bias": "without_bias" if self.bias is None else self.bias.text,
        }
        return Label("model_averaged", parts)


ANY_SHARE = Beta(1.0, 1.0, reason="how much of tau2 lies between clusters is not known beforehand")


@dataclass(frozen=True, slots=True)
class BiasPriors:
    """The priors of what a model contains: pooled effect, tau, PET and PEESE slopes, publication weights.

    `share` is that of the part of tau2 that lies between clusters; it is used where effects are clustered.
    """

    name: str
    effect: Normal
    tau: PositivePrior
    pet: PositivePrior
    peese: PositivePrior
    weights: CumulativeDirichlet
    share: PositivePrior = ANY_SHARE

    def records(self) -> dict[str, PriorRecord]:
        """Every prior as plain data."""
        return {f.name: getattr(self, f.name).record() for f in fields(self) if f.name != "name"}


def bias_priors(metric: EffectMetric = "z") -> BiasPriors:
    """The default priors for Fisher's z or for standardised mean differences d.

    The published defaults are stated for d. A correlation r is a d of about 2 r, and z is about r; so on z the effect
    and tau are half of theirs, the PET slope (effect per standard error) is the same and the PEESE slope (effect per
    variance) is twice theirs.

    >>> str(bias_priors("z").effect), str(bias_priors("d").effect)
    ('normal(mean=0, sd=0.5)', 'normal(mean=0, sd=1)')
    """
    check_choice(metric, EffectMetric, "metric")
    # z is about half of d, and priors that are scales move with their unit.
    unit = 1.0 if metric == "d" else 0.5
    why = "default of RoBMA-PSMA on d" + ("" if metric == "d" else ", moved to z by d = 2 z")
    source = "RoBMA 3.5.0 and 3.3.0, reference manuals (set_default_priors, check_setup); Bartoš et al. (2023)"
    unread = "in the spirit of Bartoš et al. (2023); this scale could not be read off a source"
    return BiasPriors(
        name=f"robma_psma_{metric}",
        effect=Normal(0.0, unit, reason=f"{why}: effects of any usual size, centred at none", source=source),
        tau=InverseGamma(1.0, 0.15 * unit, on="tau", reason=f"{why}: heterogeneity is not 0", source=source),
        pet=HalfCauchy(1.0, reason=f"{why}: small studies exaggerate, never the reverse", source=source),
        peese=HalfCauchy(5.0 / unit, reason="small studies exaggerate, never the reverse", source=unread),
        weights=CumulativeDirichlet(1.0, "weights fall with p, otherwise nothing is known", source),
    )


def psma_models() -> tuple[BiasModel, ...]:
    """The 36 models. Effect, heterogeneity and bias are each present with probability 1/2.

    Within bias, weight functions and regressions have half each, shared equally.

    >>> models = psma_models()
    >>> len(models), round(sum(m.probability for m in models), 12)
    (36, 1.0)
    """
    # The six weight functions of RoBMA-PSMA: two-sided, one-sided, and one-sided with a step where the sign turns.
    functions = (
        WeightFunction("two", (0.05,)),
        WeightFunction("two", (0.05, 0.1)),
        WeightFunction("one", (0.05,)),
        WeightFunction("one", (0.025, 0.05)),
        WeightFunction("one", (0.05, 0.5)),
        WeightFunction("one", (0.025, 0.05, 0.5)),
    )
    # No bias is half: each family of bias shares what is left, so that six functions do not outvote two regressions.
    kinds: list[tuple[Bias, float]] = [(None, 1 / 2)]
    kinds += [(function, 1 / 4 / len(functions)) for function in functions]
    kinds += [(Regression("PET"), 1 / 8), (Regression("PEESE"), 1 / 8)]
    present = (False, True)
    return tuple(BiasModel(e, h, bias, share / 4) for e, h, (bias, share) in product(present, present, kinds))

"""How sure a finding is, decided by rules from computed inputs: GRADE-informed, with every step and its input shown.

Called by findings. Three ideas:

1. A rule sees an `Inputs` record and thresholds from `analyses/certainty.toml`, and returns a `Decision`: a step of 0,
   -1 or -2, the name of what decided (a key of a sentence), and the numbers it decided on. No rule sees another.
2. All correlations are turned so that the estimate is positive, so each rule is written once for both signs. The
   *target* is |r| of at least .10, or the sign alone where the mean itself is below that.
3. Association and cause are two lines. The second starts low and cannot be raised by more of the same.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy import special

from replication import paths
from replication.analysis.outcome import Cell
from replication.effects.correlation import to_fisher_z
from replication.errors import DataError, first_fault

__all__ = [
    "DOMAINS",
    "GRADES",
    "BiasModel",
    "Certainty",
    "Decision",
    "Grade",
    "Inputs",
    "Part",
    "Thresholds",
    "certainty_of",
    "grade_of",
    "load_thresholds",
    "lowest",
]

Grade = Literal["very_low", "low", "moderate", "high"]
GRADES: tuple[Grade, ...] = ("very_low", "low", "moderate", "high")
DOMAINS = ("risk_of_bias", "inconsistency", "indirectness", "imprecision", "publication_bias")
WORST = -2


# A threshold without its reason cannot be loaded: every section has one.
class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str


class _Target(_Section):
    size: float


class _Start(_Section):
    association: int
    cause: int


class _Bias(_Section):
    fewest_samples: int
    missing_share: float


class _Inconsistency(_Section):
    below_target: float
    opposite: float


class _Indirectness(_Section):
    share: float
    fewest_samples: int
    place: str
    like: tuple[str, ...]
    near: tuple[str, ...]


class _Imprecision(_Section):
    fewest_samples: int
    fewest_groups: int


class _Publication(_Section):
    models: int
    fewest_samples: int


class _Cause(_Section):
    fewest_rows: int


class Thresholds(BaseModel):
    """Every threshold of the rules, with its reason and a common date."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    dated: date
    note: str
    note_nb: str
    target: _Target
    start: _Start
    risk_of_bias: _Bias
    inconsistency: _Inconsistency
    indirectness: _Indirectness
    imprecision: _Imprecision
    publication_bias: _Publication
    cause: _Cause


def load_thresholds(path: Path | None = None) -> Thresholds:
    """The thresholds of `analyses/certainty.toml` (or another file).

    Raises
    ------
    DataError
        when the file is not what it should be; the message names file, place and what was found.
    """
    return _read_thresholds(path or paths.analyses_dir() / "certainty.toml")


@lru_cache(maxsize=8)
def _read_thresholds(file: Path) -> Thresholds:
    try:
        return Thresholds.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file.name} cannot be read: {error}; restore it from the repository") from None
    except ValidationError as error:
        raise DataError(first_fault(file.name, error)) from None


@dataclass(frozen=True, slots=True)
class Part:
    """The estimate among some of the rows, in r: how many samples, the mean and its interval (1)."""

    samples: int
    centre: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BiasModel:
    """One model of publication bias: whether it may be read (`adequate`), its mean in r and its interval."""

    name: str
    adequate: bool
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the rules look at, all of it computed. Correlations in r; `spread` is the sd of true sample means on z.

    `groups` are independent groups at the outermost level; `countries` the known ones. `different` are rows of
    different informants, `direct` rows of measures of a relationship, `open` the open data; None where there are none.
    `indirect_share` is the share of samples with indirect measures only. `missing` is the median share of missing
    answers, NaN where none is recorded. `adjusted` and `lagged` count rows that say more about cause.
    """

    centre: float
    low: float
    high: float
    spread: float
    samples: int
    groups: int
    countries: tuple[str, ...]
    different: Part | None
    direct: Part | None
    indirect_share: float
    missing: float
    published: int
    models: tuple[BiasModel, ...]
    open: Part | None
    adjusted: int = 0
    lagged: int = 0

    @property
    def sign(self) -> float:
        """+1 or -1: the sign of the estimate."""
        return -1.0 if self.centre < 0 else 1.0


@dataclass(frozen=True, slots=True)
class Decision:
    """One domain: the step down, the key of the sentence that says what decided, and the numbers it decided on."""

    domain: str
    step: int
    because: str
    values: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Certainty:
    """The grade of a claim: where it started, each domain's decision, and their sum; `target` is the size aimed at."""

    start: int
    decisions: tuple[Decision, ...]
    target: float

    @property
    def total(self) -> int:
        """Start plus all steps, before it is cut to the range of grades."""
        return self.start + sum(decision.step for decision in self.decisions)

    @property
    def grade(self) -> Grade:
        """The word for it."""
        return grade_of(self.total)

    def step(self, domain: str) -> int:
        """The step of one domain."""
        return next(d.step for d in self.decisions if d.domain == domain)


def grade_of(total: int) -> Grade:
    """The grade of a sum of start and steps, cut to very low (1) ... high (4).

    >>> grade_of(3), grade_of(-1)
    ('moderate', 'very_low')
    """
    # Steps may sum to less than very low: GRADE has no word below it.
    return GRADES[min(max(total, 1), 4) - 1]


def lowest(grades: Iterable[Grade]) -> Grade:
    """The lowest of several grades: a chain is no surer than its weakest link."""
    return min(grades, key=GRADES.index)


def certainty_of(
    inputs: Inputs, thresholds: Thresholds | None = None, target: float | None = None
) -> tuple[Certainty, Certainty]:
    """The certainty that the two sides go together, and that the one changes the other.

    `target` holds the size aimed at, where inputs are varied; by default it follows from the mean.
    """
    t = thresholds or load_thresholds()
    if target is None:
        # Of a mean below the target nobody claims the size; what is left to be sure of is the sign.
        target = t.target.size if abs(inputs.centre) >= t.target.size else 0.0
    rules = (_risk_of_bias, _inconsistency, _indirectness, _imprecision, _publication_bias)
    association = Certainty(t.start.association, tuple(rule(inputs, t, target) for rule in rules), target)
    return association, Certainty(t.start.cause, (_cause(inputs, t, association.grade),), target)


def _risk_of_bias(inputs: Inputs, t: Thresholds, target: float) -> Decision:
    rule, part = t.risk_of_bias, inputs.different
    missing = inputs.missing > rule.missing_share
    values: dict[str, Cell] = {"missing": None if np.isnan(inputs.missing) else inputs.missing}
    if part is None or part.samples < rule.fewest_samples:
        # Without a second informant shared reporting cannot be ruled out: the doubt costs a step, whatever r is.
        values["samples"] = 0 if part is None else part.samples
        return _decision("risk_of_bias", -1 - missing, "few", values)
    turned = inputs.sign * part.centre
    values |= {"samples": part.samples, "r": part.centre, "low": part.low, "high": part.high, "target": target}
    # The estimate where two informants report is free of what one informant adds to both sides.
    step, because = (-2, "opposite") if turned <= 0 else (-1, "short") if turned < target else (0, "holds")
    return _decision("risk_of_bias", step - missing, because, values)


def _inconsistency(inputs: Inputs, t: Thresholds, target: float) -> Decision:
    # Of two samples the spread is a guess; written so that NaN counts as unknown too.
    if inputs.samples < 3 or not inputs.spread >= 0:
        return _decision("inconsistency", -1, "few", {"samples": inputs.samples})
    # On z, where true means are taken to be normal; target and zero move with it.
    centre = to_fisher_z(abs(inputs.centre))
    short, opposite = (_below(float(centre - to_fisher_z(edge)), inputs.spread) for edge in (target, 0.0))
    values: dict[str, Cell] = {"short": short, "opposite": opposite, "target": target, "spread": inputs.spread}
    if opposite > t.inconsistency.opposite:
        return _decision("inconsistency", -2, "opposite", values)
    if short > t.inconsistency.below_target:
        return _decision("inconsistency", -1, "short", values)
    return _decision("inconsistency", 0, "holds", values)


def _below(distance: float, spread: float) -> float:
    """Share of true sample means further than `distance` below their mean."""
    return float(distance < 0) if spread == 0 else float(special.ndtr(-distance / spread))


def _indirectness(inputs: Inputs, t: Thresholds, target: float) -> Decision:
    rule, part = t.indirectness, inputs.direct
    # Indirect measures do no harm where direct ones alone reach the target.
    enough = part is not None and part.samples >= rule.fewest_samples and inputs.sign * part.centre >= target
    measures = inputs.indirect_share > rule.share and not enough
    # Like the place or near it, by a list with its reason: no distance between countries is computed.
    near = [c for c in inputs.countries if c in rule.like or c in rule.near]
    values: dict[str, Cell] = {
        "share": inputs.indirect_share,
        "r": None if part is None else part.centre,
        "direct_samples": 0 if part is None else part.samples,
        "countries": len(inputs.countries),
        "near": len(near),
        "names": ", ".join(near),
    }
    step = -int(measures) - int(not near)
    because = {(False, False): "holds", (True, False): "measures", (False, True): "countries", (True, True): "both"}
    return _decision("indirectness", step, because[measures, not near], values)


def _imprecision(inputs: Inputs, t: Thresholds, target: float) -> Decision:
    # Turned to the estimate's side, the end nearer to zero is the lower one for either sign.
    low = min(inputs.sign * inputs.low, inputs.sign * inputs.high)
    # An interval of few samples is narrow by luck as easily as by agreement.
    few = inputs.samples < t.imprecision.fewest_samples or inputs.groups < t.imprecision.fewest_groups
    values: dict[str, Cell] = {
        "low": inputs.low,
        "high": inputs.high,
        "target": target,
        "samples": inputs.samples,
        "groups": inputs.groups,
    }
    # An interval over zero is the worse of the two: it leaves the direction open, not the size alone.
    if low <= 0:
        return _decision("imprecision", -2, "zero", values)
    if low < target:
        return _decision("imprecision", -1, "target", values)
    return _decision("imprecision", -int(few), "few" if few else "holds", values)


def _publication_bias(inputs: Inputs, t: Thresholds, target: float) -> Decision:
    rule, sign = t.publication_bias, inputs.sign
    adequate = [m for m in inputs.models if m.adequate]
    # with the sign alone as target a model crosses when its interval reaches zero
    crossing = [m for m in adequate if min(sign * m.low, sign * m.high) < max(target, 1e-12)]
    open_ = inputs.open
    cleared = (
        open_ is not None
        and open_.samples >= rule.fewest_samples
        and min(sign * open_.low, sign * open_.high) >= max(target, 1e-12)
    )
    values: dict[str, Cell] = {
        "adequate": len(adequate),
        "crossing": len(crossing),
        "published": inputs.published,
        "target": target,
        "open": None if open_ is None else open_.centre,
        "open_low": None if open_ is None else open_.low,
        "open_high": None if open_ is None else open_.high,
    }
    if not inputs.published:
        return _decision("publication_bias", 0, "open_only", values)
    # One model alone may fail on its own assumptions: it takes several to suspect, and several to acquit.
    suspected, judged = len(crossing) >= rule.models, len(adequate) >= rule.models
    # Open data were selected by nobody: if they alone reach the target, bias in print cannot explain it.
    if (suspected or not judged) and cleared:
        return _decision("publication_bias", 0, "cleared" if suspected else "not_judged", values)
    if suspected:
        return _decision("publication_bias", -1, "crossing", values)
    return _decision("publication_bias", 0 if judged else -1, "holds" if judged else "unknown", values)


def _cause(inputs: Inputs, t: Thresholds, association: Grade) -> Decision:
    both, more = min(inputs.adjusted, inputs.lagged) >= t.cause.fewest_rows, inputs.adjusted + inputs.lagged
    # A cause cannot be surer than the association it would explain.
    unsure = association in ("low", "very_low")
    values: dict[str, Cell] = {"adjusted": inputs.adjusted, "lagged": inputs.lagged}
    return _decision("cause", -int(not both) - int(unsure), "some" if more else "none", values)


def _decision(domain: str, step: int, because: str, values: Mapping[str, Cell]) -> Decision:
    # Two steps is the most a GRADE domain takes; a sum of reasons within one stops there.
    return Decision(domain, max(step, WORST), because, values)

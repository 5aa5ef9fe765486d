"""Conceptual replications: the question of a cited study, asked of an open file (`conceptual.toml`).

A record says what is the same as in the study and what differs, which columns of the file stand for what, and which
model is fitted. What comes out is stored in `conceptual.csv` as computed here, never as the study's own.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from replication.dataset.recipes import Condition, Filled, Measure, Recipe, StrictRecord

__all__ = ["BAYESIAN", "Agreement", "ConceptualFile", "ConceptualRecord", "Expected", "agreement"]

BAYESIAN = ", Bayesian model"
"""What follows the name of a term that was estimated by the Bayesian model."""

Agreement = Literal["agrees", "opposite", "inconclusive", ""]
"""Whether a result points where the study's does; empty where nothing is expected. It is never a MATCH."""


def agreement(expected: str, low: float, high: float) -> Agreement:
    """What an interval says of an expected sign: it excludes zero on that side, on the other, or not at all.

    >>> agreement("-", -0.4, -0.1), agreement("-", 0.1, 0.4), agreement("-", -0.1, 0.2), agreement("", 0.1, 0.2)
    ('agrees', 'opposite', 'inconclusive', '')
    """
    if expected not in ("+", "-"):
        return ""
    # By the interval and not by the estimate: a sign that zero could undo is no agreement.
    if low > 0:
        return "agrees" if expected == "+" else "opposite"
    if high < 0:
        return "agrees" if expected == "-" else "opposite"
    return "inconclusive"


class Expected(StrictRecord):
    """The sign a term should have if the study's own result held here, from which of its directions, and why."""

    term: Filled
    sign: Literal["+", "-"]
    outcome: str = ""
    directions: list[Filled] = Field(min_length=1)
    why: Filled


class ConceptualRecord(StrictRecord):
    """One open file set against one study's question.

    `outcome`, `predictor`, `moderator`, `controls`, `climate` and `earlier` name measures of this record.

    - moderation: outcome on predictor, moderator and their product; on the raw scale and on that of `link`.
    - roles: outcome is the measure of bullying others and that of being bullied; a pupil at or above the cut on one or
      both has the role; multinomial logit on the predictor within the class, its class mean and that of `climate`.
    - lagged: a later outcome on an earlier predictor, with and without the `earlier` outcome.
    """

    id: Filled
    question: Filled
    same: list[Filled] = Field(min_length=1)
    differs: list[Filled] = Field(min_length=1)
    model: Literal["moderation", "roles", "lagged"]
    source: Filled
    file: list[Filled] = Field(min_length=1)
    outcome: list[Filled] = Field(min_length=1, max_length=2)
    predictor: Filled
    moderator: str = ""
    climate: str = ""
    earlier: str = ""
    controls: list[Filled] = Field(default_factory=list)
    link: Literal["log", "logit", "identity"] = "identity"
    cuts: list[float | int] = Field(default_factory=list)
    weight: str = ""
    cluster: list[Filled] = Field(default_factory=list)
    missing: list[str | float | int] = Field(default_factory=list)
    codes: dict[str, dict[str, float | int]] = Field(default_factory=dict)
    where: list[Condition] = Field(default_factory=list)
    measure: list[Measure] = Field(min_length=2)
    expects: list[Expected] = Field(default_factory=list)
    verified: Filled

    @model_validator(mode="after")
    def _can_be_fitted(self) -> ConceptualRecord:
        known = {measure.measure for measure in self.measure}
        named = [*self.outcome, self.predictor, self.moderator, self.climate, self.earlier, *self.controls]
        for name in named:
            if name and name not in known:
                raise ValueError(f'"{name[:60]}" is no measure of this record')
        if self.model == "moderation" and not self.moderator:
            raise ValueError("a moderation needs moderator = a measure")
        if self.model == "moderation" and self.link == "logit" and len(self.cuts) != 1:
            raise ValueError("a logit needs one cut: from where on the outcome counts as high")
        if self.model == "roles" and not (len(self.outcome) == 2 and self.climate and self.cluster and self.cuts):
            raise ValueError("roles need two outcomes (bullying others, being bullied), climate, cluster and cuts")
        if self.model == "lagged" and not self.earlier:
            raise ValueError("a lagged model needs earlier = the outcome's earlier measure")
        return self

    def expected(self, outcome: str, term: str) -> Expected | None:
        """What is expected of a term for an outcome, by whichever model; None where the study says nothing."""
        # The expectation is about the term, whichever model estimated it.
        plain = term.removesuffix(BAYESIAN)
        return next((e for e in self.expects if e.term == plain and e.outcome in ("", outcome)), None)

    @property
    def recipe(self) -> Recipe:
        """The columns and their coding, as a recipe reads them."""
        return Recipe(
            sample=self.id,
            source=self.source,
            file=self.file,
            weight=self.weight,
            cluster=self.cluster,
            missing=self.missing,
            codes=self.codes,
            where=self.where,
            measure=self.measure,
            verified=self.verified,
        )


class ConceptualFile(StrictRecord):
    """`conceptual.toml`."""

    conceptual: list[ConceptualRecord]

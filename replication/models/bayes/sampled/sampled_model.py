"""From a PyMC model to a posterior or a failure with reasons: draw, summarise, judge, and try harder once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from replication.errors import ModelError
from replication.labels import Label
from replication.models.bayes.priors.record import PriorRecord
from replication.models.bayes.sampled.diagnostics import Failed, Gate, SampledPosterior, diagnose, judge
from replication.models.bayes.sampled.sampling import Draws, Settings, compile_model, draw
from replication.models.fit import Array, Note

__all__ = ["SampledModel", "sample_model"]


@dataclass(frozen=True, slots=True, eq=False)
class SampledModel:
    """A PyMC model with the names and transforms of its parameters.

    `report` turns the drawn variables into the quantities shown, each `(chains, draws)`; what it draws itself
    (a new sample, say) comes from the generator it is given.
    """

    name: str
    model: Any
    report: Callable[[Mapping[str, Array], np.random.Generator], Mapping[str, Array]]
    method: Mapping[str, str]
    priors: Mapping[str, PriorRecord]
    notes: tuple[Note, ...] = ()


def sample_model(
    spec: SampledModel,
    settings: Settings,
    gate: Gate = Gate(),  # noqa: B008  (frozen)
    *,
    compiled: Any = None,
) -> SampledPosterior | Failed:
    """Draw until the gate is passed or the attempts are used up; `compiled` saves compiling the model again."""
    ready = compile_model(spec.model) if compiled is None else compiled
    tried, notes = settings, spec.notes
    # The seed stays the same: a retry differs by its settings, not by luck.
    outcome = _attempt(spec, ready, tried, gate, notes)
    for number in range(1, settings.attempts):
        if isinstance(outcome, SampledPosterior):
            break
        notes = (*notes, Note("retried", f"attempt {number} failed: {outcome.why}"))
        tried = tried.harder()
        outcome = _attempt(spec, ready, tried, gate, notes)
    return outcome


def _attempt(
    spec: SampledModel, compiled: Any, settings: Settings, gate: Gate, notes: tuple[Note, ...]
) -> SampledPosterior | Failed:
    try:
        draws = draw(compiled, settings)
    except ModelError as error:
        stopped = Note("stopped", str(error), label=Label("sampler_stopped", {"why": str(error)}))
        return Failed(spec.name, spec.method, (stopped,), None, settings, spec.priors, notes)
    return _judged(spec, draws, settings, gate, notes)


def _judged(
    spec: SampledModel, draws: Draws, settings: Settings, gate: Gate, notes: tuple[Note, ...]
) -> SampledPosterior | Failed:
    # A generator of its own, so that new samples are the same whatever nutpie drew before.
    shown = spec.report(draws.values, np.random.default_rng(settings.seed))
    parameters = tuple(diagnose(name, values) for name, values in shown.items())
    diagnostics = judge(parameters, draws, gate)
    if diagnostics.reasons:
        return Failed(spec.name, spec.method, diagnostics.reasons, diagnostics, settings, spec.priors, notes)
    values = np.stack(list(shown.values()), axis=-1)
    return SampledPosterior(spec.name, spec.method, parameters, diagnostics, settings, spec.priors, notes, values)

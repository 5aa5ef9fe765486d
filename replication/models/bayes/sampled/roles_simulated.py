"""SIMULATED bullying roles: students drawn from stated values, to see whether the model finds those values again.

Nothing here is about real students. No micro-data of Thornberg et al. (2022) are public; only the numbers of students
and classes are theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from replication.errors import ModelError
from replication.models.bayes.sampled.diagnostics import Failed
from replication.models.bayes.sampled.roles import probabilities, sample_roles
from replication.models.bayes.sampled.roles_data import (
    CONTRASTS,
    PREDICTORS,
    REFERENCE,
    RolesData,
    class_sd_of,
    roles_data,
    slope_of,
)
from replication.models.bayes.sampled.sampling import Settings
from replication.models.fit import Array

__all__ = [
    "SimulatedRecovery",
    "SimulatedTruth",
    "recover_simulated_roles",
    "simulated_roles",
    "simulated_students",
    "simulated_truth",
]


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedTruth:
    """The values simulated roles are drawn from: `slopes (3, 9)`, sds between classes `(3,)`, their `correlation`."""

    slopes: Array
    class_sd: Array
    correlation: float

    def named(self) -> dict[str, float]:
        """The true values under the names the posterior has."""
        slopes = {
            slope_of(role, name): float(self.slopes[a, j])
            for a, role in enumerate(CONTRASTS)
            for j, name in enumerate(PREDICTORS)
        }
        return slopes | {class_sd_of(role): float(sd) for role, sd in zip(CONTRASTS, self.class_sd, strict=True)}


@dataclass(frozen=True, slots=True)
class SimulatedRow:
    """One value of a simulated study: what it was, what the posterior says, and whether its 95 % interval holds it."""

    name: str
    truth: float
    mean: float
    sd: float
    low: float
    high: float

    @property
    def covered(self) -> bool:
        """Whether the central 95 % interval holds the true value."""
        return self.low <= self.truth <= self.high


@dataclass(frozen=True, slots=True)
class SimulatedRecovery:
    """All values of one simulated study, and how it was drawn."""

    students: int
    classes: int
    seed: int
    rows: tuple[SimulatedRow, ...]

    @property
    def coverage(self) -> float:
        """The share of true values inside their 95 % interval."""
        return sum(row.covered for row in self.rows) / len(self.rows)


def simulated_truth() -> SimulatedTruth:
    """Stated values, chosen here: relationship quality and climate lower every role, boys bully more, and so on.

    Intercepts near -3, -2 and -3.5 make about one student in five take a role. No value is an estimate of anything.
    """
    slopes = np.array(
        [
            [-3.0, -0.5, -0.6, 0.2, 0.0, 0.1, -0.2, 0.0, 0.0],
            [-2.0, -0.4, 0.1, -0.2, -0.1, 0.2, 0.0, -0.3, -0.1],
            [-3.5, -0.7, -0.4, 0.0, -0.1, 0.3, -0.1, -0.4, 0.0],
        ]
    )
    return SimulatedTruth(slopes, np.array([0.5, 0.4, 0.6]), 0.3)


def simulated_students(students: int, classes: int, rng: np.random.Generator) -> dict[str, Array]:
    """Simulated predictors of students in classes of near equal size, under the names `roles_data` takes."""
    if classes < 2 or students < 2 * classes:
        raise ModelError(f"{students} simulated students in {classes} classes: use at least 2 classes of at least 2.")
    class_id = np.sort(np.arange(students) % classes)

    def mixed(between: float) -> Array:
        # Total variance 1, `between` of it between classes: the argument is the intraclass correlation.
        shared = rng.normal(0.0, np.sqrt(between), classes)[class_id]
        return np.asarray(shared + rng.normal(0.0, np.sqrt(1.0 - between), students))

    return {
        "class_id": class_id.astype(float),
        "relationship": 3.5 + 0.8 * mixed(0.15),
        "girl": (rng.random(students) < 0.5).astype(float),
        "age": 11.0 + 2.0 * rng.integers(0, 3, classes)[class_id] + rng.normal(0.0, 0.3, students),
        "ses": mixed(0.2),
        "immigrant": (rng.random(students) < 0.15).astype(float),
        "peer_climate": 3.8 + 0.7 * mixed(0.25),
    }


def simulated_roles(truth: SimulatedTruth, students: int, classes: int, rng: np.random.Generator) -> RolesData:
    """A simulated study: predictors, class deviations and roles drawn from `truth`."""
    columns = simulated_students(students, classes, rng)
    words = np.array([REFERENCE, *CONTRASTS], dtype=object)
    # Stand-in roles: the design is needed to draw the true ones, and the check wants every role to occur.
    data = roles_data(role=words[np.arange(students) % 4], **columns)
    matrix = np.full((3, 3), truth.correlation) + (1.0 - truth.correlation) * np.eye(3)
    u = rng.normal(size=(classes, 3)) @ np.linalg.cholesky(matrix).T * truth.class_sd
    chances = probabilities(data.X @ truth.slopes.T + u[data.group])
    role = (rng.random(students)[:, None] > np.cumsum(chances, axis=1)).sum(axis=1)
    # Probabilities may sum to a hair below 1, and a draw can fall into the gap.
    return replace(data, role=np.minimum(role, 3).astype(np.int64))


def recover_simulated_roles(
    truth: SimulatedTruth,
    students: int,
    classes: int,
    settings: Settings,
    *,
    compile_dir: Path | None = None,
) -> SimulatedRecovery | Failed:
    """Simulate one study, fit it, and set every stated value beside its posterior.

    Parameters
    ----------
    truth
        The values to draw from, such as `simulated_truth()`.
    students, classes
        The size of the simulated study; 3578 and 213 as in Thornberg et al. (2022).
    settings
        Its seed draws the study as well as the posterior.
    compile_dir
        As for `sample_multilevel`.
    """
    rng = np.random.default_rng(settings.seed)
    fit = sample_roles(simulated_roles(truth, students, classes, rng), None, settings, compile_dir=compile_dir)
    if isinstance(fit, Failed):
        return fit
    rows = []
    for name, value in truth.named().items():
        found = fit.parameter(name)
        rows.append(SimulatedRow(name, value, found.mean, found.sd, found.quantile(0.025), found.quantile(0.975)))
    return SimulatedRecovery(students, classes, settings.seed, tuple(rows))

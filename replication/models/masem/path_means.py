"""Expected correlations of every study under a path model whose parameters may depend on study-level moderators.

The cell values of study i are `fixed + sum_q map_iq theta_q`: a moderated parameter has an intercept and a slope, and
the slope enters the cells of study i multiplied by its moderator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.masem.correlations import unknown_names
from replication.models.masem.likelihood import Mean
from replication.models.masem.model_text import PathModel
from replication.models.masem.ram import Implied, Structure

__all__ = ["Moderation", "PathMeans", "moderation", "path_means"]


@dataclass(frozen=True, slots=True, eq=False)
class PathMeans:
    """Implied correlations of k studies: `chain (k, cells, m)` maps the m parameters to the cells of each study."""

    structure: Structure
    chain: Array

    @property
    def size(self) -> int:
        return int(self.chain.shape[2])

    def implied(self, theta: Array) -> Implied | None:
        return self.structure.implied(self.structure.fixed + self.chain @ theta)

    def mean(self, theta: Array) -> Mean | None:
        at = self.implied(theta)
        if at is None or not np.isfinite(at.r).all():
            return None
        return Mean(at.r, np.matmul(at.jacobian, self.chain))

    def curvature(self, theta: Array, weights: Array) -> Array:
        at = self.implied(theta)
        assert at is not None, "curvature is asked for only where the mean exists"
        second = self.structure.curvature(at, weights)
        return np.asarray(np.einsum("kcm,kcd,kdn->mn", self.chain, second, self.chain, optimize=True))


@dataclass(frozen=True, slots=True)
class Moderation:
    """Which moderator acts on which parameter; the slope is called "enga~pos:ses"."""

    moderator: str
    parameter: str

    @property
    def name(self) -> str:
        return f"{self.parameter}:{self.moderator}"


def moderation(
    model: PathModel, moderators: Mapping[str, str | Sequence[str]], known: Sequence[str]
) -> tuple[Moderation, ...]:
    """What `moderators` asks for: for each one the parameters it acts on, or "paths", "covariances" or "all".

    Raises `ModelError` for a moderator the data do not hold or a parameter the model does not have.
    """
    groups = {
        "paths": tuple(dict.fromkeys(c.parameter for c in model.cells if c.parameter and not c.covariance)),
        "covariances": tuple(dict.fromkeys(c.parameter for c in model.cells if c.parameter and c.covariance)),
        "all": model.parameters,
    }
    found = []
    for moderator, asked in moderators.items():
        if moderator not in known:
            raise (
                unknown_names([moderator], known, "moderators")
                if known
                else ModelError(
                    f"the data hold no moderators, so {moderator!r} is not known; add it with data.with_moderators."
                )
            )
        wanted = (
            groups[asked]
            if isinstance(asked, str) and asked in groups
            else [asked]
            if isinstance(asked, str)
            else asked
        )
        unknown = [name for name in wanted if name not in model.parameters]
        if unknown:
            raise unknown_names(unknown, (*model.parameters, *groups), f"parameters for moderator {moderator!r}")
        found += [Moderation(moderator, name) for name in wanted]
    return tuple(found)


def path_means(structure: Structure, moderated: Sequence[Moderation], values: Mapping[str, Array], k: int) -> PathMeans:
    """The means of k studies, given each moderator's `values (k,)`."""
    base = structure.parameter
    slopes = [
        values[one.moderator][:, None] * base[:, structure.parameters.index(one.parameter)][None, :]
        for one in moderated
    ]
    columns = [np.broadcast_to(base, (k, *base.shape)), *(slope[:, :, None] for slope in slopes)]
    return PathMeans(structure, np.concatenate(columns, axis=2))

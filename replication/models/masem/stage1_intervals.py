"""Likelihood-based intervals of pooled correlations and of their variances between studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from replication.models.fit import Interval
from replication.models.masem.correlations import unknown_names
from replication.models.masem.expressions import variable
from replication.models.masem.intervals import likelihood_interval
from replication.models.masem.stage1 import RandomPool
from replication.models.prepare import check_level

__all__ = ["pool_intervals", "tau2_intervals"]


def pool_intervals(
    pool: RandomPool, names: Sequence[str] | None = None, *, level: float | None = None
) -> dict[str, Interval]:
    """Likelihood-based intervals of the pooled correlations (all by default, or those called `names`)."""
    return _intervals(pool, pool.fit.names, names, 0, level)


def tau2_intervals(
    pool: RandomPool, names: Sequence[str] | None = None, *, level: float | None = None
) -> dict[str, Interval]:
    """Likelihood-based intervals of the variances and covariances between studies, by the names of the components.

    An end of a variance below 0 is 0, with the reason; a variance on its bound has no interval of this kind.
    """
    components = pool.fit.components
    found = _intervals(pool, tuple(c.name for c in components), names, len(pool.fit.names), level)
    for component in components:
        if component.name not in found or "," in component.name:
            continue
        interval = found[component.name]
        if component.at_boundary:
            nothing = Interval(
                float("nan"), float("nan"), interval.level, interval.method, "the variance is on its bound"
            )
            found[component.name] = nothing
        elif not interval.low > 0:
            reason = "; ".join(r for r in (interval.reason, "the lower end is the bound of a variance") if r)
            found[component.name] = replace(interval, low=0.0, reason=reason)
    return found


def _intervals(
    pool: RandomPool, known: Sequence[str], names: Sequence[str] | None, start: int, level: float | None
) -> dict[str, Interval]:
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise unknown_names(unknown, known, "quantities")
    chosen = check_level(pool.fit.level if level is None else level)

    def of(name: str) -> Interval:
        place = start + list(known).index(name)
        return likelihood_interval(
            pool.likelihood, lambda theta: variable(float(theta[place]), place, len(theta)), pool.minimum, chosen
        )

    return {name: of(name) for name in (known if names is None else names)}

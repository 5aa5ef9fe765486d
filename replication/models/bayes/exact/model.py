"""The exact model in the units it is computed in: sampling sd 1, design columns of length 1 a row, y centred.

A Student-t prior of a coefficient is a normal whose variance has an inverse gamma prior; so its sd is one more standard
deviation to integrate over, and everything given the sds stays normal. The axes of integration are, in this order,
tau_w (within clusters; the only one of a two-level model), tau_b (between clusters) and one sd per t prior, each as
`tau = unit sinh(x)`: linear near 0, logarithmic far out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.errors import ModelError
from replication.models.bayes.exact.gaussian import Blocks, Likelihood, equilibrated, likelihood, make_blocks
from replication.models.bayes.priors.coefficient import Cauchy, CoefficientPrior, Normal, StudentT
from replication.models.bayes.priors.positive import Fixed, InverseGamma, PositivePrior
from replication.models.bayes.priors.record import LOG_2PI
from replication.models.fit import Array
from replication.models.multilevel.groups import Codes
from replication.models.multilevel.structure import BlockV

__all__ = ["EDGES", "Axis", "Conditional", "Model", "Units", "conditional", "log_joint", "make_model", "sd_axis"]

# Starting edges in x = asinh(tau / unit); the last one is tau = 1e130 units, whose square can still be computed with.
EDGES = (0.0, 1.0, 3.0, 8.0, 30.0, 300.0)
# Probabilities whose quantiles cut an axis around a narrow prior.
AROUND = np.array([1e-13, 1e-4, 0.5, 1.0 - 1e-4, 1.0 - 1e-13])
# Ratios of numbers beyond which squares and products leave the range of floating point.
LARGEST = 1e100
# Elements (cells x nodes x clusters) worked on at once: arrays that stay in the processor's cache.
CHUNK = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """One standard deviation to integrate over: its prior, its unit, and the starting edges in x (one edge: fixed)."""

    name: str
    prior: PositivePrior
    unit: float
    edges: Array

    def sd(self, x: Array) -> Array:
        """The standard deviation at `x`, in its own scale."""
        return np.asarray(self.unit * np.sinh(x), dtype=float)

    def log_prior(self, x: Array) -> Array:
        """Log prior density of `x`; 0 on a fixed axis."""
        if len(self.edges) == 1:
            return np.zeros_like(x)
        # cosh itself overflows at x = 711, far inside the range of x
        log_cosh = x + np.log1p(np.exp(-2.0 * x)) - np.log(2.0)
        return np.asarray(self.prior.logpdf(self.sd(x)) + np.log(self.unit) + log_cosh)


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """How computed numbers become the user's: `beta = (b + center) * y / columns`, taus are multiplied by `y`."""

    y: float
    columns: Array
    center: Array

    @property
    def slope(self) -> Array:
        """What one computed unit of each coefficient is `(p,)`."""
        return np.asarray(self.y / self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What is integrated: data, axes and coefficient priors, all in computed units.

    Data, axes and coefficient priors, all in computed units. `flat (p,)` marks coefficients without a prior; `mean, sd
    (p,)` are those of the normal ones; `mixed (p,)` is the axis that holds a t prior's sd, or -1.
    """

    blocks: Blocks
    axes: tuple[Axis, ...]
    units: Units
    flat: NDArray[np.bool_]
    mean: Array
    sd: Array
    mixed: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Conditional:
    """Coefficients given the sds: `mean (..., p)`, `covariance (..., p, p)`, and the log joint density `log (...)`."""

    mean: Array
    covariance: Array
    log: Array


def make_model(
    y: Array,
    V: BlockV,
    x: Array,
    cluster: Codes | None,
    *,
    sds: tuple[PositivePrior, PositivePrior],
    priors: tuple[CoefficientPrior, ...],
) -> Model:
    """Scale the data, and lay out the axes and priors; `sds` are the priors of tau_w and tau_b."""
    units = _units(y, V.variances, x, sds)
    xs = x / units.columns
    blocks = make_blocks(y / units.y - xs @ units.center, V.scaled(units.y**-2.0), xs, cluster)
    axes = [sd_axis("tau" if cluster is None else "within", sds[0], units.y), sd_axis("between", sds[1], units.y)]
    mean, sd = np.zeros(len(priors)), np.ones(len(priors))
    mixed = np.full(len(priors), -1, dtype=np.intp)
    for j, prior in enumerate(priors):
        if isinstance(prior, Normal | StudentT | Cauchy):
            mean[j] = prior.mean / units.slope[j] - units.center[j]
        if isinstance(prior, Normal):
            sd[j] = prior.sd / units.slope[j]
        elif isinstance(prior, StudentT | Cauchy):
            # given the mixing sd a t prior is normal, so all that follows stays linear algebra
            mixed[j] = len(axes)
            axes.append(_mixing_axis(j, prior, float(units.slope[j])))
    flat = np.array([not prior.proper for prior in priors], dtype=bool)
    return Model(blocks, tuple(axes), units, flat, mean, sd, mixed)


def sd_axis(name: str, prior: PositivePrior, unit: float) -> Axis:
    """The axis of a quantity that cannot be negative, cut where its prior begins, ends and has kinks."""
    low, high = prior.support()
    if isinstance(prior, Fixed):
        return Axis(name, prior, unit, np.array([np.arcsinh(low / unit)]))
    inside = [float(np.arcsinh(k / unit)) for k in prior.knots()]
    ends = [float(np.arcsinh(low / unit)), min(float(np.arcsinh(high / unit)), EDGES[-1])]
    between = [e for e in (*EDGES, *inside, *_narrow_mass(prior, unit)) if ends[0] < e < ends[1]]
    return Axis(name, prior, unit, np.unique([*ends, *between]))


def _narrow_mass(prior: PositivePrior, unit: float) -> list[float]:
    """Edges around a prior's mass where it is so narrow that no node of the usual cells might see it."""
    if not prior.proper:
        return []
    places = np.arcsinh(prior.ppf(AROUND) / unit)
    return places.tolist() if places[-2] - places[1] < 1.0 else []


def _mixing_axis(j: int, prior: StudentT | Cauchy, slope: float) -> Axis:
    """The sd of the normal that, mixed, gives a t: its variance is inverse gamma (df / 2, df scale^2 / 2)."""
    df = prior.df if isinstance(prior, StudentT) else 1.0
    scale = prior.scale / slope
    return sd_axis(f"coefficient {j}", InverseGamma(df / 2.0, df * scale**2 / 2.0, on="tau2"), scale)


def _units(y: Array, v: Array, x: Array, sds: tuple[PositivePrior, ...]) -> Units:
    columns = np.sqrt(np.mean(x**2, axis=0))
    columns = np.where(columns > 0, columns, 1.0)
    unit = _unit(y, v, x, sds)
    if not 1.0 / LARGEST < unit < LARGEST or np.max(np.abs(y), initial=0.0) > LARGEST * unit:
        raise ModelError(
            f"effects up to {np.max(np.abs(y), initial=0.0):.1e} with a typical sampling sd of {unit:.1e} cannot be "
            "computed with; check the units of y and V."
        )
    root = 1.0 / np.sqrt(v / unit**2 + 1.0)
    # the data are centred where the coefficients will be: sums of squares then keep their digits
    center = np.linalg.lstsq(x / columns * root[:, None], y / unit * root, rcond=None)[0] if x.size else np.zeros(0)
    return Units(unit, columns, np.asarray(center, dtype=float))


def _unit(y: Array, v: Array, x: Array, sds: tuple[PositivePrior, ...]) -> float:
    """The scale of the data: the typical sampling sd, else the spread of y, else the middle of a prior of tau."""
    if np.any(v > 0):
        return float(np.sqrt(np.median(v[v > 0])))
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0] if x.size else y
    spread = float(np.sqrt(np.mean(rest**2)))
    if spread > 1e-12 * float(np.max(np.abs(y))):
        return spread
    middles = [float(prior.ppf(0.5)) for prior in sds if prior.proper]
    return max([*middles, 0.0]) or 1.0


def conditional(model: Model, nodes: tuple[Array, ...]) -> Conditional:
    """Coefficients and log joint density on the grids spanned by `nodes`, one `(C, n_a)` per axis."""
    # pieces that stay in the cache are three times as fast as one large array
    step = max(1, CHUNK // max(1, _work(model, nodes)))
    parts = [_conditional(model, tuple(n[i : i + step] for n in nodes)) for i in range(0, len(nodes[0]), step)]
    return Conditional(*(np.concatenate([getattr(p, f) for p in parts]) for f in ("mean", "covariance", "log")))


def _work(model: Model, nodes: tuple[Array, ...]) -> int:
    a, b, k, m, p = nodes[0].shape[1], nodes[1].shape[1], len(model.blocks.y), len(model.blocks.starts), len(model.mean)
    mixing = int(np.prod([n.shape[1] for n in nodes[2:]], dtype=int))
    return int(a * max(k * p, b * m, m * p * p, b * mixing * p * p, k))


def log_joint(model: Model, nodes: tuple[Array, ...]) -> Array:
    """Log of likelihood times priors, coefficients integrated out, as a density of x: `(C, n_1, ..., n_d)`."""
    return conditional(model, nodes).log


def _conditional(model: Model, nodes: tuple[Array, ...]) -> Conditional:
    taus = [axis.sd(x) / model.units.y for axis, x in zip(model.axes[:2], nodes[:2], strict=True)]
    data = likelihood(model.blocks, taus[0], taus[1])
    extra = (1,) * (len(nodes) - 2)
    precision = _prior_precision(model, nodes)
    beta, A = (part.reshape(*part.shape[:3], *extra, *part.shape[3:]) for part in (data.beta, data.A))
    rss, logdet = (part.reshape(*part.shape, *extra) for part in (data.rss, data.logdet))
    given = _combine(model, Likelihood(beta, A, rss, logdet), precision)
    log = given.log
    for i, (axis, x) in enumerate(zip(model.axes, nodes, strict=True)):
        shape = [len(x), *([1] * len(nodes))]
        shape[1 + i] = x.shape[1]
        log = log + axis.log_prior(x).reshape(shape)
    return Conditional(given.mean, given.covariance, log)


def _prior_precision(model: Model, nodes: tuple[Array, ...]) -> Array:
    """Prior precision of each coefficient on the grid, 0 where flat: `(C, 1, 1, n_3, ..., n_d, p)`."""
    d, C = len(nodes), len(nodes[0])
    shape = (C, 1, 1, *(n.shape[1] for n in nodes[2:]), len(model.mean))
    out = np.broadcast_to(np.where(model.flat, 0.0, model.sd**-2.0), shape).copy()
    for j, at in enumerate(model.mixed):
        if at >= 0:
            place = [C, *([1] * d)]
            place[1 + at] = nodes[at].shape[1]
            out[..., j] = model.axes[at].sd(nodes[at]).reshape(place) ** -2.0
    return out


def _combine(model: Model, data: Likelihood, precision: Array) -> Conditional:
    """Bayes' rule for normals: data `(beta, A)` and prior `(mean, precision)`, and the log marginal density of y."""
    p = len(model.mean)
    A = data.A + precision[..., None] * np.eye(p)
    covariance, logdet = _inverse(A)
    lift = (covariance @ (precision * (model.mean - data.beta))[..., None])[..., 0]
    mean = data.beta + lift
    from_data = ((data.A @ lift[..., None])[..., 0] * lift).sum(-1)
    quad = data.rss + from_data + (precision * (mean - model.mean) ** 2).sum(-1)
    # a flat prior has no constant; Bayes factors refuse such models for that reason
    own = np.where(model.flat, 0.0, np.log(np.where(model.flat, 1.0, precision))).sum(-1)
    free, k = int(model.flat.sum()), len(model.blocks.y)
    # the change of units, so that marginal likelihoods compare with those computed elsewhere
    size = (k - free) * LOG_2PI + 2.0 * k * np.log(model.units.y) - 2.0 * np.log(model.units.slope[model.flat]).sum()
    return Conditional(mean, covariance, -0.5 * (size + data.logdet + logdet - own + quad))


def _inverse(A: Array) -> tuple[Array, Array]:
    """Inverse and log determinant of `(..., p, p)`."""
    if A.shape[-1] == 1:
        return 1.0 / A, np.log(A[..., 0, 0])
    even, root = equilibrated(A)
    inverse = np.linalg.inv(even) / root[..., :, None] / root[..., None, :]
    return np.asarray(inverse), np.asarray(np.linalg.slogdet(even)[1] + 2.0 * np.log(root).sum(-1))

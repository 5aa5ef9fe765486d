"""The printed pools that answer a question, and the prediction they make for samples they never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replication.analysis.outcome import Estimate, Figure, Table
from replication.claims import Claim
from replication.evidence.question import Evidence, sample_means
from replication.models.probability import chi2_sf, t_ppf, t_sf
from replication.models.two_level.random_effects import fit_random_effects
from replication.printed import parse_printed

__all__ = ["Prediction", "Published", "predict_samples", "published_pools", "published_table"]

NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Published:
    """A printed pool on Fisher z: its claim, mean, standard error and where the standard error comes from."""

    claim: Claim
    z: float
    se: float
    se_from: str


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A printed pool against samples it never saw: distances in standard deviations, and how they are calibrated."""

    table: Table
    figure: Figure
    estimate: Estimate
    difference: Estimate
    inside: int
    total: int


def published_pools(claims: Mapping[str, Claim], ids: Sequence[str], tau2: float) -> tuple[Published, ...]:
    """The printed pools on Fisher z. Where no interval is printed the standard error is at least sqrt(tau2 / k).

    Parameters
    ----------
    claims : all claims by id.
    ids : claims that print a pooled correlation.
    tau2 : between-sample variance on Fisher z, used where no interval is printed.
    """
    return tuple(_published(claims[claim], tau2) for claim in ids if claim in claims)


def _published(claim: Claim, tau2: float) -> Published:
    z = float(np.arctanh(parse_printed(claim.printed["value"]).value))
    if {"ci_low", "ci_high"} <= set(claim.printed):
        low, high = (float(np.arctanh(parse_printed(claim.printed[end]).value)) for end in ("ci_low", "ci_high"))
        return Published(claim, z, (high - low) / (2 * NORMAL_95), "the printed interval")
    if np.isfinite(claim.k) and claim.k > 0:
        return Published(claim, z, float(np.sqrt(tau2 / claim.k)), f"sqrt(tau2 / k) with the printed k {claim.k:g}")
    return Published(claim, z, 0.0, "not printed: taken as known, so the distances are a little too large")


def published_table(claims: Mapping[str, Claim], ids: Sequence[str], key: str) -> Table:
    """The printed numbers on a question, as they stand in the sources."""
    held = [claims[name] for name in ids if name in claims]
    rows = [
        (
            c.work,
            c.quantity,
            c.subgroup,
            c.printed["value"],
            c.printed.get("ci_low", ""),
            c.printed.get("ci_high", ""),
            c.k if np.isfinite(c.k) else None,
            c.n if np.isfinite(c.n) else None,
            c.reading,
        )
        for c in held
    ]
    columns = ("work", "quantity", "subgroup", "printed", "low", "high", "k", "n", "reading")
    return Table(
        id=f"published-{key}",
        title="What is published",
        columns=columns,
        rows=tuple(rows),
        links=tuple(c.id for c in held),
    )


def predict_samples(pool: Published, tau2: float, tau2_from: str, found: Evidence) -> Prediction:
    """Each new sample against the prediction of a printed pool.

    The prediction for a sample's mean is normal with the pool's mean and variance se^2 + tau2 + v, where v is the
    sample's own sampling variance (Riley, Higgins & Deeks, 2011, with v added because an estimate is predicted).
    """
    means = sample_means(found)
    spread = np.sqrt(pool.se**2 + tau2 + means.v)
    distance = (means.y - pool.z) / spread
    low, high = np.tanh(pool.z - NORMAL_95 * spread), np.tanh(pool.z + NORMAL_95 * spread)
    inside = np.abs(distance) <= NORMAL_95
    labels = [str(label or sample) for label, sample in zip(means.rows["label"], means.samples, strict=True)]
    key = f"{found.question.id}-{pool.claim.id}"
    rows = tuple(
        (label, float(np.tanh(y)), float(a), float(b), float(d), "inside" if ok else "outside")
        for label, y, a, b, d, ok in zip(labels, means.y, low, high, distance, inside, strict=True)
    )
    title = f"{found.question.label}: {pool.claim.printed['value']} of {pool.claim.work} against samples it never saw"
    columns = ("sample", "r", "predicted low", "predicted high", "distance", "prediction interval")
    note = f"Standard error of the pool: {pool.se_from}. tau2: {tau2_from}."
    samples = [str(s) for s in means.samples]
    table = Table(id=f"prediction-{key}", title=title, columns=columns, rows=rows, links=tuple(samples), note=note)
    figure = Figure(
        id=f"prediction-{key}",
        kind="calibration",
        title=title,
        columns={"label": labels, "distance": distance.tolist(), "row": samples},
        note=note,
    )
    calibration, difference = _calibration(pool, tau2, distance, key, means), _difference(pool, key, means)
    return Prediction(table, figure, calibration, difference, int(inside.sum()), len(inside))


def _difference(pool: Published, key: str, means: Evidence) -> Estimate:
    """The new samples' mean less the printed one, on Fisher z: do the averages differ, whatever the spread?"""
    fit = fit_random_effects(means.y, means.v)
    gap = float(fit.beta[0]) - pool.z
    se = float(np.hypot(fit.se[0], pool.se))
    critical = float(t_ppf(0.975, fit.df[0]))
    return Estimate(
        id=f"difference-{key}",
        label=f"new samples less {pool.claim.work}",
        metric="z",
        value=gap,
        low=gap - critical * se,
        high=gap + critical * se,
        se=se,
        p=float(2 * t_sf(abs(gap) / se, fit.df[0])),
        k=len(means.y),
        samples=len(means.y),
        group="prediction",
        method={"new": "REML, Knapp–Hartung, one value a sample", "se of the printed pool": pool.se_from},
        rows=tuple(means.rows["effect_id"]),
    )


def _calibration(pool: Published, tau2: float, distance: np.ndarray, key: str, means: Evidence) -> Estimate:
    """The sum of squared distances, chi-square with one degree a sample if the prediction is right."""
    statistic = float((distance**2).sum())
    return Estimate(
        id=f"calibration-{key}",
        label=f"calibration of {pool.claim.work}: sum of squared distances",
        metric="chi2",
        value=statistic,
        p=float(chi2_sf(statistic, len(distance))),
        tau2=tau2,
        k=len(distance),
        samples=len(distance),
        group="prediction",
        method={"test": "chi-square with one degree of freedom a sample", "mean distance": f"{distance.mean():.3f}"},
        rows=tuple(means.rows["effect_id"]),
    )

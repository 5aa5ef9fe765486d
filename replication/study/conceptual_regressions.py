"""A cited study's question, asked of an open file: moderation, bullying roles and lagged effects by regression.

Called by `study conceptual`; the numbers it makes are stored in `conceptual.csv`. Three ideas:

1. Relationship measures and the like are divided by their standard deviation among the persons in the model, so a
   coefficient is per standard deviation and an interaction is read at the mean.
2. Covariances are by cluster (classes or schools) where the file has them, intervals from t with clusters less one
   degrees of freedom; without clusters they are robust to unequal variances.
3. Moderation depends on the scale: two effects that multiply are an interaction on the raw scale and none on the log
   scale. So both are given, with the slope of the predictor at one standard deviation below and above the moderator.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replication.dataset.conceptual_records import BAYESIAN, ConceptualRecord, agreement
from replication.errors import UserError
from replication.models.bayes.sampled.diagnostics import Failed
from replication.models.bayes.sampled.roles import sample_roles
from replication.models.bayes.sampled.roles_data import CONTRASTS, REFERENCE, RolesData, class_mean
from replication.models.bayes.sampled.sampling import Settings
from replication.models.fit import Array
from replication.models.probability import t_ppf
from replication.study.microdata.coding import code_sample, keep_rows
from replication.study.microdata.design import survey_weights
from replication.study.microdata.survey_files import read_columns

__all__ = [
    "ConceptualEstimate",
    "compare_conceptual",
    "compute_conceptual",
    "conceptual_rows",
    "roles_by_cut",
    "sample_conceptual_roles",
    "with_files",
]

Groups = NDArray[np.intp]
_Row = Mapping[Hashable, Any]
_LEVEL = 0.95
_DECIMALS = 4
_FEWEST = 15  # pupils a role must have: below, a contrast with six slopes rests on single pupils


@dataclass(frozen=True, slots=True)
class ConceptualEstimate:
    """One coefficient with its interval; `scale` is raw, log or logit, `cut` NaN where there is none."""

    outcome: str
    scale: str
    term: str
    estimate: float
    low: float
    high: float
    n: int
    clusters: int
    cut: float = float("nan")
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Persons:
    """The file's persons: values of each measure `(n,)`, weights `(n,)` and cluster numbers `(n,)`, None for none."""

    values: Mapping[str, Array]
    weights: Array | None
    groups: Groups | None

    def kept(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Who has all of these measures, and a weight where there are weights."""
        every = np.column_stack([self.values[name] for name in names])
        if self.weights is not None:
            every = np.column_stack([every, np.where(self.weights > 0, self.weights, np.nan)])
        return np.asarray(np.isfinite(every).all(axis=1))


def compute_conceptual(record: ConceptualRecord, paths: Sequence[Path]) -> tuple[ConceptualEstimate, ...]:
    """Every estimate of a record, from the file a person has.

    Raises
    ------
    UserError
        when the files do not fit the record, or nobody is left.
    """
    persons = _persons(record, paths)
    models = {"moderation": _moderation, "roles": _roles, "lagged": _lagged}
    return tuple(models[record.model](record, persons))


def with_files(
    records: Sequence[ConceptualRecord], files: Sequence[Path]
) -> Iterator[tuple[ConceptualRecord, tuple[Path, ...]]]:
    """The records whose files are among those given, by file name.

    Raises
    ------
    UserError
        when a file given belongs to no record.
    """
    # By name: a record knows the file's name and not where a user keeps it.
    by_name = {path.name: path for path in files}
    wanted = {Path(name).name for record in records for name in record.file}
    for name in by_name:
        if name not in wanted:
            raise UserError(f"{name}: no record of this work reads such a file; expected {' or '.join(sorted(wanted))}")
    for record in records:
        names = [Path(name).name for name in record.file]
        if all(name in by_name for name in names):
            yield record, tuple(by_name[name] for name in names)


def compare_conceptual(
    record: ConceptualRecord, found: Sequence[ConceptualEstimate], stored: Sequence[_Row]
) -> tuple[list[ConceptualEstimate], Iterator[str]]:
    """The estimates that are not stored yet, and a line for each: as stored, different, or new."""
    held = {_key(row): row for row in stored if row["record"] == record.id}
    new = [e for e in found if _key_of(e) not in held]
    return new, _lines(record, found, held)


def conceptual_rows(
    work: str, record: ConceptualRecord, found: Sequence[ConceptualEstimate], first: int, since: str
) -> list[dict[str, str]]:
    """Rows of `conceptual.csv`, numbered from `first`."""
    rows = []
    for number, entry in enumerate(found, first):
        expected = record.expected(entry.outcome, entry.term)
        numbers = {"estimate": entry.estimate, "ci_low": entry.low, "ci_high": entry.high}
        rows.append(
            {
                "estimate_id": f"{work}-e{number:02d}",
                "record": record.id,
                "outcome": entry.outcome,
                "cut": "" if math.isnan(entry.cut) else f"{entry.cut:g}",
                "scale": entry.scale,
                "term": entry.term,
                **{name: f"{value:.{_DECIMALS}f}" for name, value in numbers.items()},
                "n": str(entry.n),
                "clusters": str(entry.clusters or ""),
                "expected": expected.sign if expected else "",
                "direction_ids": ";".join(expected.directions) if expected else "",
                "since": since,
                "note": entry.note,
            }
        )
    return rows


def _key(row: _Row) -> tuple[object, ...]:
    return (row["outcome"], row["scale"], row["term"], _known(float(row["cut"])))


def _key_of(entry: ConceptualEstimate) -> tuple[object, ...]:
    return (entry.outcome, entry.scale, entry.term, _known(entry.cut))


def _known(cut: float) -> float | None:
    return None if math.isnan(cut) else cut


def _lines(
    record: ConceptualRecord, found: Sequence[ConceptualEstimate], held: Mapping[tuple[object, ...], _Row]
) -> Iterator[str]:
    for entry in found:
        row = held.get(_key_of(entry))
        numbers = (entry.estimate, entry.low, entry.high)
        kept = () if row is None else (row["estimate"], row["ci_low"], row["ci_high"])
        # Stored numbers are rounded: they agree with all that would be rounded to them.
        half = 0.5 * 10.0**-_DECIMALS + 1e-9
        same = row is not None and all(abs(a - float(b)) <= half for a, b in zip(numbers, kept, strict=True))
        mark = "new" if row is None else "as stored" if same and int(row["n"]) == entry.n else "differs"
        cut = "" if math.isnan(entry.cut) else f", cut {entry.cut:g}"
        expected = record.expected(entry.outcome, entry.term)
        verdict = f", {agreement(expected.sign, entry.low, entry.high)}" if expected else ""
        yield (
            f"{record.id}: {entry.outcome}{cut}, {entry.scale}: {entry.term} {entry.estimate:.4f} "
            f"[{entry.low:.4f}, {entry.high:.4f}], n {entry.n}{verdict} [{mark}]"
        )


def sample_conceptual_roles(
    record: ConceptualRecord, paths: Sequence[Path], cut: float, settings: Settings, compile_dir: Path | None = None
) -> tuple[ConceptualEstimate, ...]:
    """The roles at one cut by the Bayesian multilevel multinomial logit: posterior means and 95 per cent intervals.

    The same predictors as in `compute_conceptual`, with a deviation of each class for each role; the note of each row
    holds the diagnostics of the sampler.

    Raises
    ------
    UserError
        when the record is about something else, or the fit fails its gate: then there is no estimate.
    """
    if record.model != "roles":
        raise UserError(f"{record.id} is no record of roles; the Bayesian model is for those")
    persons = _persons(record, paths)
    X, terms, keep = _roles_design(record, persons)
    bullies, bullied = (persons.values[name][keep] for name in record.outcome)
    role = roles_by_cut(bullies, bullied, cut)
    labels, group = np.unique(persons.groups[keep], return_inverse=True)  # type: ignore[index]  # the design asked
    names = ("intercept", *terms, *record.controls)
    classes, rows = tuple(map(str, labels.tolist())), tuple(np.flatnonzero(keep).tolist())
    students = RolesData(X, names, np.ones(len(names)), group.astype(np.int64), role, classes, rows, ())
    return sampled_roles(students, terms, cut, settings, compile_dir)


def sampled_roles(
    students: RolesData, terms: Sequence[str], cut: float, settings: Settings, compile_dir: Path | None = None
) -> tuple[ConceptualEstimate, ...]:
    """Posterior means and 95 per cent intervals of the named terms, and of the spread of classes, for each role.

    Raises
    ------
    UserError
        when the fit fails its gate: then there is no estimate.
    """
    posterior = sample_roles(students, settings=settings, compile_dir=compile_dir)
    if isinstance(posterior, Failed):
        raise UserError("the fit failed its checks and has no estimate: " + posterior.why)
    seen = posterior.diagnostics
    note = f"R-hat {seen.rhat:.3f}, effective size {seen.ess_bulk:.0f}, {seen.divergences} divergences, seed "
    note += f"{posterior.settings.seed}, {posterior.settings.chains} chains of {posterior.settings.draws} draws"
    wanted = [(name, term) for name in CONTRASTS for term in terms]
    found = [(name, term, posterior.parameter(f"{name}: {term}")) for name, term in wanted]
    found += [(name, "sd between classes", posterior.parameter(f"class sd[{name}]")) for name in CONTRASTS]
    n, m = len(students.role), len(students.classes)
    return tuple(
        ConceptualEstimate(
            name, "logit", f"{term}{BAYESIAN}", p.mean, p.quantile(0.025), p.quantile(0.975), n, m, cut, note
        )
        for name, term, p in found
    )


def roles_by_cut(bullies: Array, bullied: Array, cut: float) -> NDArray[np.int64]:
    """0 uninvolved, 1 bully, 2 victim, 3 bully/victim (at or above the cut on one scale, the other, both); -1 unknown.

    >>> roles_by_cut(np.array([0.0, 1.0, 0.0, 1.0, np.nan]), np.array([0.0, 0.0, 1.0, 1.0, 1.0]), 0.5).tolist()
    [0, 1, 2, 3, -1]
    """
    with np.errstate(invalid="ignore"):
        role = (bullies >= cut) + 2 * (bullied >= cut)
    return np.where(np.isfinite(bullies) & np.isfinite(bullied), role, -1).astype(np.int64)


def _persons(record: ConceptualRecord, paths: Sequence[Path]) -> _Persons:
    recipe = record.recipe
    files = " and ".join(path.name for path in paths)
    if len(paths) != len(record.file):
        raise UserError(
            f"{record.id} needs {len(record.file)} file(s), in this order: {'; '.join(record.file)}; found {len(paths)}"
        )
    frame = read_columns(paths, recipe.columns, recipe.join).frame
    keep = keep_rows(frame, recipe.where)
    if not keep.any():
        raise UserError(f"{files}: none of {len(frame)} rows is asked for; is it the file the record names?")
    coded = code_sample(frame, recipe, keep)
    frame = frame[keep].reset_index(drop=True)
    # dropna=False: persons without a class form one of their own instead of vanishing with code -1.
    groups = np.asarray(frame.groupby(record.cluster, dropna=False).ngroup(), np.intp) if record.cluster else None
    values = {measure.measure: measure.values.mean(axis=1) for measure in coded}
    return _Persons(values, survey_weights(frame, recipe, files), groups)


def _moderation(record: ConceptualRecord, persons: _Persons) -> Iterator[ConceptualEstimate]:
    """Outcome on predictor, moderator, their product and the controls, on the raw scale and on that of the link."""
    import statsmodels.api as sm

    outcome, controls = record.outcome[0], record.controls
    keep = persons.kept([outcome, record.predictor, record.moderator, *controls])
    _check_left(record, keep)
    x, m = (_standardised(persons.values[name][keep]) for name in (record.predictor, record.moderator))
    centred = [_centred(persons.values[name][keep]) for name in controls]
    # Centred controls leave the intercept and the simple slopes at the average person.
    X = np.column_stack([np.ones(keep.sum()), x, m, x * m, *centred])
    y = persons.values[outcome][keep]
    scales = [("raw", y, sm.families.Gaussian(), np.nan)]
    if record.link == "log":
        # A Poisson fit with robust errors: only the mean's log scale is assumed, not the distribution.
        scales.append(("log", y, sm.families.Poisson(), np.nan))
    elif record.link == "logit":
        cut = float(record.cuts[0])
        scales.append(("logit", (y >= cut).astype(float), sm.families.Binomial(), cut))
    names = _moderation_terms(record)
    for scale, response, family, cut in scales:
        fit = _fit_glm(response, X, family, keep, persons)
        for term, weights in names.items():
            yield _estimate(fit, weights, outcome, scale, term, keep, persons, cut)


def _moderation_terms(record: ConceptualRecord) -> Mapping[str, Mapping[int, float]]:
    """Each term as a combination of coefficients, by position."""
    x, m = record.predictor, record.moderator
    return {
        x: {1: 1.0},
        m: {2: 1.0},
        f"{x} x {m}": {3: 1.0},
        f"{x}, at {m} one sd below the mean": {1: 1.0, 3: -1.0},
        f"{x}, at {m} one sd above the mean": {1: 1.0, 3: 1.0},
    }


def _lagged(record: ConceptualRecord, persons: _Persons) -> Iterator[ConceptualEstimate]:
    """The later outcome on the earlier predictor, without and with the earlier outcome, in standard deviations."""
    import statsmodels.api as sm

    outcome = record.outcome[0]
    keep = persons.kept([outcome, record.predictor, record.earlier, *record.controls])
    _check_left(record, keep)
    y, x, before = (_standardised(persons.values[name][keep]) for name in (outcome, record.predictor, record.earlier))
    controls = [_centred(persons.values[name][keep]) for name in record.controls]
    # Both: what the earlier outcome takes away is the answer to "does it only reflect where they were before?".
    for term, more in ((f"{record.predictor}, without {record.earlier}", []), (record.predictor, [before])):
        X = np.column_stack([np.ones(len(y)), x, *more, *controls])
        fit = _fit_glm(y, X, sm.families.Gaussian(), keep, persons)
        yield _estimate(fit, {1: 1.0}, outcome, "raw", term, keep, persons, np.nan)


def _roles(record: ConceptualRecord, persons: _Persons) -> Iterator[ConceptualEstimate]:
    """Multinomial logit of the roles at each cut; a cut with too few pupils in a role gives nothing but is refused.

    Class means are over all pupils of the class with an answer, as in the Bayesian model (roles_data).
    """
    X, terms, keep = _roles_design(record, persons)
    bullies, bullied = (persons.values[name][keep] for name in record.outcome)
    for cut in record.cuts:
        role = roles_by_cut(bullies, bullied, float(cut))
        yield from _one_cut(record, persons, (role, X, terms, keep), float(cut))


def _roles_design(record: ConceptualRecord, persons: _Persons) -> tuple[Array, tuple[str, str, str], NDArray[np.bool_]]:
    """Design `(n, p)` of the pupils with every value, the terms after the intercept, and who they are."""
    if persons.groups is None:
        raise UserError(f"{record.id}: the roles need classes; name their column under cluster")
    x = persons.values[record.predictor]
    mean, climate = (class_mean(persons.values[name], persons.groups) for name in (record.predictor, record.climate))
    keep = persons.kept([*record.outcome, record.predictor, *record.controls]) & np.isfinite(climate)
    _check_left(record, keep)
    # Distance from the class and mean of the class side by side: within and between are two questions.
    parts = [_standardised(column[keep]) for column in (x - mean, mean, climate)]
    X = np.column_stack([np.ones(keep.sum()), *parts, *(_centred(persons.values[c][keep]) for c in record.controls)])
    return X, (record.predictor, f"{record.predictor} of the class", f"{record.climate} of the class"), keep


def _one_cut(
    record: ConceptualRecord, persons: _Persons, model: tuple[NDArray[np.int64], Array, Sequence[str], Any], cut: float
) -> Iterator[ConceptualEstimate]:
    from statsmodels.discrete.discrete_model import MNLogit

    role, X, terms, keep = model
    counts = np.bincount(role, minlength=4)
    if counts[1:].min() < _FEWEST:
        fewest = int(counts[1:].argmin())
        raise UserError(
            f"{record.id}, cut {cut:g}: {counts[1:][fewest]} pupils are {CONTRASTS[fewest]}; expected {_FEWEST} or "
            f"more; choose another cut"
        )
    groups = persons.groups[keep]  # type: ignore[index]  # roles have classes
    fit = MNLogit(role, X).fit(
        method="newton", maxiter=100, disp=False, cov_type="cluster", cov_kwds={"groups": groups}
    )
    if not fit.mle_retvals["converged"]:
        raise UserError(f"{record.id}, cut {cut:g}: the fit did not converge; choose another cut")
    shares = ", ".join(f"{n} {name}" for n, name in zip(counts.tolist(), (REFERENCE, *CONTRASTS), strict=True))
    params, errors = np.asarray(fit.params), np.asarray(fit.bse)
    df = len(np.unique(groups)) - 1
    for contrast, name in enumerate(CONTRASTS):
        for place, term in enumerate(terms, 1):
            value = float(params[place, contrast])
            half = float(t_ppf(0.5 + _LEVEL / 2, df) * errors[place, contrast])
            ends = (value - half, value + half)
            yield ConceptualEstimate(name, "logit", term, value, *ends, int(keep.sum()), df + 1, cut, shares)


def _fit_glm(y: Array, X: Array, family: Any, keep: NDArray[np.bool_], persons: _Persons) -> Any:
    """A generalised linear model with weights as they are (scaled to mean 1), robust or clustered covariance."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import SpecificationWarning

    # To mean 1: a sum of weights of a whole population would count as that many persons.
    weights = None if persons.weights is None else persons.weights[keep] / persons.weights[keep].mean()
    model = sm.GLM(y, X, family=family, var_weights=weights)
    if persons.groups is None:
        return model.fit(cov_type="HC1")
    with warnings.catch_warnings():
        # "cov_type not fully supported with var_weights": the covariance was checked against survey::svyglm (R) on the
        # Turkish file; it differs by the factor (n - 1) / (n - p) only
        warnings.simplefilter("ignore", SpecificationWarning)
        return model.fit(cov_type="cluster", cov_kwds={"groups": persons.groups[keep]})


def _estimate(
    fit: Any,
    weights: Mapping[int, float],
    outcome: str,
    scale: str,
    term: str,
    keep: NDArray[np.bool_],
    persons: _Persons,
    cut: float,
) -> ConceptualEstimate:
    """A combination of coefficients with its interval."""
    c = np.zeros(len(fit.params))
    c[list(weights)] = list(weights.values())
    value, se = float(c @ fit.params), float(np.sqrt(c @ fit.cov_params() @ c))
    n = int(keep.sum())
    clusters = 0 if persons.groups is None else len(np.unique(persons.groups[keep]))
    # As many independent pieces as clusters, however many persons are in them.
    half = float(t_ppf(0.5 + _LEVEL / 2, clusters - 1 if clusters else n - len(c))) * se
    return ConceptualEstimate(outcome, scale, term, value, value - half, value + half, n, clusters, cut)


def _check_left(record: ConceptualRecord, keep: NDArray[np.bool_]) -> None:
    if keep.sum() < 2 * _FEWEST:
        raise UserError(f"{record.id}: {int(keep.sum())} persons have all measures; is it the file the record names?")


def _centred(column: Array) -> Array:
    result: Array = column - column.mean()
    return result


def _standardised(column: Array) -> Array:
    """Centred and divided by its standard deviation; a UserError where nobody differs."""
    spread = float(column.std(ddof=1))
    if not spread > 0:
        raise UserError("a measure of the model does not vary among the persons who have all of them")
    return _centred(column) / spread

"""Many specifications of one question: every combination of reasonable choices, and which choice moves the answer.

A published pool is one path through choices that others would have made otherwise (Steegen, Tuerlinckx, Gelman &
Vanpaemel 2016; Voracek, Kossmeier & Tran 2019 for meta-analysis). Here every path is walked. All data sets of one
estimator go through the batch kernel at once, so a thousand fits take less than a second on one core.

Whether to allow for publication bias, and by which model, is one of the choices. Bias models are walked for published
bodies on Fisher's z only: nothing was selected from whole files, and on plain r a standard error made of r and n is
tied to its r by construction, which looks like bias. They have estimators and tests of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from replication.analysis.outcome import (
    Cell,
    Figure,
    Findings,
    Label,
    Ref,
    Sentence,
    Table,
    numbers,
    of,
    placed,
    several,
)
from replication.dataset import Dataset
from replication.effects.correlation import back_to_r, correlation_variance, fisher_z_variance, n_for_variance
from replication.errors import ModelError
from replication.evidence.bias_models import direction_of
from replication.evidence.question import Evidence, Question, Source, evidence, mean_effects, rows_by_sample
from replication.models.bias import fit_step_selection, pet_peese, trim_fill, waap_wls
from replication.models.fit import Array
from replication.models.options import Direction, Tau2Method, TestMethod
from replication.models.two_level.batch import fit_batch

__all__ = ["CHOICES", "Multiverse", "Option", "multiverse_findings", "multiverse_of"]

_RHOS = {"rho .4": 0.4, "rho .6": 0.6, "rho .8": 0.8}
_SCALES = ("fisher_z", "plain_r")
_SIZES = ("effective_n", "plain_n")
# Of two samples one would be left after leaving one out.
_FEWEST_SAMPLES = 3
_LEFT_OUT = ("nothing", "the_largest", "the_farthest")
_NO_BIAS, _OWN = "none", "by_the_bias_model"
_PUBLISHED = ("as_published", "published_samples")
_ESTIMATORS: Mapping[str, Tau2Method] = {name: name for name in ("EE", "DL", "PM", "REML", "ML", "SJ")}
_TESTS: Mapping[str, TestMethod] = {"normal": "z", "Knapp–Hartung": "knha"}

CHOICES = ("evidence", "dependence", "scale", "size", "left_out", "bias_model", "estimator", "test")
"""What a specification decides: which rows; how far the errors of a sample's rows correlate when they become one
value; on which scale and with which n they are weighed; which sample is left out (none, the largest, or the one
farthest from the mean); by which model publication bias is allowed for; how the variance between samples is estimated;
how the mean is tested."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a choice, summarised over all specifications that take it.

    How many there are, the median, lowest and highest r, and the share whose interval excludes zero on the expected
    side.
    """

    choice: str
    name: str
    count: int
    median: float
    lowest: float
    highest: float
    holds: float


@dataclass(frozen=True, slots=True, eq=False)
class Multiverse:
    """Every specification of a question, with its estimate.

    `chosen (S, 8)` names its option of each choice; `value`, `low`, `high` `(S,)` are in r,
    with 95 % intervals; `k (S,)` samples. `sign` is that of the expected association. `failed` counts, by reason, the
    specifications that gave no estimate.
    """

    question: Question
    chosen: tuple[tuple[str, ...], ...]
    value: Array
    low: Array
    high: Array
    k: Array
    sign: int
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def adjusted(self) -> list[bool]:
        """Whether each specification allows for publication bias."""
        at = CHOICES.index("bias_model")
        return [chosen[at] != _NO_BIAS for chosen in self.chosen]

    @property
    def holds(self) -> Array:
        """Whether each interval excludes zero on the expected side `(S,)`."""
        # On the expected side: an interval beyond zero on the other side does not hold the finding.
        return np.where(self.sign > 0, self.low > 0, self.high < 0)

    def options(self) -> tuple[Option, ...]:
        """Every option of every choice, the choice that moves the median most first."""
        found = [self._options(at) for at in range(len(CHOICES))]
        # Ascending by lowest less highest median: the widest span comes first.
        found.sort(key=lambda options: min(o.median for o in options) - max(o.median for o in options))
        return tuple(option for options in found for option in options)

    def _options(self, at: int) -> list[Option]:
        names = [chosen[at] for chosen in self.chosen]
        place = {name: number for number, name in enumerate(dict.fromkeys(names))}
        codes, every, made = np.array([place[name] for name in names]), self.holds, []
        for name, number in place.items():
            here = codes == number
            r, holds = self.value[here], every[here]
            spread = (float(np.median(r)), float(r.min()), float(r.max()))
            made.append(Option(CHOICES[at], name, len(r), *spread, float(holds.mean())))
        return made


def multiverse_of(dataset: Dataset, question: Question, sign: int, published_in: str = "") -> Multiverse:
    """Fit every specification of a question.

    Parameters
    ----------
    dataset : the rows.
    question : what is asked.
    sign : of the expected association, 1 or -1.
    published_in : the meta-analysis whose own rows are one choice of rows; none for no such choice.

    A choice without two options on these rows (no published rows, no n_effective) is walked with what there is.
    """
    sets = list(_data_sets(dataset, question, published_in))
    names = [name for name, _, _ in sets]
    y, v = _padded([effects for _, effects, _ in sets]), _padded([variances for _, _, variances in sets])
    on_z = np.array([name[CHOICES.index("scale")] == _SCALES[0] for name in names])
    chosen: list[tuple[str, ...]] = []
    parts: list[Array] = []
    failed: Counter[str] = Counter()
    for (estimator, method), (test_name, test) in product(_ESTIMATORS.items(), _TESTS.items()):
        fits = fit_batch(y, v, method=method, test=test)
        ends = np.column_stack([fits.beta[:, 0], fits.interval()[:, 0], fits.k])
        # Only value and ends; the fourth column is k, and plain r is on its scale already.
        ends[:, :3] = np.where(on_z[:, None], back_to_r(ends[:, :3]), ends[:, :3])
        # Estimates of a search that did not end would widen the curve for no reason of substance.
        kept = fits.defined & fits.converged
        chosen += [(*name, _NO_BIAS, estimator, test_name) for name, keep in zip(names, kept, strict=True) if keep]
        parts.append(ends[kept])
        failed["no converged estimate"] += int((~kept).sum())
    for options, made in _bias_walks(sets, sign, failed):
        chosen.append(options)
        parts.append(made[None])
    value, low, high, k = np.concatenate(parts).T
    return Multiverse(question, tuple(chosen), value, low, high, k, sign, +failed)


def _bias_walks(
    sets: Sequence[tuple[tuple[str, ...], Array, Array]], sign: int, failed: Counter[str]
) -> Iterator[tuple[tuple[str, ...], Array]]:
    """The options of each specification that allows for publication bias, with value, ends and k in r."""
    allowed: dict[bytes, tuple[tuple[str, Array | str], ...]] = {}
    for name, effects, variances in sets:
        if name[0] not in _PUBLISHED or name[CHOICES.index("scale")] != _SCALES[0]:
            continue
        # Several choices leave the same numbers: with one row a sample no rho enters.
        key = effects.tobytes() + variances.tobytes()
        if key not in allowed:
            allowed[key] = tuple(_allowed_for_bias(effects, variances, sign))
        for model, made in allowed[key]:
            if isinstance(made, str):
                failed[f"{model}: {made}"] += 1
            else:
                # Bias models bring estimator and test with them: crossed with all others they would be counted twelve
                # times.
                yield (*name, model, _OWN, _OWN), made


def _allowed_for_bias(y: Array, v: Array, sign: int) -> Iterator[tuple[str, Array | str]]:
    """Value, ends and k of each bias model in r; of one that cannot be fitted, the reason."""
    direction = direction_of(sign)
    for model, fit in _BIAS_MODELS.items():
        try:
            ends = back_to_r(fit(y, v, direction))
        except ModelError as error:
            yield model, str(error)
            continue
        yield model, np.append(ends, len(y)) if np.isfinite(ends).all() else "no estimate with an interval"


def _pet_peese(y: Array, v: Array, direction: Direction) -> Array:
    found = pet_peese(y, v, direction=direction)
    return np.array([found.estimate, found.interval.low, found.interval.high])


def _selection(y: Array, v: Array, direction: Direction) -> Array:
    fit = fit_step_selection(y, v, direction=direction).fit
    return np.array([fit.beta[0], *fit.interval()[0]])


def _waap(y: Array, v: Array, _direction: Direction) -> Array:
    found = waap_wls(y, v)
    return np.array([found.estimate, found.interval.low, found.interval.high])


def _trim_fill(y: Array, v: Array, direction: Direction) -> Array:
    fit = trim_fill(y, v, side="left" if direction == "positive" else "right").fit
    return np.array([fit.beta[0], *fit.interval()[0]])


_BIAS_MODELS: Mapping[str, Callable[[Array, Array, Direction], Array]] = {
    "pet_peese": _pet_peese,
    "selection_model": _selection,
    "waap": _waap,
    "trim_and_fill": _trim_fill,
}


def _padded(rows: Sequence[Array]) -> Array:
    """Rows of unequal length as one array, NaN behind the shorter ones."""
    whole = np.full((len(rows), max(len(row) for row in rows)), np.nan)
    for row, place in zip(rows, whole, strict=True):
        place[: len(row)] = row
    return whole


def _data_sets(
    dataset: Dataset, question: Question, published_in: str
) -> Iterator[tuple[tuple[str, ...], Array, Array]]:
    """The options of the first five choices, with effects and variances `(k,)` of each."""
    for body, found in _bodies(dataset, question, published_in).items():
        groups = rows_by_sample(found)
        weighed = {(scale, size): _weighed(found, scale, size) for scale, size in product(_SCALES, _SIZES)}
        for (rho_name, rho), scale, size in product(_RHOS.items(), _SCALES, _SIZES):
            # One value a sample before any model: the batch kernel takes independent effects.
            y, v = mean_effects(*weighed[scale, size], groups, rho)
            for left_out in _LEFT_OUT:
                kept = _kept(y, v, left_out)
                yield (body, rho_name, scale, size, left_out), y[kept], v[kept]


def _bodies(dataset: Dataset, question: Question, published_in: str) -> dict[str, Evidence]:
    sources: tuple[tuple[str, Source], ...] = (
        ("published_samples", "published"),
        ("open_data", "open"),
        ("both", "pool"),
    )
    found = {name: evidence(dataset, question, source) for name, source in sources}
    bodies = found
    if published_in:
        public = found["published_samples"]
        # `used_in` holds keys with semicolons between them: a part of a key is none.
        used = public.rows["used_in"].map(lambda keys: published_in in keys.split(";")).to_numpy(bool)
        bodies = {"as_published": public.take(used), **found}
    # with one or two samples left there is no choice to vary, and nothing to leave out
    return {name: body for name, body in bodies.items() if len(set(body.samples)) >= _FEWEST_SAMPLES}


def _weighed(found: Evidence, scale: str, size: str) -> tuple[Array, Array]:
    """Effects and variances `(k,)` on a scale, with an n: variance 1/(n - 3) of z, (1 - r^2)^2 / (n - 1) of r."""
    n = found.rows["n"].to_numpy(float)
    if size == "effective_n":
        n = n_for_variance(n, found.rows["n_effective"])
    r = back_to_r(found.y)
    # Rows are held on z; plain r is that value turned back, so both scales rest on the same rows.
    return (found.y, fisher_z_variance(n)) if scale == "fisher_z" else (r, correlation_variance(r, n))


def _kept(y: Array, v: Array, left_out: str) -> Array:
    """Which samples stay `(k,)`: all, or all but the heaviest, or but the one farthest from the weighted mean."""
    keep = np.ones(len(y), dtype=bool)
    if left_out == "the_largest":
        keep[np.argmin(v)] = False
    elif left_out == "the_farthest":
        keep[np.argmax(np.abs(y - np.average(y, weights=1.0 / v)))] = False
    return keep


def multiverse_findings(found: Sequence[Multiverse]) -> Findings:
    """A specification curve, the options that move it and a sentence for every question."""
    parts = [(_table(one), _curve(one), _sentence(one)) for one in found]
    return Findings(
        tables=placed("robustness", [table for table, _, _ in parts]),
        figures=placed("robustness", [curve for _, curve, _ in parts]),
        sentences=placed("answer", [sentence for _, _, sentence in parts]),
    )


def _table(one: Multiverse) -> Table:
    return Table(
        id=f"multiverse-options-{one.question.id}",
        title=of(one.question.label, "which_choice_moves"),
        columns=("choice", "option", "median_r", "lowest_r", "highest_r", "excludes_zero", "specifications"),
        rows=tuple(
            (o.choice, o.name, o.median, o.lowest, o.highest, Label("share", {"share": o.holds}), o.count)
            for o in one.options()
        ),
        note=several("multiverse_note", *_failures(one)),
    )


def _failures(one: Multiverse) -> list[Label]:
    """What gave no estimate, and why; empty where everything did."""
    return [Label("no_estimate_in", {"count": count, "reason": reason}) for reason, count in one.failed.items()]


def _curve(one: Multiverse) -> Figure:
    # Stable, so that specifications with one estimate keep their order whatever the last digits of it are.
    order, adjusted = np.argsort(np.round(one.value, 9), kind="stable"), one.adjusted
    choices: dict[str, Sequence[Cell]] = {name: [one.chosen[i][at] for i in order] for at, name in enumerate(CHOICES)}
    return Figure(
        id=f"multiverse-{one.question.id}",
        kind="specification_curve",
        title=of(one.question.label, "every_specification"),
        columns={
            "value": one.value[order].tolist(),
            "low": one.low[order].tolist(),
            "high": one.high[order].tolist(),
            "adjusted": [adjusted[i] for i in order],
            **choices,
        },
        settings={"metric": "r", "summary": float(np.median(one.value))},
    )


def _sentence(one: Multiverse) -> Sentence:
    first = one.options()[0].choice
    ends = [o.median for o in one.options() if o.choice == first]
    values: dict[str, float | int] = {
        "all": len(one.value),
        "holds": int(one.holds.sum()),
        "low": float(one.value.min()),
        "high": float(one.value.max()),
        "median": float(np.median(one.value)),
        "choice_low": min(ends),
        "choice_high": max(ends),
    }
    shown = numbers(values, Ref("table", f"multiverse-options-{one.question.id}"))
    return Sentence("choices.answer", {"question": one.question.id, "choice": first, **shown})

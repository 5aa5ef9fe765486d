"""Models that need sampling: all cells at once, selection, and the same models exactly and sampled side by side.

A fit that fails its gate (R-hat, effective sample size, divergences) is reported as failed with its reasons and has no
estimate. Draws are kept by content: data, priors, settings and the code of the Bayesian models.

SIMULATED students: the model of bullying roles on data drawn from stated values.

A quarter of the published size keeps the run short; the simulation tests recover larger studies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from replication import paths
from replication.analysis.outcome import (
    Context,
    Draws,
    Estimate,
    Findings,
    Label,
    Ref,
    Sentence,
    Table,
    Text,
    numbers,
    of,
    plain,
    within,
)
from replication.claims import claims_by_id
from replication.digests import digest_of, python_digest
from replication.effects.correlation import back_to_r
from replication.evidence.bayes import RHO, posterior_of, rounded
from replication.evidence.question import Evidence, Question, evidence, sample_means
from replication.labels import restored
from replication.models import bayes
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.priors.informed import correlation_priors
from replication.models.bayes.sampled.agreement import LIMIT, AgreementRow, compare_with_exact
from replication.models.bayes.sampled.diagnostics import Failed, SampledPosterior
from replication.models.bayes.sampled.multilevel_data import multilevel_data
from replication.models.bayes.sampled.multilevel_model import MultilevelPriors, parameter_labels, sample_multilevel
from replication.models.bayes.sampled.roles_data import CONTRASTS, PREDICTORS, class_sd_of, slope_of
from replication.models.bayes.sampled.roles_simulated import recover_simulated_roles, simulated_truth
from replication.models.bayes.sampled.sampling import Settings
from replication.models.bayes.sampled.selection import SelectionPriors, sample_selection, selection_data
from replication.models.fit import Array
from replication.models.multilevel.structure import BlockV
from replication.printed import parse_printed

__all__ = [
    "CELLS",
    "Sampled",
    "agreement_sentence",
    "agreement_table",
    "cells_at_once",
    "sampled_tables",
    "selection_on",
    "simulated_recovery",
    "with_exact",
]

QUANTITIES = ("mean", "sd", "low", "high", "mcse", "rhat", "ess_bulk", "ess_tail")
CELLS = (
    Question("positive-engagement", "positive_relationship_with_engagement", ("positive",), "engagement"),
    Question("negative-engagement", "negative_relationship_with_engagement", ("negative",), "engagement"),
    Question("positive-achievement", "positive_relationship_with_achievement", ("positive",), "achievement"),
    Question("negative-achievement", "negative_relationship_with_achievement", ("negative",), "achievement"),
)
NEW = "new samples"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be sampled: the name its draws are kept and saved under, its title, and the words of its parameters.

    The name is for files and never shown, so that a title can be worded anew without drawing again.
    """

    name: str
    title: Text
    words: Mapping[str, Text]


@dataclass(frozen=True, slots=True)
class Sampled:
    """A sampled fit as plain data: its parameters, or the reasons why there are none.

    `agreement` sets it beside the exact posterior of the same model, where there is one.
    """

    asked: Asked
    parameters: tuple[dict[str, Any], ...]
    reasons: tuple[Text, ...]
    seed: int
    agreement: tuple[AgreementRow, ...] = ()
    draws: Draws | None = None


def sampled_tables(fits: tuple[Sampled, ...]) -> tuple[Table, ...]:
    """One table per fit: estimates with their Monte Carlo errors, or the reasons of the failure."""
    tables = []
    for number, fit in enumerate(fits):
        title = fit.asked.title
        if fit.reasons:
            tables.append(_failed(f"failed-{number}", title, fit.reasons))
            continue
        rows = tuple((fit.asked.words[p["name"]], *(p[q] for q in QUANTITIES)) for p in fit.parameters)
        heads = ("parameter", "mean_z", "sd", "low", "high", "monte_carlo_error", "rhat", "ess_bulk", "ess_tail")
        seed = Label("seed_note", {"seed": str(fit.seed)})
        tables.append(Table(id=f"sampled-{number}", title=title, columns=heads, rows=rows, note=seed))
    return tuple(tables)


def _failed(id: str, title: Text, reasons: tuple[Text, ...]) -> Table:  # noqa: A002
    """A fit that failed its checks: why, and never an estimate."""
    rows = tuple((reason,) for reason in reasons)
    return Table(id=id, title=Label("failed_fit", {"what": title}), columns=("reason",), rows=rows)


def agreement_table(fits: tuple[Sampled, ...]) -> Table:
    """Exact and sampled posteriors of the same models, number by number."""
    rows = tuple(
        (fit.asked.title, fit.asked.words[row.parameter], _quantity(row), row.exact, row.sampled, row.mcse, row.z,
         "yes" if row.agrees else "no")
        for fit in fits
        for row in fit.agreement
    )  # fmt: skip
    counts = {"agree": sum(row[-1] == "yes" for row in rows), "all": len(rows), "limit": LIMIT}
    return Table(
        id="agreement",
        title="exact_and_sampled",
        columns=("model", "parameter", "quantity", "exact", "sampled", "monte_carlo_error", "distance_in_errors",
                 "agrees"),
        rows=rows,
        note=Label("agreement_note", counts),
    )  # fmt: skip


def _quantity(row: AgreementRow) -> Text:
    return row.quantity if row.probability is None else Label("quantile_at", {"p": row.probability})


def agreement_sentence(fits: tuple[Sampled, ...]) -> Sentence:
    """How many numbers of sampled posteriors agree with exact ones, and how many fits failed their checks."""
    rows = [row for fit in fits for row in fit.agreement]
    counts: dict[str, float | int] = {
        "agree": sum(row.agrees for row in rows),
        "all": len(rows),
        "limit": LIMIT,
        "fits": len(fits),
        "failed": sum(bool(fit.reasons) for fit in fits),
    }
    return Sentence("sampled.answer", numbers(counts, Ref("table", "agreement")), "answer")


def with_exact(context: Context, found: Evidence) -> Sampled:
    """The same model sampled and exactly."""
    priors = correlation_priors()
    exact = posterior_of(found, priors)
    # With one effect per sample the level within samples could not be told from sampling error.
    several = len(set(found.samples)) < len(found.samples)
    V = BlockV.constant_correlation(found.v, found.samples, RHO) if several else found.v
    data = multilevel_data(found.y, V, sample=found.samples, structure="shared" if several else "none")
    inner = priors.within if several else priors.tau
    levels, model = ("three-levels", "three_levels") if several else ("two-levels", "two_levels")
    words = parameter_labels(data, {"intercept": "mean"})
    return _draw(
        context,
        Asked(f"{found.question.id}-{levels}", within(found.question.label, model), words),
        (found.y, found.v),
        lambda settings, folder: sample_multilevel(
            data, MultilevelPriors(priors.mean, priors.between, inner), settings, compile_dir=folder
        ),
        exact,
    )


def cells_at_once(context: Context) -> tuple[Sampled, tuple[Estimate, ...]]:
    """Four cells of relationship and outcome in one model; old against new samples as a moderator."""
    bodies = [evidence(context.data, question, "pool") for question in CELLS]
    y, v = (np.concatenate([getattr(body, name) for body in bodies]) for name in ("y", "v"))
    samples = np.concatenate([body.samples for body in bodies])
    works = np.concatenate([body.rows["work"].to_numpy() for body in bodies])
    cells = np.concatenate([np.full(len(body.y), body.question.id) for body in bodies])
    new = (works != "roorda2011").astype(float)
    priors = correlation_priors()
    data = multilevel_data(
        y,
        BlockV.constant_correlation(v, samples, RHO),
        sample=samples,
        cell=cells,
        # Centred: the cell means are then those at the mix of old and new samples, not of the old ones.
        moderators={NEW: new - new.mean()},
    )
    chosen = MultilevelPriors([priors.mean] * 4 + [priors.slope], priors.between, priors.within)
    labels: dict[str, Text] = {question.id: question.label for question in CELLS}
    fit = _draw(
        context,
        Asked("four-cells", "four_cells", parameter_labels(data, {**labels, NEW: "new_samples"})),
        (y, v, new),
        lambda settings, folder: sample_multilevel(data, chosen, settings, compile_dir=folder),
    )
    # Only the four means are readers' numbers; variances and slopes stand in the table of the fit.
    shown = [p for p in fit.parameters if p["name"] in labels]
    estimates = tuple(
        Estimate(
            id=f"cells-{p['name']}",
            label=within(labels[p["name"]], "all_cells_at_once"),
            metric="r",
            value=float(back_to_r(p["mean"])),
            low=float(back_to_r(p["low"])),
            high=float(back_to_r(p["high"])),
            k=len(y),
            samples=len(set(samples)),
            group="bayes",
            method={"model": "multilevel_sampled", "seed": str(fit.seed)},
        )
        for p in shown
    )
    return fit, estimates


def selection_on(context: Context, found: Evidence, expected: int) -> Sampled:
    """A random-effects selection model on one value per sample, one-sided step at .025."""
    means = sample_means(found)
    priors = correlation_priors()
    data = selection_data(means.y, means.v, expected_sign=expected)
    return _draw(
        context,
        Asked(
            f"{found.question.id}-selection",
            of(found.question.label, "selection_model"),
            data.parameter_labels({"intercept": "mean"}),
        ),
        (means.y, means.v),
        lambda settings, folder: sample_selection(
            data, SelectionPriors(priors.mean, priors.tau), settings, compile_dir=folder
        ),
    )


def _draw(
    context: Context,
    asked: Asked,
    arrays: tuple[Array, ...],
    sample: Callable[[Settings, Path], SampledPosterior | Failed],
    exact: ExactPosterior | None = None,
) -> Sampled:
    # The seed of the run: equal inputs give equal draws, so that they can be kept by content.
    settings = Settings(seed=context.seed)
    key = digest_of(_code(), asked.name, str(settings), str(correlation_priors()), *(a.tobytes() for a in arrays))

    def compute() -> dict[str, Any]:
        posterior = sample(settings, paths.cache_dir() / "compiled")
        if isinstance(posterior, Failed):
            reasons = [plain(reason.text) for reason in posterior.reasons]
            return {"parameters": [], "reasons": reasons, "agreement": [], "draws": None}
        parameters = [
            {
                "name": p.name,
                "mean": p.mean,
                "sd": p.sd,
                "low": p.quantile(0.025),
                "high": p.quantile(0.975),
                "mcse": p.mcse_mean,
                "rhat": p.rhat,
                "ess_bulk": p.ess_bulk,
                "ess_tail": p.ess_tail,
            }
            for p in posterior.parameters
        ]
        agreement = [asdict(row) for row in compare_with_exact(exact, posterior)] if exact else []
        draws = _saved(posterior, asked.name)
        return {"parameters": parameters, "reasons": [], "agreement": agreement, "draws": draws}

    kept = context.remember(f"sampled-{asked.name}", key, compute)
    assert isinstance(kept, dict)
    agreement = tuple(AgreementRow(**row) for row in kept["agreement"])
    draws = Draws(**kept["draws"]) if kept["draws"] else None
    reasons = tuple(_reason(reason, asked.words) for reason in kept["reasons"])
    return Sampled(asked, tuple(kept["parameters"]), reasons, context.seed, agreement, draws)


def _reason(kept: Mapping[str, Any], words: Mapping[str, Text]) -> Text:
    """A reason as a store gives it back, the parameter in it by its words."""
    said: Label = restored(kept)
    name = said.values.get("name")
    return replace(said, values={**said.values, "name": words.get(str(name), name)}) if name is not None else said


def _saved(posterior: SampledPosterior, name: str) -> Draws:
    """All draws of all parameters, as they passed the gate: none is thinned."""
    parameters = [p.name for p in posterior.parameters]
    chains = posterior.draws.shape[0]
    settings = posterior.settings
    said = {"drawn": "NUTS (nutpie)", "seed": str(settings.seed), "warm-up, not saved": str(settings.tune)}
    priors = {f"prior of {one}": f"{p.distribution} {p.parameters}" for one, p in posterior.priors.items()}
    columns = rounded({name: posterior.draws[:, :, i] for i, name in enumerate(parameters)})
    method = {"model": posterior.model, **posterior.method, **said, **priors}
    return Draws(id=name, chains=chains, columns=columns, method=method)


def _code() -> str:
    """The digest of the Bayesian models' code: with another line of it, draws are drawn anew."""
    return python_digest(Path(bayes.__file__).parent)


STUDENTS, CLASSES = "thornberg2022-001", "thornberg2022-002"
SHARE = 4


def simulated_recovery(context: Context, compile_dir: Path) -> Findings:
    """One simulated study: every stated value beside its posterior, or why there is none."""
    claims = claims_by_id(context.data)
    students, classes = (int(parse_printed(claims[c].printed["value"]).value) // SHARE for c in (STUDENTS, CLASSES))
    settings = Settings(seed=context.seed)
    truth = simulated_truth()

    def compute() -> dict[str, Any]:
        found = recover_simulated_roles(truth, students, classes, settings, compile_dir=compile_dir)
        if isinstance(found, Failed):
            return {"rows": [], "reasons": [plain(reason.text) for reason in found.reasons]}
        rows = [[r.name, r.truth, r.mean, r.sd, r.low, r.high, "yes" if r.covered else "no"] for r in found.rows]
        return {"rows": rows, "reasons": []}

    # Kept under version control, so by the code it rests on alone: averages and exact posteriors are no part of it.
    code = (python_digest(Path(bayes.__file__).parent / room) for room in ("priors", "sampled"))
    key = digest_of(*code, str(truth), str(settings), str(students), str(classes))
    kept = context.remember("recovery-roles", key, compute)
    assert isinstance(kept, dict)
    title = Label("simulated_students", {"students": students, "classes": classes})
    words = _words_of_roles()
    if kept["reasons"]:
        return Findings(tables=(_failed("failed", title, tuple(_reason(one, words) for one in kept["reasons"])),))
    covered = sum(row[6] == "yes" for row in kept["rows"])
    table = Table(
        id="recovery",
        title=within(title, "stated_values_and_posteriors"),
        columns=("value", "stated", "posterior_mean", "sd", "low", "high", "interval_holds_it"),
        rows=tuple((words[row[0]], *row[1:]) for row in kept["rows"]),
        note=Label("recovery_note", {"covered": covered, "all": len(kept["rows"]), "level": 0.95}),
    )
    return Findings(tables=(table,))


ROLES = ("role_bully", "role_victim", "role_bully_victim")
PREDICTOR_WORDS = (
    "intercept",
    "relationship_of_the_student",
    "girl",
    "age",
    "ses_of_the_student",
    "immigrant",
    "relationship_of_the_class",
    "peer_climate_of_the_class",
    "ses_of_the_class",
)


def _words_of_roles() -> dict[str, Text]:
    """What each stated value of the model of roles is, by the name the model has for it."""
    roles = tuple(zip(CONTRASTS, ROLES, strict=True))
    slopes: dict[str, Text] = {
        slope_of(role, predictor): of(said, word)
        for role, said in roles
        for predictor, word in zip(PREDICTORS, PREDICTOR_WORDS, strict=True)
    }
    return slopes | {class_sd_of(role): of(said, "sd_between_classes") for role, said in roles}

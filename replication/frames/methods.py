"""A fit's own paragraph for the methods section: every choice as a sentence, nothing that the fit does not hold."""

from __future__ import annotations

from collections.abc import Mapping

from replication.errors import list_rows
from replication.frames.fitted import FittedModel
from replication.models.multilevel.multilevel import MultilevelData
from replication.models.multilevel.robust import RobustData

__all__ = ["methods_text"]

_TAU2: Mapping[str, str] = {
    "DL": "the estimator of DerSimonian and Laird (1986)",
    "DLIT": "the iterated estimator of DerSimonian and Laird (Kontopantelis & Reeves, 2012)",
    "HE": "the estimator of Hedges and Olkin (1985)",
    "HS": "the estimator of Hunter and Schmidt (2004)",
    "HSk": "the estimator of Hunter and Schmidt with the small-sample correction of Brannick et al. (2019)",
    "SJ": "the estimator of Sidik and Jonkman (2005)",
    "SJIT": "the iterated estimator of Sidik and Jonkman (2005)",
    "ML": "maximum likelihood",
    "REML": "restricted maximum likelihood",
    "EB": "the empirical Bayes estimator of Morris (1983)",
    "PM": "the estimator of Paule and Mandel (1982)",
    "PMM": "the median-unbiased estimator of Paule and Mandel (Viechtbauer, 2021)",
    "GENQ": "the generalised Q statistic (DerSimonian & Kacker, 2007)",
    "CO": "the Cochran estimator (Hedges & Olkin, 1985)",
    "fixed": "no estimator: its value was given",
}

_TESTS: Mapping[str, str] = {
    "z": "the normal distribution",
    "t": "the t distribution with k - p degrees of freedom",
    "knha": "the method of Knapp and Hartung (2003)",
    "adhoc": "the method of Knapp and Hartung (2003), never narrower than the t test",
}


def methods_text(model: FittedModel) -> str:
    """The paragraph: model, estimators, tests, heterogeneity, prediction, what was left out, what to know.

    Every sentence comes from the record of the fit, so that the text cannot say what was not done.
    """
    parts = [_model(model), _variance(model), _tests(model), _intervals(model), _rows(model), _remarks(model)]
    return " ".join(part for part in parts if part)


def _model(model: FittedModel) -> str:
    fit, method = model.fit, model.fit.method
    what = f"the formula {model.formula!r}" if model.has_moderators else "an intercept only"
    # Only what departs from the usual is said, as in a paper.
    weights = " with user-defined weights" if method.get("weights", "") == "as given" else ""
    if "model" in method:
        levels = ", ".join(part.name for part in fit.components)
        return (
            f"A {method['model']} meta-analytic model was fitted to {fit.k} effects with {what}{weights}; random "
            f"effects: {levels}. The sampling covariance was {_covariance(method)}."
        )
    kind = "common-effect" if method.get("tau2") == "EE" else "random-effects"
    return f"A {kind} model was fitted to {fit.k} effects with {what}{weights}."


def _covariance(method: Mapping[str, str]) -> str:
    words = {"constant_correlation": f"of constant correlation {method.get('rho')}", "given_blocks": "given in blocks"}
    chosen = method.get("V", "as given")
    return words.get(chosen, chosen)


def _variance(model: FittedModel) -> str:
    method = model.fit.method
    if "estimator" in method:
        return f"Variances were estimated by {_TAU2.get(method['estimator'], method['estimator'])}."
    tau2 = method.get("tau2", "EE")
    if tau2 == "EE":
        return "The true effect was assumed to be the same in all studies."
    return f"The variance of true effects (tau2) was estimated by {_TAU2.get(tau2, tau2)}."


def _tests(model: FittedModel) -> str:
    data, method = model.fit.data, model.fit.method
    if isinstance(data, RobustData):
        where = "the outermost level" if isinstance(data.before.data, MultilevelData) else "single rows or as given"
        df = "Satterthwaite degrees of freedom" if data.df == "satterthwaite" else "m - p degrees of freedom"
        return (
            f"Standard errors are cluster-robust ({data.kind}; Pustejovsky & Tipton, 2018) over {model.fit.clusters} "
            f"clusters ({where}), with {df}."
        )
    return f"Coefficients were tested by {_TESTS.get(method.get('test', 'z'), method.get('test', 'z'))}."


def _intervals(model: FittedModel) -> str:
    level = f"{100 * model.fit.level:g} %"
    if model.fit.method.get("tau2") == "EE":
        return f"Intervals are at {level}. Heterogeneity is described by Cochran's Q."
    return (
        f"Intervals are at {level}; heterogeneity is described by Cochran's Q, I2 (Higgins & Thompson, 2002) and, "
        "where the model has no moderators, a prediction interval (Riley, Higgins & Deeks, 2011)."
    )


def _rows(model: FittedModel) -> str:
    dropped = model.design.dropped
    if not dropped:
        return ""
    columns = sorted({name for d in dropped for name in d.missing})
    return f"Left out for missing values ({', '.join(columns)}): {list_rows([d.row for d in dropped])}."


def _remarks(model: FittedModel) -> str:
    # Left-out rows have their own sentence above, with the columns they lack.
    notes = [note.message.rstrip(".") for note in model.fit.notes if note.code != "excluded-rows"]
    return f"To be reported with it: {'; '.join(notes)}." if notes else ""

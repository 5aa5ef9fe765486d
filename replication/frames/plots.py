"""Plots in one call: the drawings of the report, made from a fitted model or a data frame.

A `Plot` shows itself in notebooks, holds its data as a data frame, and saves as SVG, PNG, PDF or CSV.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from replication.analysis.outcome import Figure
from replication.errors import UserError
from replication.evidence.plots import paged
from replication.formulas import harmless
from replication.frames.design import Column, column, number_column
from replication.frames.fitted import FittedModel, Transform, effects_of, marginal_variances
from replication.frames.postestimation import cumulative, leave_one_out, predict
from replication.frames.structural import StructuralModel
from replication.lazily import missing_extra
from replication.models.fit import Array
from replication.models.multilevel.multilevel import MultilevelData
from replication.models.multilevel.results import profile_log_likelihood, row_sum_weights
from replication.models.multilevel.robust import RobustData
from replication.models.options import check_choice
from replication.models.prediction import prediction_interval
from replication.models.prepare import EffectData
from replication.models.probability import normal_isf, t_sf
from replication.models.two_level.influence import baujat, gosh, influence
from replication.report.figures import WIDE, Drawing, FigureData, draw
from replication.report.words import load_words, worded

__all__ = [
    "Plot",
    "baujat_plot",
    "bubble_plot",
    "caterpillar_plot",
    "cumulative_plot",
    "forest_plot",
    "funnel_plot",
    "gosh_plot",
    "leave_one_out_plot",
    "orchard_plot",
    "p_value_plot",
    "path_plot",
    "profile_plot",
    "qq_plot",
    "radial_plot",
]

_ASSETS = Path(__file__).parent.parent / "report" / "assets"
# Pixels of a PNG for each unit of the drawing: sharp on paper.
_PNG_SCALE = 3.0
_POINTS = 101
_NARROWEST = 300.0
_PAGED = ("forest", "caterpillar", "leave_one_out", "cumulative")
_LONG = 120  # rows; more do not fit a page at a size that can be read
Language = Literal["en", "nb"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plot:
    """A figure: its data, and the SVG that the report would show."""

    data: FigureData
    svg: str

    def to_frame(self) -> pd.DataFrame:
        """The numbers behind the figure."""
        return pd.DataFrame(dict(self.data.columns))

    def save(self, path: str | Path) -> Path:
        """Write the figure: .svg, .png, .pdf, or .csv (its data). Other endings raise `UserError`."""
        target = Path(path)
        kind = target.suffix.lower().lstrip(".")
        if kind == "svg":
            target.write_text(self.svg, encoding="utf-8")
        elif kind == "csv":
            self.to_frame().map(lambda cell: harmless(cell) if isinstance(cell, str) else cell).to_csv(
                target, index=False
            )
        elif kind == "png":
            target.write_bytes(_typeset(_flat(self.svg), "png"))
        elif kind == "pdf":
            target.write_bytes(_typeset(_flat(self.svg), "pdf"))
        else:
            raise UserError(
                f"{target.name}: no figure is written as {target.suffix!r}; end it in .svg, .png, .pdf or .csv."
            )
        return target

    def restyled(
        self, *, width: float | None = None, title: str | None = None, axis: str | None = None, language: str = "en"
    ) -> Plot:
        """The same figure drawn anew.

        Parameters
        ----------
        width : pixels of the drawing, 300 at least; below 500 labels stand above the marks, as on a phone
        title : of the figure, read aloud and shown where it is cited
        axis : the name below the axis of values
        language : "en" or "nb", for everything the drawing itself says
        """
        if width is not None and not width >= _NARROWEST:
            raise UserError(f"width={width!r} leaves no room for labels; pass {_NARROWEST:.0f} pixels or more.")
        settings = {**self.data.settings, **({} if axis is None else {"x_label": axis})}
        data = replace(self.data, title=self.data.title if title is None else title, settings=settings)
        return _drawn(data, WIDE if width is None else width, language)

    def pages(self, rows: int = 60) -> tuple[Plot, ...]:
        """A figure of a row per effect in parts of at most `rows` rows, which share one scale."""
        if self.data.kind not in _PAGED:
            raise UserError(f"a {self.data.kind} plot has no rows to split; those that have are {', '.join(_PAGED)}.")
        whole = Figure(id=self.data.id, kind=self.data.kind, title=self.data.title,
                       columns=self.data.columns, settings=self.data.settings)  # fmt: skip
        parts = [
            replace(self.data, id=page.id, title=worded(page.title), columns=page.columns, settings=page.settings)
            for page in paged(whole, rows)
        ]
        return tuple(_drawn(part, WIDE, "en") for part in parts)

    def on(self, axes: Any) -> None:
        """Show the figure within matplotlib axes, as a picture of three times its size; their ticks go."""
        try:
            from matplotlib.image import imread
        except ModuleNotFoundError as error:
            raise UserError(missing_extra(error)) from None
        axes.imshow(imread(BytesIO(_typeset(_flat(self.svg), "png"))))
        axes.set_axis_off()

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        long = ", .pages() splits it" if self.data.kind in _PAGED and len(self.data) > _LONG else ""
        return f"<{self.data.title}: {len(self.data)} rows; .save('figure.svg') writes it{long}>"


def forest_plot(
    model: FittedModel,
    *,
    transform: Transform | None = None,
    group: Column | None = None,
    title: str = "",
    label: str = "",
) -> Plot:
    """Effects with intervals and weights (row sums), the mean as a diamond, its prediction interval below.

    Parameters
    ----------
    model : with an intercept only
    transform : such as `numpy.tanh`
    group : column whose values stand as headings over their rows
    title, label : of the figure and of its axis
    """
    return _intervals("forest", model, transform, group, title or "Forest plot", label)


def caterpillar_plot(
    model: FittedModel, *, transform: Transform | None = None, title: str = "", label: str = ""
) -> Plot:
    """The effects in order of size, close together."""
    return _intervals("caterpillar", model, transform, None, title or "Caterpillar plot", label)


def funnel_plot(model: FittedModel, *, title: str = "", egger: bool = False) -> Plot:
    """Effects against standard errors with regions of p around 0; `egger` draws the regression line of the test."""
    data = _effects(model)
    settings: dict[str, Any] = {"metric": "estimate", "reference": 0.0}
    if not model.has_moderators:
        settings["center"] = float(model.fit.beta[0])
    if egger:
        from replication.models.bias import egger_test

        # Imported where it is needed: most funnels are drawn without the test.
        fit = egger_test(data.y, data.v).fit
        settings |= {"line_intercept": float(fit.beta[0]), "line_slope": float(fit.beta[-1])}
    columns = {"label": model.labels, "value": data.y, "se": np.sqrt(data.v)}
    return _plot("funnel", title or "Contour-enhanced funnel plot", columns, settings)


def orchard_plot(model: FittedModel, by: str, *, title: str = "") -> Plot:
    """Effects as swarms by the levels of `by`, each with its mean, interval and prediction interval."""
    data, frame = _effects(model), model.design.frame
    groups = [str(value) for value in column(frame, by, "by").iloc[list(model.rows)]]
    means = predict(model, pd.DataFrame({by: sorted(set(groups))})) if model.has_moderators else None
    rows = [
        (label, g, "effect", y, 100 / v) for label, g, y, v in zip(model.labels, groups, data.y, data.v, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["label", "group", "role", "value", "weight"])
    if means is not None:
        summary = means.rename(columns={by: "group", "fit": "value", "ci_low": "low", "ci_high": "high"})
        summary = summary.rename(columns={"pi_low": "prediction_low", "pi_high": "prediction_high"})
        # Means come from predict on the levels of `by`, so the model must have it as a moderator.
        kept = ["group", "value", "low", "high", "prediction_low", "prediction_high"]
        table = pd.concat([table, summary[kept].assign(role="summary", label=summary.group)], ignore_index=True)
    return _plot("orchard", title or f"Effects by {by}", table, {"metric": "estimate"})


def bubble_plot(model: FittedModel, moderator: str, *, at: Mapping[str, object] | None = None, title: str = "") -> Plot:
    """A meta-regression: effects over a numeric moderator, the fitted line and its confidence band.

    `at` holds other moderators at values; by default numeric ones stand at their mean, others at their first level.
    """
    data, frame = _effects(model), model.design.frame.iloc[list(model.rows)]
    x = number_column(frame, moderator, "moderator")
    grid = np.linspace(x.min(), x.max(), _POINTS)
    # A line needs all moderators: those that are not drawn stand where most studies are.
    held = {str(n): _typical(frame[n]) for n in model.design.spec.required_variables if str(n) != moderator}
    line = predict(model, pd.DataFrame({**held, **(at or {}), moderator: grid}))
    # Marks by the weight in the model, not by n: with much heterogeneity they are nearly equal, as the weights are.
    weight = 1.0 / marginal_variances(model.fit)
    parts = [
        pd.DataFrame({"label": model.labels, "x": x, "y": data.y, "role": "point", "weight": weight}),
        *(
            pd.DataFrame({"label": "fitted", "x": grid, "y": line[name], "role": role})
            for name, role in (("fit", "line"), ("ci_low", "low"), ("ci_high", "high"))
        ),
    ]
    settings = {"x_label": moderator, "y_label": model.design.response}
    return _plot("relation", title or f"{model.design.response} by {moderator}", pd.concat(parts), settings)


def baujat_plot(model: FittedModel, *, title: str = "") -> Plot:
    """Each effect's share of the heterogeneity against its influence on the mean (Baujat et al. 2002)."""
    found = baujat(model.fit)
    columns = {"label": model.labels, "x": found.heterogeneity, "y": found.influence}
    return _plot("baujat", title or "Baujat plot", columns, {})


def gosh_plot(model: FittedModel, *, subsets: int = 10_000, seed: int = 2024, title: str = "") -> Plot:
    """The mean of many subsets of studies against their heterogeneity (Olkin, Dahabreh & Trikalinos 2012)."""
    found = gosh(model.fit, np.random.default_rng(seed), subsets=subsets)
    whole = np.isfinite(found.fits.beta[:, 0]) & np.isfinite(found.fits.I2)
    # thousands of points are counted in cells, so that the figure stays small and shows where they crowd
    counts, xs, ys = np.histogram2d(found.fits.beta[whole, 0], found.fits.I2[whole], bins=(60, 40))
    i, j = np.nonzero(counts)
    cells = pd.DataFrame({"x": (xs[i] + xs[i + 1]) / 2, "y": (ys[j] + ys[j + 1]) / 2, "weight": counts[i, j]})
    cells = cells.assign(label=[f"{int(n)} subsets" for n in cells.weight], role="point")
    settings = {"x_label": model.design.response, "y_label": "I2, per cent"}
    return _plot("relation", title or "Subsets of studies (GOSH)", cells, settings)


def leave_one_out_plot(model: FittedModel, *, transform: Transform | None = None, title: str = "") -> Plot:
    """The mean without each effect, or without each cluster, over the band of the whole."""
    table = _first_term(leave_one_out(model), model).rename(columns={"without": "label"})
    return _series("leave_one_out", table, model, transform, title or "Each left out in turn")


def cumulative_plot(
    model: FittedModel, order: Column | None = None, *, transform: Transform | None = None, title: str = ""
) -> Plot:
    """The mean as effects are added, in the order of the column `order`."""
    table = _first_term(cumulative(model, order), model).rename(columns={"added": "label"})
    return _series("cumulative", table, model, transform, title or "Effects added one by one")


def radial_plot(model: FittedModel, *, title: str = "") -> Plot:
    """Galbraith's radial plot: standardised effects against precision, with the mean as the slope of the line."""
    data = _effects(model)
    # With tau2 in it: about 95 % of the points then lie within the band, if the model holds.
    spread = np.sqrt(marginal_variances(model.fit))
    x, mean = 1.0 / spread, float(model.fit.beta[0])
    # From the origin, as the slope of a line through it is the mean.
    ends = np.array([0.0, float(x.max())])
    z = float(normal_isf(0.025))
    lines = {"line": mean * ends, "low": mean * ends - z, "high": mean * ends + z}
    parts = [pd.DataFrame({"label": model.labels, "x": x, "y": data.y / spread, "role": "point"})]
    parts += [pd.DataFrame({"label": "mean", "x": ends, "y": y, "role": role}) for role, y in lines.items()]
    settings = {"x_label": "1 / standard deviation of the effect", "y_label": "standardised effect"}
    return _plot("relation", title or "Radial plot", pd.concat(parts), settings)


def qq_plot(model: FittedModel, *, title: str = "") -> Plot:
    """Deleted standardised residuals against quantiles of the normal distribution (Wang & Bushman 1998)."""
    residuals = influence(model.fit).rstudent
    order = np.argsort(residuals)
    k = len(order)
    # (i - 0.5) / k: the extremes stay finite, and the plot is symmetric.
    quantiles = np.asarray(-normal_isf((np.arange(1, k + 1) - 0.5) / k))
    ends = np.array([quantiles[0], quantiles[-1]])
    labels = np.array(model.labels, dtype=object)[order]
    points = pd.DataFrame({"label": labels, "x": quantiles, "y": residuals[order], "role": "point"})
    line = pd.DataFrame({"label": "normal", "x": ends, "y": ends, "role": "line"})
    settings = {"x_label": "normal quantile", "y_label": "standardised deleted residual"}
    return _plot("relation", title or "Normal quantile plot", pd.concat([points, line]), settings)


def p_value_plot(model: FittedModel, *, single_studies: bool = False, title: str = "") -> Plot:
    """The p-value function of the mean: p of every null value; with `single_studies` a drapery plot (Rücker 2021)."""
    data, fit = _effects(model), model.fit
    # Beyond four standard errors p is below .0001 and the curve lies on the axis.
    reach = 4.0 * float(fit.se[0])
    low, high = float(fit.beta[0]) - reach, float(fit.beta[0]) + reach
    if single_studies:
        low, high = min(low, float(data.y.min())), max(high, float(data.y.max()))
    grid = np.linspace(low, high, 4 * _POINTS)
    curves: dict[str, Array] = {"mean": _p_function(grid, float(fit.beta[0]), float(fit.se[0]), float(fit.df[0]))}
    if single_studies:
        curves |= {
            label: _p_function(grid, y, float(np.sqrt(v)), np.inf)
            for label, y, v in zip(model.labels, data.y, data.v, strict=True)
        }
    parts = [
        pd.DataFrame({"label": name, "x": grid, "y": p, "role": "line" if name == "mean" else "thin"})
        for name, p in curves.items()
    ]
    settings = {"x_label": model.design.response, "y_label": "p", "y_low": 0.0, "y_high": 1.0}
    return _plot("relation", title or "p-value function", pd.concat(parts), settings)


def profile_plot(model: FittedModel, component: str | None = None, *, title: str = "") -> Plot:
    """The profile log-likelihood of one variance of a multilevel model, with the cut of its 95 % interval.

    `component` is a name of `model.components()`, the first by default.
    """
    data = model.fit.data
    if not isinstance(data, MultilevelData):
        raise UserError("profile_plot needs a multilevel model, before robust(); fit it with multilevel().")
    name = component or model.fit.components[0].name
    part = model.fit.component(name)
    # A variance of 0 has no standard error; a typical sampling variance gives the scale then.
    width = 4.0 * part.se if np.isfinite(part.se) else 4.0 * (part.estimate or float(np.median(data.effects.v)))
    grid = np.linspace(max(0.0, part.estimate - width), part.estimate + width, _POINTS)
    height = profile_log_likelihood(model.fit, name, grid)
    cutoff = float(model.fit.loglik - 0.5 * normal_isf(0.025) ** 2)  # chi-square with 1 df
    low, high = float(height.min()), float(height.max())
    parts = [
        pd.DataFrame({"label": "profile", "x": grid, "y": height, "role": "line"}),
        pd.DataFrame({"label": "estimate", "x": [part.estimate] * 2, "y": [low, high], "role": "thin"}),
        pd.DataFrame({"label": "95 % cut", "x": grid[[0, -1]], "y": [cutoff] * 2, "role": "thin"}),
    ]
    settings = {"x_label": f"variance of {name}", "y_label": "log-likelihood"}
    return _plot("relation", title or f"Profile of the variance of {name}", pd.concat(parts), settings)


def path_plot(model: StructuralModel, *, title: str = "") -> Plot:
    """The path diagram of a structural model with estimates and intervals."""
    fit = model.fitted.fit
    cells = {cell.parameter: cell for cell in model.fitted.quantities.model.cells if cell.parameter}
    ends = fit.interval()
    rows = [
        (cells[n].source, cells[n].target, fit.beta[j], *ends[j], "covariance" if cells[n].covariance else "path")
        for j, n in enumerate(fit.names)
        # Slopes of moderators are parameters too, but no arrows of the diagram.
        if n in cells
    ]
    table = pd.DataFrame(rows, columns=["from", "to", "value", "low", "high", "kind"])
    return _plot("path_diagram", title or "Path model", table, {"metric": "beta"})


def _intervals(
    kind: str, model: FittedModel, transform: Transform | None, group: Column | None, title: str, label: str
) -> Plot:
    data = _effects(model)
    scale = transform or (lambda values: values)
    half = float(normal_isf(0.5 - model.fit.level / 2.0)) * np.sqrt(data.v)
    table = pd.DataFrame({"label": model.labels, "value": scale(data.y)})
    table = table.assign(low=scale(data.y - half), high=scale(data.y + half))
    if not model.has_moderators:
        table = table.assign(weight=_weights(model))
    if group is not None:
        groups = np.asarray(column(model.design.frame, group, "group"))[list(model.rows)]
        table = table.assign(cluster=[str(value) for value in groups]).sort_values("cluster", kind="stable")
    if kind == "caterpillar":
        table = table.sort_values("value")
    return _plot(kind, title, table, {**_summary(model, transform), **({"x_label": label} if label else {})})


def _effects(model: FittedModel) -> EffectData:
    """The effects of a model; whatever else is passed is named."""
    if not isinstance(model, FittedModel):
        raise UserError(f"a {type(model).__name__} is no fitted model; pass what random_effects() returned.")
    return effects_of(model.fit)


def _weights(model: FittedModel) -> Array:
    """Weights of rows in the mean, in per cent."""
    if isinstance(model.fit.data, MultilevelData | RobustData):
        return row_sum_weights(model.fit)
    data = _effects(model)
    w = 1.0 / marginal_variances(model.fit)
    # Those the mean was made with: a plot of others would show a mean that does not follow from it.
    w = w if data.weights is None else data.weights
    return np.asarray(100.0 * w / w.sum())


def _summary(model: FittedModel, transform: Transform | None) -> dict[str, Any]:
    """The mean with both intervals, as settings of a figure; only a metric where the model has moderators."""
    settings: dict[str, Any] = {"metric": "estimate"}
    if model.has_moderators:
        return settings
    scale = transform or (lambda values: values)
    (low, high), mean = model.fit.interval()[0], float(model.fit.beta[0])
    prediction = prediction_interval(model.fit)
    # Transformed last, all together: ends and mean then stay in their order on any rising scale.
    named = {"summary": mean, "summary_low": low, "summary_high": high}
    named |= {"prediction_low": prediction.low, "prediction_high": prediction.high, "reference": 0.0}
    return settings | {name: float(scale(value)) for name, value in named.items()}


def _first_term(table: pd.DataFrame, model: FittedModel) -> pd.DataFrame:
    return table[table.term == model.fit.names[0]]


def _series(kind: str, table: pd.DataFrame, model: FittedModel, transform: Transform | None, title: str) -> Plot:
    scale = transform or (lambda values: values)
    columns = {"label": table.iloc[:, 0], "value": scale(table.estimate.to_numpy())}
    columns |= {"low": scale(table.ci_low.to_numpy()), "high": scale(table.ci_high.to_numpy())}
    return _plot(kind, title, columns, _summary(model, transform))


def _p_function(grid: Array, mean: float, se: float, df: float) -> Array:
    return np.asarray(2.0 * t_sf(np.abs(grid - mean) / se, df))


def _typical(values: pd.Series[Any]) -> object:
    return float(values.mean()) if pd.api.types.is_numeric_dtype(values) else sorted(values.dropna().unique())[0]


def _plot(kind: str, title: str, columns: Mapping[str, Any] | pd.DataFrame, settings: Mapping[str, Any]) -> Plot:
    """Draw, or say why nothing can be drawn."""
    table = (
        columns if isinstance(columns, pd.DataFrame) else pd.DataFrame({k: np.asarray(v) for k, v in columns.items()})
    )
    cells = {str(name): [_cell(value) for value in values] for name, values in table.items()}
    figure = FigureData(kind, kind, title, "", cells, {k: _cell(v) for k, v in settings.items()})
    return _drawn(figure, WIDE, "en")


def _drawn(figure: FigureData, width: float, language: str) -> Plot:
    check_choice(language, Language, "language")
    drawing: Drawing = draw(figure, load_words(language), lambda _name: "", width=width)
    if drawing.wide is None:
        raise UserError(f"the figure cannot be drawn: {drawing.missing}.")
    return Plot(figure, drawing.wide.markup(drawing.alt, style=f"<style>{_sheet()}</style>"))


def _cell(value: object) -> object:
    """A cell as plain data: numpy numbers as Python's, NaN and infinities as None."""
    if isinstance(value, np.generic):
        # JSON and the drawing know Python's numbers only.
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


@cache
def _sheet() -> str:
    return (_ASSETS / "figures.css").read_text(encoding="utf-8")


def _flat(svg: str) -> str:
    """The drawing with the light colours written out, since the typesetter knows no variables."""
    light = dict(re.findall(r"(--f-[\w-]+):([^;}]+)", _sheet().partition("@media")[0]))
    lines: Sequence[str] = [line for line in svg.splitlines() if not line.startswith("@media")]
    return re.sub(r"var\((--f-[\w-]+)\)", lambda match: light[match[1]], "\n".join(lines))


def _typeset(svg: str, kind: Literal["png", "pdf"]) -> bytes:
    import tempfile

    try:
        import typst
    except ModuleNotFoundError as error:
        raise UserError(missing_extra(error)) from None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "figure.svg").write_text(svg, encoding="utf-8")
        source = Path(folder) / "figure.typ"
        source.write_text('#set page(width: auto, height: auto, margin: 6pt)\n#image("figure.svg")\n', encoding="utf-8")
        return bytes(typst.compile(str(source), format=kind, ppi=72 * _PNG_SCALE))

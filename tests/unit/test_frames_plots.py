"""Plots in one call: each is an SVG that holds every row, its data as a frame, and can be saved."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import replication as tsr
from replication.errors import UserError
from replication.frames import plots
from replication.frames.fitted import FittedModel

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def studies() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    data = {"r": np.tanh(rng.normal(0.3, 0.2, 16)), "n": rng.integers(40, 300, 16), "age": rng.uniform(6, 16, 16)}
    frame = pd.DataFrame({**data, "lab": np.repeat(np.arange(8), 2), "country": ["no", "se"] * 8})
    frame["author"] = [f"Author {i}" for i in range(16)]
    return tsr.effect_sizes(frame, "r", r="r", n="n")


@pytest.fixture(scope="module")
def mean(studies: pd.DataFrame) -> FittedModel:
    return tsr.random_effects("yi ~ 1", studies, labels="author")


CALLS: dict[str, Callable[[FittedModel], plots.Plot]] = {
    "forest": lambda m: plots.forest_plot(m, transform=np.tanh, group="country", label="r"),
    "caterpillar": plots.caterpillar_plot,
    "funnel": lambda m: plots.funnel_plot(m, egger=True),
    "baujat": plots.baujat_plot,
    "gosh": lambda m: plots.gosh_plot(m, subsets=200),
    "leave one out": plots.leave_one_out_plot,
    "cumulative": lambda m: plots.cumulative_plot(m, "n"),
    "radial": plots.radial_plot,
    "quantiles": plots.qq_plot,
    "p values": lambda m: plots.p_value_plot(m, single_studies=True),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_plot_is_a_whole_drawing_of_its_data(name: str, mean: FittedModel) -> None:
    plot = CALLS[name](mean)
    root = ET.fromstring(plot.svg)
    assert root.tag == f"{SVG}svg" and root.find(f"{SVG}title") is not None
    assert len(plot.to_frame()) == len(plot.data) > 0
    assert plot.svg == CALLS[name](mean).svg
    assert plot._repr_svg_() == plot.svg and "save" in repr(plot)


def test_a_forest_plot_names_every_study_and_shows_the_mean(mean: FittedModel) -> None:
    plot = plots.forest_plot(mean, transform=np.tanh)
    text = " ".join(node.text or "" for node in ET.fromstring(plot.svg).iter(f"{SVG}text"))
    assert all(label in text for label in mean.labels)
    assert plot.to_frame().weight.sum() == pytest.approx(100.0)
    assert plot.data.settings["summary"] == pytest.approx(float(np.tanh(mean.fit.beta[0])))


def test_weights_of_dependent_rows_are_row_sums(studies: pd.DataFrame) -> None:
    model = tsr.multilevel("yi ~ 1", studies, clusters="lab", rho=0.8)
    weights = plots.forest_plot(model).to_frame().weight.to_numpy()
    assert weights @ studies.yi.to_numpy() / 100 == pytest.approx(model.fit.beta[0], rel=1e-10)
    profile = plots.profile_plot(model, "lab").to_frame()
    assert profile[profile.role == "line"].y.max() <= model.fit.loglik + 1e-9
    assert len(plots.leave_one_out_plot(tsr.robust(model)).to_frame()) == 8


def test_meta_regressions_draw_line_band_and_swarms(studies: pd.DataFrame) -> None:
    model = tsr.random_effects("yi ~ age + country", studies)
    frame = plots.bubble_plot(model, "age", at={"country": "se"}).to_frame()
    line = frame[frame.role == "line"]
    expected = tsr.predict(model, pd.DataFrame({"age": line.x.to_numpy(), "country": "se"})).fit
    np.testing.assert_allclose(line.y, expected, rtol=1e-12)
    groups = tsr.random_effects("yi ~ 0 + country", studies)
    swarm = plots.orchard_plot(groups, "country").to_frame()
    np.testing.assert_allclose(swarm[swarm.role == "summary"].value.astype(float), groups.fit.beta, rtol=1e-10)


def test_figures_are_saved_as_what_their_name_ends_in(tmp_path: Path, mean: FittedModel) -> None:
    plot = plots.funnel_plot(mean)
    starts = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG", "csv": b"label,"}
    for ending, start in starts.items():
        assert plot.save(tmp_path / f"funnel.{ending}").read_bytes().startswith(start)
    with pytest.raises(UserError, match=r"no figure is written as '\.gif'"):
        plot.save(tmp_path / "funnel.gif")


def test_a_path_model_is_drawn_with_its_estimates() -> None:
    rows = [(s, 90, a, b, 0.3 + 0.02 * s) for s in range(4) for a, b in (("x", "m"), ("m", "y"), ("x", "y"))]
    table = pd.DataFrame(rows, columns=["study", "n", "var1", "var2", "r"])
    model = tsr.masem("y ~ b*m + c*x; m ~ a*x", table, effects="fixed")
    frame = plots.path_plot(model).to_frame().set_index(["from", "to"])
    assert frame.loc[("x", "m"), "value"] == pytest.approx(model.tidy().set_index("term").loc["a", "estimate"])


def test_a_plot_is_drawn_anew_in_size_words_and_language(mean: FittedModel) -> None:
    plot = plots.forest_plot(mean, transform=np.tanh)
    small = plot.restyled(width=400, title="Fourteen labs", axis="Pearson's r", language="nb")
    assert 'viewBox="0 0 400 ' in small.svg and "Fourteen labs" in small.svg and "Pearson&#x27;s r" in small.svg
    assert "Et nytt utvalg" in small.svg or "nytt utvalg" in small.svg
    assert plot.restyled().svg == plot.svg and small.to_frame().equals(plot.to_frame())
    with pytest.raises(UserError, match="300 pixels"):
        plot.restyled(width=100)
    with pytest.raises(UserError, match="nb"):
        plot.restyled(language="sv")


def test_a_long_figure_is_split_into_parts_that_hold_every_row_once(mean: FittedModel) -> None:
    plot = plots.caterpillar_plot(mean)
    parts = plot.pages(rows=6)
    assert [len(part.data) for part in parts] == [5, 6, 5]
    assert pd.concat([part.to_frame() for part in parts]).label.tolist() == plot.to_frame().label.tolist()
    assert len({(part.data.number("scale_low"), part.data.number("scale_high")) for part in parts}) == 1
    with pytest.raises(UserError, match="no rows to split"):
        plots.baujat_plot(mean).pages()


def test_a_figure_of_many_rows_says_how_it_is_split() -> None:
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"yi": rng.normal(0.3, 0.1, 130), "vi": np.full(130, 0.01)})
    plot = plots.forest_plot(tsr.random_effects("yi ~ 1", data))
    assert ".pages() splits it" in repr(plot) and max(len(part.data) for part in plot.pages()) <= 60


def test_a_figure_stands_within_matplotlib_axes(mean: FittedModel) -> None:
    pytest.importorskip("typst")
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    plots.funnel_plot(mean).on(axes)
    (image,) = axes.get_images()
    assert image.get_array().shape[1] > 1000 and not axes.axison


def test_a_label_that_a_spreadsheet_would_run_is_saved_as_text(studies: pd.DataFrame, tmp_path: Path) -> None:
    named = studies.assign(author=["=1+1", "+cmd|' /C calc'!A0", *studies["author"][2:]])
    saved = tsr.forest_plot(tsr.random_effects("yi ~ 1", named, labels="author")).save(tmp_path / "forest.csv")
    labels = pd.read_csv(saved)["label"].tolist()
    assert labels[:2] == ["'=1+1", "'+cmd|' /C calc'!A0"] and labels[2] == "Author 2"

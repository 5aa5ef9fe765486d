"""Models as text: what they mean, and that a mistake is quoted with the way out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.masem import fit_one_stage, fit_stage2, likelihood_intervals, parse_model, pooled_correlations
from replication.models.masem.model_text import parse_expression, variable
from replication.models.masem.sampling_covariance import PooledCorrelations
from tests.masem_data import roorda

NAMES = ["x", "y", "z", "w"]


def pool(count: int = 4, r: float = 0.3) -> PooledCorrelations:
    p = count * (count - 1) // 2
    return pooled_correlations(NAMES[:count], np.full(p, r) + np.arange(p) / 100, np.full(p, 0.002), 500)


def test_parameters_are_called_by_what_they_are() -> None:
    model = parse_model(
        """
        f =~ x + a*y          # a factor
        f ~ z ; w ~ f + 0.2*z
        z ~~ 1*z
        w ~~ e*w
        ind := a * 2
        """
    )
    assert model.parameters == ("f=~x", "a", "f~z", "w~f")
    assert model.latent == ("f",)
    assert set(model.observed) == {"x", "y", "z", "w"}
    assert model.residual_names == {"w": "e"}


def test_covariances_of_unexplained_variables_are_free_unless_written_otherwise() -> None:
    assert parse_model("y ~ x + z").parameters == ("y~x", "y~z", "x~~z")
    assert parse_model("y ~ x + z; x ~~ 0*z").parameters == ("y~x", "y~z")
    assert parse_model("y ~ x + z; z ~~ x").parameters == ("y~x", "y~z", "z~~x")


def test_several_left_sides_and_equal_labels() -> None:
    model = parse_model("y + w ~ x + z; y ~~ w")
    assert model.parameters == ("y~x", "y~z", "w~x", "w~z", "y~~w", "x~~z")
    assert parse_model("y ~ a*x + a*z").parameters == ("a", "x~~z")
    assert parse_model("y ~ a*x + b*z; a == b").parameters == ("b", "x~~z")
    assert parse_model("y ~ a*x + b*z; a == 0.25").parameters == ("b", "x~~z")


def test_an_equality_constraint_costs_one_degree_of_freedom() -> None:
    free = fit_stage2(pool(3), "y ~ a*x + b*z")
    equal = fit_stage2(pool(3), "y ~ a*x + b*z; a == b")
    assert equal.indices.df == free.indices.df + 1 == 1
    assert equal.indices.chi2 > 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no paths"),
        ("y x", "needs one of"),
        ("y ~", "is empty"),
        ("y ~ 1", "mean structure"),
        ("y ~ x*z*w", "cannot read"),
        ("y ~ y", "explain itself"),
        ("y ~ x; y ~ x", "given twice"),
        ("y ~~ x; x ~~ y", "given twice"),
        ("y ~ x; y ~~ 1*y", "every variance is 1"),
        ("y ~ x; x ~~ 2*x", "every variance is 1"),
        ("y ~ a*x; ind := a*b", "'b'"),
        ("y ~ a*x; a := a*2", "already the name"),
        ("y ~ a*x; ind := print(a)", "not understood"),
        ("y ~ a*x; ind := a**", "cannot read"),
        ("y ~ a*x; ind := a.real()", "not understood"),
        ("y ~ a*x; a == c", "'c' is not a free parameter"),
        ("1y ~ x", "not a name"),
    ],
)
def test_a_statement_that_cannot_be_read_is_quoted(text: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        parse_model(text)


def test_a_variable_that_is_not_in_the_data_is_named_with_its_neighbours() -> None:
    with pytest.raises(ModelError, match=r"'engagement' \(do you mean 'enga'\?\)"):
        fit_one_stage(roorda(), "engagement ~ pos + neg")
    with pytest.raises(ModelError, match="known are 'x', 'y', 'z'"):
        fit_stage2(pool(3), "y ~ q")
    with pytest.raises(ModelError, match="rename the factor"):
        fit_stage2(pool(4), "x =~ y + z + w")


@pytest.mark.parametrize(
    ("text", "culprits"),
    [
        ("f =~ x + y", ("f=~x", "f=~y")),
        ("y ~ x; x ~ y", ("y~x", "x~y")),
        ("y ~ x; w ~ x; z ~ x; y ~~ w + z; w ~~ z; x ~~ y", ("y~x", "x~~y")),
        ("f =~ x + y; g =~ z + w; f ~~ 0*g", ("f=~x", "f=~y", "g=~z", "g=~w")),
    ],
)
def test_a_model_that_is_not_identified_names_the_paths(text: str, culprits: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match="not identified") as caught:
        fit_stage2(pool(4), text)
    for name in culprits:
        assert name in str(caught.value)


def test_an_identified_loop_and_a_second_order_factor_are_let_through() -> None:
    loop = fit_stage2(pool(4), "x ~ z; y ~ w; x ~ y; y ~ x; x ~~ 0*y")
    assert loop.indices.df == 1
    names = [f"v{i}" for i in range(6)]
    r = np.full(15, 0.3) + np.arange(15) / 200
    six = pooled_correlations(names, r, np.full(15, 0.002), 500)
    second = fit_stage2(six, "f =~ v0 + v1 ; g =~ v2 + v3; h =~ v4 + v5; top =~ f + g + h")
    assert np.diag(second.implied) == pytest.approx(np.ones(6))
    assert second.indices.df == 6


def test_a_named_residual_variance_follows_from_the_paths() -> None:
    paths = fit_stage2(pool(3), "y ~ a*x + b*z; y ~~ e*y; r2 := 1 - e")
    expected = paths.fit.beta[:2] @ [0.3, 0.32]  # R2 of y is the sum of path times correlation
    assert paths.effect("r2").estimate == pytest.approx(expected)
    assert paths.effect("y~~y").estimate == paths.effect("e").estimate
    ends = likelihood_intervals(paths, ["e", "r2"])
    assert 1 - ends["e"].high == pytest.approx(ends["r2"].low)


def test_unknown_quantities_and_effects_are_listed() -> None:
    paths = fit_stage2(pool(3), "y ~ a*x + b*z; s := a + b")
    with pytest.raises(ModelError, match="quantities: 'sum'"):
        likelihood_intervals(paths, ["sum"])
    with pytest.raises(ModelError, match="there are s, y~~y"):
        paths.effect("t")


@pytest.mark.parametrize("text", ["a*b", "a/b - 2", "a**2 + b^3", "-exp(a)*log(b)", "sqrt(a + b)/(1 - a)", "a**b"])
def test_expressions_have_exact_first_and_second_derivatives(text: str) -> None:
    expression = parse_expression("g", text)
    point, h = np.array([0.4, 0.7]), 1e-5

    def at(x: np.ndarray) -> float:
        return expression.at({"a": variable(x[0], 0, 2), "b": variable(x[1], 1, 2)}, 2).value

    jet = expression.at({"a": variable(0.4, 0, 2), "b": variable(0.7, 1, 2)}, 2)
    for i in range(2):
        up, down = point.copy(), point.copy()
        up[i] += h
        down[i] -= h
        assert jet.gradient[i] == pytest.approx((at(up) - at(down)) / (2 * h), rel=1e-7)
        for j in range(2):
            e = np.eye(2)[j] * h
            second = (at(up + e) - at(up - e) - at(down + e) + at(down - e)) / (4 * h * h)
            assert jet.hessian[i, j] == pytest.approx(second, abs=2e-5)


def test_an_expression_outside_its_domain_is_nan() -> None:
    jet = parse_expression("g", "log(a)").at({"a": variable(-1.0, 0, 1)}, 1)
    assert math.isnan(jet.value)

"""Each formula of the effect sizes stands in one place: elsewhere its literal form is refused, by the syntax tree.

`effects.correlation` owns Fisher's z and back, the variances of z and r and the n behind them; `effects.covariance` the
covariance of effects that share a correlation; `models.probability` the normal quantile of 95 %. Whoever writes the
formula again would have to remember every later change of it.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORRELATION = "replication/effects/correlation.py"
OWNERS = {
    "Fisher z": {
        CORRELATION,
        "replication/models/bayes/exact/marginals.py",  # the slope of a logistic in an interpolation, no correlation
    },
    "variance of z": {CORRELATION},
    "variance of r": {CORRELATION},
    "n of a variance": {CORRELATION},
    "effective n": set(),  # the owner, `n_for_variance`, knows no column
    "constant rho": set(),  # nor does `effects.covariance.constant_correlation` call it so: it takes roots first
    "normal quantile": {"replication/models/probability.py"},
}


def number(node: ast.AST) -> float | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    return None


def binary(node: ast.AST, operator: type[ast.operator]) -> tuple[ast.expr, ast.expr] | None:
    return (node.left, node.right) if isinstance(node, ast.BinOp) and isinstance(node.op, operator) else None


def product(node: ast.AST) -> Iterator[ast.AST]:
    sides = binary(node, ast.Mult)
    if sides is None:
        yield node
        return
    yield from product(sides[0])
    yield from product(sides[1])


def called(node: ast.AST) -> str:
    """The last name of what is called: `tanh` of `np.tanh(x)`."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def less(node: ast.AST, taken: float) -> bool:
    sides = binary(node, ast.Sub)
    return sides is not None and number(sides[1]) == taken


def squared(node: ast.AST) -> ast.expr | None:
    sides = binary(node, ast.Pow)
    return sides[0] if sides is not None and number(sides[1]) == 2 else None


def constants(node: ast.AST) -> set[object]:
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}


def is_fisher_z(node: ast.AST) -> bool:
    named = node.attr if isinstance(node, ast.Attribute) else ""
    return named in ("tanh", "arctanh", "atanh")


def is_variance_of_z(node: ast.AST) -> bool:
    sides = binary(node, ast.Div)
    return sides is not None and any(less(side, 3) for side in sides)


def of_one_less_square(node: ast.AST) -> bool:
    inner = squared(node)
    sides = binary(inner, ast.Sub) if inner is not None else None
    return sides is not None and number(sides[0]) == 1 and squared(sides[1]) is not None


def is_variance_of_r(node: ast.AST) -> bool:
    sides = binary(node, ast.Div)
    return sides is not None and of_one_less_square(sides[0]) and less(sides[1], 1)


def is_n_of_a_variance(node: ast.AST) -> bool:
    sides = binary(node, ast.Add)
    ratio = binary(sides[0], ast.Div) if sides is not None else None
    if sides is None or ratio is None:
        return False
    of_z = number(sides[1]) == 3 and number(ratio[0]) == 1
    return of_z or (number(sides[1]) == 1 and of_one_less_square(ratio[0]))


def is_effective_n(node: ast.AST) -> bool:
    """`n_effective where it is known, else n`, as an expression in Python, pandas or numpy."""
    if isinstance(node, ast.IfExp):
        return {"n_effective", "n"} <= constants(node) and "n_effective" in constants(node.test)
    return called(node) in ("where", "fillna", "combine_first") and {"n_effective", "n"} <= constants(node)


def is_constant_rho(node: ast.AST) -> bool:
    factors = list(product(node))
    named = any(isinstance(factor, ast.Name) and factor.id.lower() == "rho" for factor in factors)
    return named and any(called(part) in ("outer", "sqrt") for factor in factors for part in ast.walk(factor))


def is_normal_quantile(node: ast.AST) -> bool:
    value = number(node)
    written = value is not None and any(abs(value - q) < 5e-4 for q in (1.959964, 2.575829, 1.644854))
    return written or (called(node) == "ndtri" and any(number(a) == 0.975 for a in node.args))  # type: ignore[attr-defined]


FORMS: dict[str, Callable[[ast.AST], bool]] = {
    "Fisher z": is_fisher_z,
    "variance of z": is_variance_of_z,
    "variance of r": is_variance_of_r,
    "n of a variance": is_n_of_a_variance,
    "effective n": is_effective_n,
    "constant rho": is_constant_rho,
    "normal quantile": is_normal_quantile,
}
WRITTEN_AGAIN = {
    "Fisher z": ("np.arctanh(r)", "math.tanh(z)", "map(np.tanh, ends)"),
    "variance of z": ("1.0 / (n - 3.0)", "1 / (rows['n'] - 3)", "(n - 3) / (m - 3)"),
    "variance of r": ("(1 - r**2) ** 2 / (n - 1)",),
    "n of a variance": ("1 / v + 3", "(1.0 - r**2) ** 2 / v + 1"),
    "effective n": (
        "rows['n_effective'].where(rows['n_effective'].notna(), rows['n'])",
        "row['n'] if isnan(row['n_effective']) else row['n_effective']",
        "rows['n_effective'].fillna(rows['n'])",
    ),
    "constant rho": ("rho * np.sqrt(np.outer(v, v))", "rho * se[:, None] * np.sqrt(v)"),
    "normal quantile": ("1.96 * se", "1.959963984540054", "special.ndtri(0.975)"),
}


def forms_in(text: str) -> set[str]:
    return {name for node in ast.walk(ast.parse(text)) for name, form in FORMS.items() if form(node)}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRITTEN_AGAIN.items() for text in texts])
def test_a_formula_written_again_is_seen(name: str, text: str) -> None:
    assert name in forms_in(text)


def test_each_formula_stands_with_its_owner_alone() -> None:
    found = {
        (name, path.relative_to(ROOT).as_posix())
        for room in ("replication", "analyses", "benchmarks")
        for path in sorted((ROOT / room).rglob("*.py"))
        for name in forms_in(path.read_text(encoding="utf-8"))
    }
    assert sorted(found) == sorted((name, path) for name, paths in OWNERS.items() for path in paths)

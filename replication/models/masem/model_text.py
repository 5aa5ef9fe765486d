"""Path and factor models as readable text, in the manner of lavaan, and named expressions of their parameters.

    enga ~ pos + neg            regressions: left side is explained by the right side
    f =~ x1 + x2 + x3           a factor and its indicators; factors have variance 1
    pos ~~ neg                  a covariance (of variables, factors or residuals)
    achiev ~ b*enga             a label: equal labels are one parameter
    achiev ~ 0*pos              a fixed value
    enga ~~ e*enga              a name for a residual variance (it follows from the model: all variances are 1)
    a == b                      equal parameters;  a == 0.5 fixes one
    ind := a*b                  a named expression of parameters, residual variances and earlier expressions

One statement per line (or separated by `;`), `#` starts a comment. Covariances among observed variables that nothing
explains are free unless written otherwise, as in lavaan. A parameter without a label is called by what it is:
"enga~pos", "f=~x1", "pos~~neg".

An expression is read by Python's own `ast` and evaluated on `Jet`s, numbers that carry gradient and Hessian through
arithmetic (forward differentiation), so that derivatives are exact.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.masem.correlations import pair_name, unknown_names

__all__ = [
    "Cell",
    "Expression",
    "Jet",
    "PathModel",
    "check_variables",
    "constant",
    "parse_expression",
    "parse_model",
    "variable",
]


@dataclass(frozen=True, slots=True, eq=False)
class Jet:
    """A function of q parameters at one point: `value`, `gradient (q,)`, `hessian (q, q)`."""

    value: float
    gradient: Array
    hessian: Array

    def __add__(self, other: Jet) -> Jet:
        return Jet(self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian)

    def __neg__(self) -> Jet:
        return Jet(-self.value, -self.gradient, -self.hessian)

    def __sub__(self, other: Jet) -> Jet:
        return self + -other

    def __mul__(self, other: Jet) -> Jet:
        # The product rule twice over: the Hessian of a product holds both outer products of the gradients.
        cross = np.outer(self.gradient, other.gradient)
        return Jet(
            self.value * other.value,
            self.value * other.gradient + other.value * self.gradient,
            self.value * other.hessian + other.value * self.hessian + cross + cross.T,
        )

    def __truediv__(self, other: Jet) -> Jet:
        return self * other.apply(1.0 / other.value, -1.0 / other.value**2, 2.0 / other.value**3)

    def __pow__(self, other: Jet) -> Jet:
        # A constant power holds for negative bases, which the logarithm below does not.
        if not other.gradient.any():
            n, x = other.value, self.value
            return self.apply(
                x**n, n * x ** (n - 1) if n else 0.0, n * (n - 1) * x ** (n - 2) if n not in (0, 1) else 0.0
            )
        return exponential(other * logarithm(self))

    def apply(self, f: float, first: float, second: float) -> Jet:
        """`f(self)` for a function with value `f` and derivatives `first`, `second` there."""
        square = np.outer(self.gradient, self.gradient)
        return Jet(f, first * self.gradient, first * self.hessian + second * square)


def constant(value: float, size: int) -> Jet:
    """A number that does not depend on the parameters."""
    return Jet(value, np.zeros(size), np.zeros((size, size)))


def variable(value: float, index: int, size: int) -> Jet:
    """The parameter at position `index`.

    >>> (variable(3.0, 0, 2) * variable(4.0, 1, 2)).gradient.tolist()
    [4.0, 3.0]
    """
    return Jet(value, np.eye(size)[index], np.zeros((size, size)))


def exponential(x: Jet) -> Jet:
    value = math.exp(x.value)
    return x.apply(value, value, value)


def logarithm(x: Jet) -> Jet:
    return x.apply(math.log(x.value), 1.0 / x.value, -1.0 / x.value**2)


def square_root(x: Jet) -> Jet:
    root = math.sqrt(x.value)
    return x.apply(root, 0.5 / root, -0.25 / root**3)


FUNCTIONS: Mapping[str, Callable[[Jet], Jet]] = {"exp": exponential, "log": logarithm, "sqrt": square_root}


@dataclass(frozen=True, slots=True)
class Expression:
    """`name := text`, arithmetic on names with + - * / ** ^ and exp, log, sqrt."""

    name: str
    text: str
    tree: ast.expr

    @property
    def names(self) -> frozenset[str]:
        """The names it is made of."""
        return _names(self.tree)

    def at(self, values: Mapping[str, Jet], size: int) -> Jet:
        """Its value and derivatives, given those of its names; NaN where it is not defined."""
        try:
            return _evaluate(self.tree, values, size)
        # A search may pass through a point where an expression has no value; its end is judged by NaN.
        except (ValueError, ZeroDivisionError, OverflowError):
            return Jet(math.nan, np.full(size, math.nan), np.full((size, size), math.nan))


def parse_expression(name: str, text: str) -> Expression:
    """Read the right side of `name := text`; a `ModelError` quotes what it cannot read.

    >>> sorted(parse_expression("ind", "a*b + c").names)
    ['a', 'b', 'c']
    """
    try:
        # Parsed, never evaluated: only the kinds of nodes checked below are ever computed.
        tree = ast.parse(text.replace("^", "**"), mode="eval").body
    except SyntaxError:
        raise ModelError(f"cannot read '{name} := {text}'; write arithmetic on labels, such as a*b + c.") from None
    _check_tree(tree, f"{name} := {text}")
    return Expression(name, text, tree)


def _check_tree(node: ast.expr, whole: str) -> None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)):
        _check_tree(node.left, whole)
        _check_tree(node.right, whole)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        _check_tree(node.operand, whole)
    elif isinstance(node, ast.Call) and _is_function(node):
        _check_tree(node.args[0], whole)
    elif not (isinstance(node, (ast.Name, ast.Attribute)) or _is_number(node)):
        raise ModelError(
            f"cannot read '{whole}': {ast.unparse(node)!r} is not understood. Use labels, numbers, + - * / ^ and "
            f"{', '.join(FUNCTIONS)}; a path without a label needs one (enga ~ a*pos)."
        )


def _is_function(node: ast.Call) -> bool:
    # By name from a closed list: a model text comes from users and must not reach any other function.
    known = isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS
    return known and len(node.args) == 1 and not node.keywords


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool)


def _names(node: ast.expr) -> frozenset[str]:
    if isinstance(node, (ast.Name, ast.Attribute)):
        return frozenset((ast.unparse(node),))
    if isinstance(node, ast.BinOp):
        return _names(node.left) | _names(node.right)
    if isinstance(node, ast.UnaryOp):
        return _names(node.operand)
    return _names(node.args[0]) if isinstance(node, ast.Call) else frozenset()


def _evaluate(node: ast.expr, values: Mapping[str, Jet], size: int) -> Jet:
    if isinstance(node, ast.BinOp):
        left, right = _evaluate(node.left, values, size), _evaluate(node.right, values, size)
        return _binary(node.op, left, right)
    if isinstance(node, ast.UnaryOp):
        inner = _evaluate(node.operand, values, size)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return FUNCTIONS[node.func.id](_evaluate(node.args[0], values, size))
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return constant(float(node.value), size)
    return values[ast.unparse(node)]


def _binary(operator: ast.operator, left: Jet, right: Jet) -> Jet:
    if isinstance(operator, ast.Add):
        return left + right
    if isinstance(operator, ast.Sub):
        return left - right
    if isinstance(operator, ast.Mult):
        return left * right
    return left / right if isinstance(operator, ast.Div) else left**right


NAME = r"[^\W\d][\w.]*"
TERM = re.compile(rf"^(?:(?P<modifier>[^*]+)\*)?\s*(?P<name>{NAME})$")
NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
# Longest first: "~" is part of "~~" and "=~".
OPERATORS = (":=", "=~", "~~", "==", "~")


@dataclass(frozen=True, slots=True)
class Cell:
    """One arrow of a path diagram: `source -> target` or `source <-> target` (`covariance`).

    `parameter` names its free parameter; "" means that it is fixed at `value`.
    """

    source: str
    target: str
    covariance: bool
    parameter: str
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class PathModel:
    """A model as parsed: `observed` and `latent` variables, `cells`, free `parameters (q,)`, named `effects`.

    `residual_names` maps a variable to the name the text gives its (residual) variance.
    """

    text: str
    observed: tuple[str, ...]
    latent: tuple[str, ...]
    cells: tuple[Cell, ...]
    residual_names: Mapping[str, str]
    effects: tuple[Expression, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the free parameters, each once, in the order of the text."""
        return tuple(dict.fromkeys(cell.parameter for cell in self.cells if cell.parameter))

    @property
    def explained(self) -> tuple[str, ...]:
        """Variables that an arrow points to."""
        return tuple(dict.fromkeys(cell.target for cell in self.cells if not cell.covariance))


@dataclass(slots=True)
class _Draft:
    """What has been read so far; becomes a frozen `PathModel` at the end."""

    cells: dict[tuple[str, str, bool], Cell] = field(default_factory=dict)
    latent: dict[str, None] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    residual_names: dict[str, str] = field(default_factory=dict)
    unit: dict[str, float] = field(default_factory=dict)
    equalities: list[tuple[str, str]] = field(default_factory=list)
    effects: list[Expression] = field(default_factory=list)


def parse_model(text: str) -> PathModel:
    """Read a model.

    Raises `ModelError` for a statement it cannot read (quoted), a path given twice, a path from a variable to itself,
    a variance other than 1, or an expression of names that are not there.

    >>> model = parse_model("enga ~ a*pos + neg; achiev ~ b*enga; ind := a*b")
    >>> model.parameters
    ('a', 'enga~neg', 'b', 'pos~~neg')
    """
    draft = _Draft()
    for line in re.split(r"[\n;]", text):
        # Comments go first, so that a sign in a comment is no operator.
        statement = line.split("#", 1)[0].strip()
        if statement:
            _read(draft, statement)
    if not draft.cells:
        raise ModelError("the model has no paths; write at least one, such as 'enga ~ pos + neg'.")
    _add_exogenous(draft)
    cells = _equalized(draft)
    observed = tuple(name for name in draft.names if name not in draft.latent)
    model = PathModel(
        text.strip(), observed, tuple(draft.latent), cells, dict(draft.residual_names), tuple(draft.effects)
    )
    _check(model, draft)
    return model


def _read(draft: _Draft, statement: str) -> None:
    operator = next((op for op in OPERATORS if op in statement), None)
    if operator is None:
        raise ModelError(f"cannot read {statement!r}; a statement needs one of {', '.join(OPERATORS)}.")
    left, right = (side.strip() for side in statement.split(operator, 1))
    if not left or not right:
        raise ModelError(f"cannot read {statement!r}; one side of {operator!r} is empty.")
    if operator == ":=":
        _check_name(left, statement)
        draft.effects.append(parse_expression(left, right))
    elif operator == "==":
        draft.equalities.append((left, right))
    else:
        for target in (part.strip() for part in left.split("+")):
            _check_name(target, statement)
            for term in right.split("+"):
                _add_term(draft, target, operator, term.strip(), statement)


def _check_name(name: str, statement: str) -> None:
    if not re.fullmatch(NAME, name):
        raise ModelError(f"cannot read {statement!r}: {name!r} is not a name.")


def _add_term(draft: _Draft, left: str, operator: str, term: str, statement: str) -> None:
    match = TERM.match(term)
    if match is None:
        hint = " A mean structure ('~ 1') has no place in a model of correlations." if term == "1" else ""
        raise ModelError(f"cannot read {term!r} in {statement!r}; write name, label*name or number*name.{hint}")
    modifier, right = (match["modifier"] or "").strip(), match["name"]
    if operator == "=~":
        draft.latent[left] = None
    draft.names.update({left: None, right: None})
    if operator == "~~" and left == right:
        _add_variance(draft, left, modifier, statement)
        return
    if left == right:
        raise ModelError(f"{statement!r}: {left} cannot explain itself.")
    covariance = operator == "~~"
    # A factor points to its indicators, while the left side of a regression is what is pointed to.
    source, target = (left, right) if operator in ("=~", "~~") else (right, left)
    name = f"{left}{operator}{right}"
    number = NUMBER.match(modifier)
    if modifier and not number:
        _check_name(modifier, statement)
    cell = Cell(source, target, covariance, "" if number else modifier or name, float(modifier) if number else 0.0)
    # A covariance has no direction: written the other way round it is the same cell.
    key = (min(source, target), max(source, target), True) if covariance else (source, target, False)
    if key in draft.cells:
        raise ModelError(f"{statement!r}: {name} is given twice; write it once.")
    draft.cells[key] = cell


def _add_variance(draft: _Draft, name: str, modifier: str, statement: str) -> None:
    if NUMBER.match(modifier):
        # Judged at the end, when it is known whether anything explains the variable.
        draft.unit[name] = float(modifier)
        return
    if modifier:
        _check_name(modifier, statement)
    draft.residual_names[name] = modifier or pair_name(name, name)


def _add_exogenous(draft: _Draft) -> None:
    """Free covariances among observed variables that nothing explains, where the text does not speak of them."""
    explained = {cell.target for cell in draft.cells.values() if not cell.covariance}
    # Factors are left out: their covariances are a statement of the model and not of the data.
    free = [name for name in draft.names if name not in explained and name not in draft.latent]
    for a, b in combinations(free, 2):
        draft.cells.setdefault((min(a, b), max(a, b), True), Cell(a, b, True, pair_name(a, b)))


def _equalized(draft: _Draft) -> tuple[Cell, ...]:
    """The cells with `a == b` and `a == 0.5` carried out."""
    cells = list(draft.cells.values())
    for left, right in draft.equalities:
        # Anew for each statement, as the one before may have made two names into one.
        known = {cell.parameter for cell in cells if cell.parameter}
        for side in (left, right):
            if side not in known and not (side == right and NUMBER.match(side)):
                raise ModelError(
                    f"'{left} == {right}': {side!r} is not a free parameter; only 'label == label' and 'label == "
                    f"number' are understood. Free are {', '.join(sorted(known))}."
                )
        number = NUMBER.match(right)
        cells = [
            cell
            if cell.parameter != left
            else Cell(
                cell.source, cell.target, cell.covariance, "" if number else right, float(right) if number else 0.0
            )
            for cell in cells
        ]
    return tuple(cells)


def _check(model: PathModel, draft: _Draft) -> None:
    explained = set(model.explained)
    for name, value in draft.unit.items():
        if name in explained or value != 1.0:
            raise ModelError(
                f"'{name} ~~ {value:g}*{name}': in a model of correlations every variance is 1 and residual variances "
                "follow from the paths; leave the statement out, or name the residual variance by a label."
            )
    # Grows as it goes, so that an expression may use those before it and none after: no circles.
    known: list[str] = [*model.parameters, *model.residual_names.values()]
    for effect in model.effects:
        missing = sorted(effect.names - set(known))
        if missing:
            raise unknown_names(missing, known, f"'{effect.name} := {effect.text}' uses what is no label")
        if effect.name in known:
            raise ModelError(
                f"'{effect.name} := {effect.text}': {effect.name!r} is already the name of something else."
            )
        known.append(effect.name)
    if not model.observed:
        raise ModelError("the model has no observed variables.")


def check_variables(model: PathModel, variables: Sequence[str]) -> None:
    """Raise a `ModelError` unless the data hold every observed variable of the model and none of its factors."""
    unknown = [name for name in model.observed if name not in variables]
    if unknown:
        raise unknown_names(unknown, variables, "variables of the model")
    both = [name for name in model.latent if name in variables]
    if both:
        raise ModelError(f"{', '.join(both)} is a factor of the model and a variable of the data; rename the factor.")
    if len(model.observed) < 2:
        raise ModelError("a model of correlations needs at least two observed variables.")

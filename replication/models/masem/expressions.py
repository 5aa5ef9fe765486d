"""Named expressions of parameters, such as an indirect effect `a*b`, with exact first and second derivatives.

A `Jet` is a number that carries its gradient and Hessian through arithmetic (forward differentiation).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array

__all__ = ["Expression", "Jet", "constant", "parse_expression", "variable"]


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
        cross = np.outer(self.gradient, other.gradient)
        return Jet(
            self.value * other.value,
            self.value * other.gradient + other.value * self.gradient,
            self.value * other.hessian + other.value * self.hessian + cross + cross.T,
        )

    def __truediv__(self, other: Jet) -> Jet:
        return self * other.apply(1.0 / other.value, -1.0 / other.value**2, 2.0 / other.value**3)

    def __pow__(self, other: Jet) -> Jet:
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
        except (ValueError, ZeroDivisionError, OverflowError):
            return Jet(math.nan, np.full(size, math.nan), np.full((size, size), math.nan))


def parse_expression(name: str, text: str) -> Expression:
    """Read the right side of `name := text`; a `ModelError` quotes what it cannot read.

    >>> sorted(parse_expression("ind", "a*b + c").names)
    ['a', 'b', 'c']
    """
    try:
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

"""Path and factor models as readable text, in the manner of lavaan.

    enga ~ pos + neg            regressions: left side is explained by the right side
    f =~ x1 + x2 + x3           a factor and its indicators; factors have variance 1
    pos ~~ neg                  a covariance (of variables, factors or residuals)
    achiev ~ b*enga             a label: equal labels are one parameter
    achiev ~ 0*pos              a fixed value
    enga ~~ e*enga              a name for a residual variance (it follows from the model: all variances are 1)
    a == b                      equal parameters;  a == 0.5 fixes one
    ind := a*b                  a named expression of parameters, residual variances and earlier expressions

One statement a line (or separated by `;`), `#` starts a comment. Covariances among observed variables that nothing
explains are free unless written otherwise, as in lavaan. A parameter without a label is called by what it is:
"enga~pos", "f=~x1", "pos~~neg".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from replication.errors import ModelError
from replication.models.masem.correlations import pair_name, unknown_names
from replication.models.masem.expressions import Expression, parse_expression

__all__ = ["Cell", "PathModel", "check_variables", "parse_model"]

NAME = r"[^\W\d][\w.]*"
TERM = re.compile(rf"^(?:(?P<modifier>[^*]+)\*)?\s*(?P<name>{NAME})$")
NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
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
    source, target = (left, right) if operator in ("=~", "~~") else (right, left)
    name = f"{left}{operator}{right}"
    number = NUMBER.match(modifier)
    if modifier and not number:
        _check_name(modifier, statement)
    cell = Cell(source, target, covariance, "" if number else modifier or name, float(modifier) if number else 0.0)
    key = (min(source, target), max(source, target), True) if covariance else (source, target, False)
    if key in draft.cells:
        raise ModelError(f"{statement!r}: {name} is given twice; write it once.")
    draft.cells[key] = cell


def _add_variance(draft: _Draft, name: str, modifier: str, statement: str) -> None:
    if NUMBER.match(modifier):
        draft.unit[name] = float(modifier)
        return
    if modifier:
        _check_name(modifier, statement)
    draft.residual_names[name] = modifier or pair_name(name, name)


def _add_exogenous(draft: _Draft) -> None:
    """Free covariances among observed variables that nothing explains, where the text does not speak of them."""
    explained = {cell.target for cell in draft.cells.values() if not cell.covariance}
    free = [name for name in draft.names if name not in explained and name not in draft.latent]
    for a, b in combinations(free, 2):
        draft.cells.setdefault((min(a, b), max(a, b), True), Cell(a, b, True, pair_name(a, b)))


def _equalized(draft: _Draft) -> tuple[Cell, ...]:
    """The cells with `a == b` and `a == 0.5` carried out."""
    cells = list(draft.cells.values())
    for left, right in draft.equalities:
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

"""Correlation matrices of many studies, matched by the names of their variables.

Three ideas:

1. A study may hold any subset of the variables. Everything is kept as vectors over all pairs of variables,
   `p = v (v - 1) / 2` of them in the order (1,2), (1,3), ..., (2,3), ...; a pair is called "pos~~neg".
2. What was given and what is used are two things. A variable declared absent in a study (NA on the diagonal of its
   matrix) takes its correlations out of the fit, although they were given and may enter averages.
3. Nothing goes unsaid: `audit` lists every correlation that is not used, or used but worth a second look.

Shape letters of this package: k studies, v variables, p pairs of variables, q free parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache, partial
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.masem.audit import Audit, AuditEntry, StudyCells, audit_neighbours, audit_study, pair_indices
from replication.models.readable import Readable

__all__ = [
    "CorrelationSet",
    "check_moderators",
    "number_at",
    "numbers_at",
    "pair_indices",
    "pair_name",
    "pair_names",
    "symmetric",
    "unknown_names",
]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int_]


def pair_name(a: str, b: str) -> str:
    """The name of a pair of variables.

    >>> pair_name("pos", "neg")
    'pos~~neg'
    """
    return f"{a}~~{b}"


def pair_names(variables: Sequence[str]) -> tuple[str, ...]:
    """All pairs of variables, in the order of the vectors of this package.

    >>> pair_names(["pos", "neg", "enga"])
    ('pos~~neg', 'pos~~enga', 'neg~~enga')
    """
    return tuple(pair_name(a, b) for a, b in combinations(variables, 2))


def symmetric(pairs: ArrayLike) -> Array:
    """The correlation matrix `(..., v, v)` with ones on its diagonal, from vectors over pairs `(..., p)`.

    >>> symmetric([0.5]).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    values = np.asarray(pairs, dtype=float)
    # The root of v (v - 1) / 2 = p.
    count = round((1 + np.sqrt(1 + 8 * values.shape[-1])) / 2)
    first, second = pair_indices(count)
    matrix = np.zeros((*values.shape[:-1], count, count)) + np.eye(count)
    matrix[..., first, second] = values
    matrix[..., second, first] = values
    return matrix


def unknown_names(names: Sequence[str], known: Sequence[str], what: str) -> ModelError:
    """The error for names that are not known: it lists those that are, and the nearest to what was written."""
    near = (get_close_matches(name, known, 1, cutoff=0.5) for name in names)
    asked = (f"{n!r} (do you mean {m[0]!r}?)" if m else repr(n) for n, m in zip(names, near, strict=True))
    return ModelError(f"{what}: {', '.join(asked)} not known; known are {', '.join(map(repr, known))}.")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CorrelationSet(Readable):
    """The correlations of k studies among v named variables.

    `given (k, p)` are all correlations as given, NaN where there is none; `present (k, v)` says which variables a
    study declares as measured; `n (k,)` sample sizes; `rows (k, p)` the input row of a correlation (-1: none);
    `position (k,)` the place of a study in the input; `moderators` study-level values by name, NaN where not known.
    Built by `correlations_from_rows` or `correlations_from_matrices`.
    """

    studies: tuple[str, ...]
    variables: tuple[str, ...]
    n: Array
    given: Array
    present: Bools
    rows: Ints
    position: Ints
    moderators: Mapping[str, Array]
    remarks: tuple[AuditEntry, ...] = ()

    @property
    def pairs(self) -> tuple[str, ...]:
        """Names `(p,)` of the pairs of variables."""
        return pair_names(self.variables)

    @property
    def used(self) -> Bools:
        """Which correlations `(k, p)` enter a fit: given, with both variables present."""
        first, second = pair_indices(len(self.variables))
        return np.isfinite(self.given) & self.present[:, first] & self.present[:, second]

    @property
    def audit(self) -> Audit:
        """Every correlation that is not used, and every one that is used but worth a second look, with the reason."""
        return _audit(self)

    @property
    def studies_per_pair(self) -> Ints:
        """How many studies `(p,)` the used correlations of each pair come from."""
        return np.asarray(self.used.sum(axis=0))

    @property
    def n_per_pair(self) -> Array:
        """How many persons `(p,)` stand behind the used correlations of each pair."""
        return np.asarray(self.n @ self.used)

    def select(self, studies: Sequence[str] | Bools) -> CorrelationSet:
        """Only these studies, by name or as a mask `(k,)`."""
        keep = self._mask(studies)
        return replace(
            self,
            studies=tuple(s for s, kept in zip(self.studies, keep, strict=True) if kept),
            n=self.n[keep],
            given=self.given[keep],
            present=self.present[keep],
            rows=self.rows[keep],
            position=self.position[keep],
            moderators={name: values[keep] for name, values in self.moderators.items()},
            # Findings about studies that are gone would be counted as findings about these.
            remarks=tuple(e for e in self.remarks if e.study in set(np.array(self.studies)[keep])),
        )

    def subset(self, variables: Sequence[str]) -> CorrelationSet:
        """Only these variables, in this order. A study that holds none of their pairs stays, with nothing to add."""
        place = self._places(variables)
        first, second = pair_indices(len(place))
        table = self._pair_table()
        columns = table[place[first], place[second]]
        return replace(
            self,
            variables=tuple(variables),
            given=self.given[:, columns],
            present=self.present[:, place],
            rows=self.rows[:, columns],
        )

    def declare_present(self) -> CorrelationSet:
        """Use every correlation that was given: a variable with any correlation counts as measured."""
        first, second = pair_indices(len(self.variables))
        present = np.zeros_like(self.present)
        study, pair = np.nonzero(np.isfinite(self.given))
        present[study, first[pair]] = True
        present[study, second[pair]] = True
        return replace(self, present=present)

    def drop_unused(self) -> CorrelationSet:
        """Forget correlations that are given but not used, so that they enter no average either."""
        return replace(self, given=np.where(self.used, self.given, np.nan))

    def with_moderators(self, moderators: Mapping[str, ArrayLike]) -> CorrelationSet:
        """The same correlations with these study-level values `(k,)` added or replaced."""
        return replace(self, moderators={**self.moderators, **check_moderators(moderators, len(self.studies))})

    def _mask(self, studies: Sequence[str] | Bools) -> Bools:
        given = np.asarray(studies)
        if given.dtype == bool:
            if given.shape != (len(self.studies),):
                raise ModelError(f"the mask has shape {given.shape}, but there are {len(self.studies)} studies.")
            keep = given
        else:
            unknown = [str(s) for s in studies if str(s) not in self.studies]
            if unknown:
                raise unknown_names(unknown, self.studies, "studies")
            keep = np.isin(np.array(self.studies), given.astype(str))
        if not keep.any():
            raise ModelError("no study is selected; select at least one.")
        return keep

    def _places(self, variables: Sequence[str]) -> Ints:
        unknown = [name for name in variables if name not in self.variables]
        if unknown:
            raise unknown_names(unknown, self.variables, "variables")
        if len(set(variables)) != len(variables) or len(variables) < 2:
            raise ModelError(f"variables {list(variables)!r}: name at least two, each once.")
        return np.array([self.variables.index(name) for name in variables])

    def _pair_table(self) -> Ints:
        count = len(self.variables)
        first, second = pair_indices(count)
        table = np.zeros((count, count), dtype=int)
        table[first, second] = table[second, first] = np.arange(len(first))
        return table


@lru_cache(maxsize=8)  # every fit to the same correlations carries their audit, and looks at each study by itself
def _audit(data: CorrelationSet) -> Audit:
    used = data.used
    cells = [
        StudyCells(study, data.variables, data.present[i], data.given[i], used[i], data.rows[i])
        for i, study in enumerate(data.studies)
    ]
    entries = [*data.remarks, *(entry for one in cells for entry in audit_study(one))]
    order = np.argsort(data.position, kind="stable")
    for before, here in pairwise(order):
        # Only neighbours in the input: after a selection, studies far apart may stand side by side.
        if data.position[here] == data.position[before] + 1:
            entries += audit_neighbours(cells[before], cells[here])
    return Audit(tuple(entries))


def number_at(value: object, where: str) -> float:
    """A cell as a number, or a `ModelError` that says where the text stands and what to do about it.

    >>> number_at("0,3", "study 2: x with y")
    Traceback (most recent call last):
    ...
    replication.errors.ModelError: study 2: x with y holds '0,3', which is no number; write 0.3, or NaN if not given.
    """
    if value is None:
        return float("nan")
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        pass
    text = str(value).strip()
    plain = text.replace(",", ".")
    # "1,000" can be one or a thousand, so no reading of it is offered
    readable = text.count(",") == 1 and len(text.split(",")[1]) != 3 and plain.replace(".", "", 1).strip("+-").isdigit()
    remedy = f"write {plain}" if readable else "write a number with a decimal point and no thousands mark"
    raise ModelError(f"{where} holds {value!r}, which is no number; {remedy}, or NaN if not given.")


def numbers_at(values: ArrayLike, where: Callable[[tuple[int, ...]], str]) -> Array:
    """Cells as an array of floats; `where` puts the index of a cell without a number into words."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        # The fast way has failed, so a cell holds text: one by one, the message can say which.
        cells = np.asarray(values, dtype=object)
    found = np.empty(cells.shape)
    for index in np.ndindex(cells.shape):
        found[index] = number_at(cells[index], where(index))
    return found


def _moderator_cell(name: str, at: tuple[int, ...]) -> str:
    return f"moderator {name!r}, study {at[0] if at else 0} (from 0)"


def check_moderators(moderators: Mapping[str, ArrayLike], k: int) -> dict[str, Array]:
    """Moderators as vectors of length k, or a `ModelError` that names the one that is not."""
    checked = {}
    for name, values in moderators.items():
        vector = numbers_at(values, partial(_moderator_cell, name))
        if vector.shape != (k,):
            raise ModelError(
                f"moderator {name!r} has shape {vector.shape}, but there are {k} studies: one value per study."
            )
        if np.isinf(vector).any():
            raise ModelError(f"moderator {name!r} has infinite values; leave a value out (NaN) where it is not known.")
        checked[name] = vector
    return checked

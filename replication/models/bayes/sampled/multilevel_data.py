"""Effects, sampling covariances, samples and cells -> what the multilevel kernel reads, sorted block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from replication.errors import ModelError
from replication.models.fit import Array, Note
from replication.models.multilevel.groups import Codes, first_rows, group_codes
from replication.models.multilevel.structure import BlockV, as_block_v
from replication.models.options import SampleStructure, check_choice
from replication.models.prepare import EffectData, as_numbers, prepare_effects

__all__ = ["MultilevelData", "multilevel_data"]


@dataclass(frozen=True, slots=True, eq=False)
class MultilevelData:
    """Effects sorted by block.

    `y (k,)`, sampling variances `v (k,)`, design `X (k, p)` with `names`; `V` the dense sampling covariances of block
    after block, each row by row; block b holds the rows `start[b]` to `start[b + 1]`. `sample (k,)` and `slot (k,)`
    are codes; `slots` names the deviations of a sample (none: two levels). `slot_of_mean (means,)`: the first
    coefficients that are means of true effects, and the deviation each goes with. `rows (k,)`: positions as passed.
    """

    y: Array
    v: Array
    X: Array
    names: tuple[str, ...]
    V: Array
    start: Codes
    sample: Codes
    slot: Codes
    slots: tuple[str, ...]
    slot_of_mean: tuple[int, ...]
    rows: tuple[int, ...]
    notes: tuple[Note, ...]


def multilevel_data(
    y: ArrayLike,
    V: BlockV | ArrayLike,
    *,
    sample: ArrayLike | None = None,
    cell: ArrayLike | None = None,
    structure: SampleStructure = "by_cell",
    x: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    moderators: Mapping[str, ArrayLike] | None = None,
) -> MultilevelData:
    """Check and sort the data of a multilevel model; rows with a missing value are left out with a note.

    Parameters
    ----------
    y, V
        Effects `(k,)` and their sampling variances `(k,)`, covariance matrix `(k, k)` or `BlockV`.
    sample, cell
        Labels `(k,)`: which sample an effect is from, and which kind of effect it is (relationship x outcome).
    structure
        What varies between samples beside the effects within them: `"by_cell"` one correlated deviation per cell,
        `"shared"` one deviation (three levels), `"none"` nothing (two levels).
    x, names
        A design `(k, p)` and its names; without it the mean of each cell (or one intercept).
    moderators
        Columns `(k,)` by name beside the cell means. Centre them: the means are those at 0.

    Raises
    ------
    ModelError
        Labels that the structure needs are missing, lengths differ, or the columns are collinear.

    >>> data = multilevel_data([0.3, 0.1], [0.01, 0.02], sample=["s1", "s2"], cell=["a", "b"])
    >>> data.names, data.slots
    (('a', 'b'), ('a', 'b'))
    """
    check_choice(structure, SampleStructure, "structure")
    effects = np.atleast_1d(as_numbers(y, "y"))
    k = len(effects)
    covariance = as_block_v(V)
    _need(k, structure, covariance, sample, cell)
    cells = _codes(cell, k, "cell")
    # With two levels no effects share a deviation: each is a sample of its own.
    samples = np.arange(k, dtype=np.intp) if structure == "none" else _codes(sample, k, "sample")
    kinds = ("intercept",) if cell is None else _kinds(cells, cell)
    X, labels = _design(cells, kinds, x, names, moderators)
    # Marked as NaN, all reasons to leave a row out meet in one note of prepare_effects.
    effects[covariance.missing() | (cells < 0) | (samples < 0)] = np.nan
    data, notes = prepare_effects(effects, covariance.variances, X, labels)
    place = _Place(samples, cells, structure, kinds, cell_means=x is None)
    return _sorted(data, notes, covariance, place)


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where the effects belong, in the caller's order of rows."""

    sample: Codes
    cell: Codes
    structure: SampleStructure
    kinds: tuple[str, ...]
    cell_means: bool


def _need(k: int, structure: SampleStructure, V: BlockV, sample: ArrayLike | None, cell: ArrayLike | None) -> None:
    if V.k != k:
        raise ModelError(f"V is about {V.k} effects, y has {k}; pass one variance, or row of V, an effect.")
    if structure != "none" and sample is None:
        raise ModelError(f"structure={structure!r} needs the sample of each effect; pass sample, or structure='none'.")
    if structure == "by_cell" and cell is None:
        raise ModelError("structure='by_cell' needs the cell of each effect; pass cell, or structure='shared'.")


def _codes(labels: ArrayLike | None, k: int, name: str) -> Codes:
    return np.zeros(k, dtype=np.intp) if labels is None else group_codes(labels, k, name)


def _kinds(codes: Codes, cell: ArrayLike) -> tuple[str, ...]:
    """The label of each cell, in order of appearance."""
    labels = np.asarray(cell, dtype=object)
    first = first_rows(codes[codes >= 0], int(codes.max(initial=-1)) + 1)
    return tuple(str(label) for label in labels[codes >= 0][first])


def _design(
    cells: Codes,
    kinds: tuple[str, ...],
    x: ArrayLike | None,
    names: Sequence[str] | None,
    moderators: Mapping[str, ArrayLike] | None,
) -> tuple[Array, tuple[str, ...] | None]:
    """The design and its column names: as passed, or the mean of each cell and the moderators."""
    if x is not None:
        if moderators:
            raise ModelError("pass either a whole design x, or moderators beside the cell means, not both.")
        return as_numbers(x, "x"), None if names is None else tuple(names)
    columns = {name: as_numbers(values, f"moderator {name!r}") for name, values in (moderators or {}).items()}
    for name, values in columns.items():
        if values.shape != cells.shape:
            raise ModelError(
                f"moderator {name!r} has shape {values.shape}; pass one value for each of the {len(cells)} rows."
            )
    # One mean per cell and no intercept: every coefficient is then a mean a reader can name, with one prior for all.
    means = np.equal.outer(cells, np.arange(len(kinds))).astype(float)
    return np.column_stack([means, *columns.values()]), (*kinds, *columns)


def _sorted(data: EffectData, notes: tuple[Note, ...], V: BlockV, place: _Place) -> MultilevelData:
    rows = np.array(data.rows, dtype=np.intp)
    kept, sample = V.take(rows), place.sample[rows]
    by_cell = place.structure == "by_cell"
    slot = place.cell[rows] if by_cell else np.zeros(len(rows), dtype=np.intp)
    blocks = _blocks(kept, sample)
    # Stable: rows of a block stay in the caller's order, so equal input gives equal draws.
    order = np.argsort(blocks, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(blocks))])
    members = np.split(order, start[1:-1])
    means = len(place.kinds) if place.cell_means else 0
    return MultilevelData(
        data.y[order],
        data.v[order],
        data.x[order],
        data.names,
        np.concatenate([kept.sub_blocks(index[None, :]).ravel() for index in members]),
        start.astype(np.int64),
        sample[order],
        slot[order],
        _slots(place),
        tuple(range(means)) if by_cell else (0,) * means,
        tuple(int(i) for i in rows[order]),
        (*notes, *_split_note(sample, slot)) if by_cell else notes,
    )


def _slots(place: _Place) -> tuple[str, ...]:
    match place.structure:
        case "none":
            return ()
        case "shared":
            return ("sample",)
    return place.kinds


def _blocks(V: BlockV, sample: Codes) -> Codes:
    """Blocks of rows that share a sample or a sampling covariance."""
    k = V.k
    # Samples may share sampling errors (one control group, say): such samples must be inverted together.
    links = [sample] if V.codes is None else [sample, V.codes]
    offsets = np.cumsum([k, *(int(codes.max()) + 1 for codes in links)])
    ends = np.concatenate([codes + offset for codes, offset in zip(links, offsets, strict=False)])
    begins = np.tile(np.arange(k), len(links))
    graph = sparse.coo_array((np.ones(len(ends)), (begins, ends)), shape=(offsets[-1], offsets[-1]))
    component = sparse.csgraph.connected_components(graph, directed=False)[1][:k]
    return group_codes(component, k, "block")


def _split_note(sample: Codes, slot: Codes) -> tuple[Note, ...]:
    """Said when no sample has two effects of one cell: the data then know only the sum of the two variances."""
    # One effect per cell and sample: u + w is all that is ever seen of the two.
    pairs = sample * (int(slot.max()) + 1) + slot
    if len(np.unique(pairs)) < len(pairs):
        return ()
    message = (
        "no sample has two effects of one cell: how its variance divides into between and within samples rests on the "
        "priors and on the correlations between cells; `total` is what the data know."
    )
    return (Note("split-by-prior", message),)

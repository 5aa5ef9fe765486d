"""Students, their classes and their bullying roles -> what the multilevel multinomial logit reads.

Two ideas:

1. Relationship quality and socioeconomic status are split: a student's distance from the class mean, and the class
   mean. A student-level slope then compares classmates, a class-level slope compares classes (Enders & Tofighi 2007).
2. Every predictor is centred and divided by its own sd (yes/no predictors are only centred), so that one prior serves
   all slopes and the intercepts are about the average student. The sds are kept: a slope divided by them is per unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.models.fit import Array, Note
from replication.models.multilevel.groups import Codes, group_codes, group_sum
from replication.models.prepare import as_numbers, list_rows

__all__ = ["CONTRASTS", "PREDICTORS", "REFERENCE", "RolesData", "class_sd_of", "roles_data", "slope_of"]

# The roles that are set against the reference, in the order of the contrasts.
REFERENCE = "uninvolved"
CONTRASTS = ("bully", "victim", "bully/victim")

# The design of Thornberg et al. (2022): an intercept, five student-level and three class-level predictors.
PREDICTORS = (
    "intercept",
    "relationship (student)",
    "girl",
    "age",
    "ses (student)",
    "immigrant",
    "relationship (class)",
    "peer climate (class)",
    "ses (class)",
)


def slope_of(role: str, predictor: str) -> str:
    """The name of a slope of the logit: `victim: girl`."""
    return f"{role}: {predictor}"


def class_sd_of(role: str) -> str:
    """The name of the sd between classes of a role's log odds: `class sd[victim]`."""
    return f"class sd[{role}]"


# Below this many classes the class-level part rests mostly on its priors.
FEW_CLASSES = 10


@dataclass(frozen=True, slots=True, eq=False)
class RolesData:
    """The model's input: design `X (n, p)`, `names`, codes of class `group (n,)` and `role (n,)` (0 the reference).

    `scale (p,)` is what each column was divided by; `classes` the labels of the m classes; `rows (n,)` the positions of
    the students in the arrays as they were passed.
    """

    X: Array
    names: tuple[str, ...]
    scale: Array
    group: NDArray[np.int64]
    role: NDArray[np.int64]
    classes: tuple[str, ...]
    rows: tuple[int, ...]
    notes: tuple[Note, ...]


def roles_data(
    *,
    role: Sequence[str] | NDArray[np.object_],
    class_id: ArrayLike,
    relationship: ArrayLike,
    girl: ArrayLike,
    age: ArrayLike,
    ses: ArrayLike,
    immigrant: ArrayLike,
    peer_climate: ArrayLike,
) -> RolesData:
    """Centre, scale and code the students; those with a missing value are left out with a note.

    Parameters
    ----------
    role
        `bully`, `victim`, `bully/victim` or `uninvolved` of each of n students; empty where unknown.
    class_id
        The class of each student.
    relationship, ses, peer_climate
        The student's own answers or scores; their class means are over all students of the class with an answer.
    girl, immigrant
        1 or 0; NaN where unknown.
    age
        In years.

    Raises
    ------
    ModelError
        A role nobody has, an unknown word, a predictor that does not vary, or fewer than two classes.
    """
    group = group_codes(class_id, len(role), "class_id")
    codes = _role_codes(role)
    given = {"relationship": relationship, "ses": ses, "peer_climate": peer_climate}
    given |= {"girl": girl, "immigrant": immigrant, "age": age}
    own = {name: _column(values, name, len(role)) for name, values in given.items()}
    flags = {name: own[name] for name in ("girl", "immigrant")}
    _check_flags(flags)
    # Over all classmates who answered, also those left out below: a class mean is about the class.
    means = {name: class_mean(own[name], group) for name in ("relationship", "ses", "peer_climate")}
    columns = {
        "relationship (student)": own["relationship"] - means["relationship"],
        **flags,
        "age": own["age"],
        "ses (student)": own["ses"] - means["ses"],
        "relationship (class)": means["relationship"],
        "peer climate (class)": means["peer_climate"],
        "ses (class)": means["ses"],
    }
    raw = np.column_stack([columns[name] for name in PREDICTORS[1:]])
    kept = np.isfinite(raw).all(axis=1) & (codes >= 0) & (group >= 0)
    _check_kept(kept, codes)
    X, scale = _standardised(raw[kept], group[kept])
    used, place = np.unique(group[kept], return_inverse=True)
    # Codes are renumbered once students are left out; the labels go by the first codes.
    labels = dict(zip(group.tolist(), np.asarray(class_id, dtype=object).tolist(), strict=True))
    return RolesData(
        X,
        PREDICTORS,
        scale,
        place.astype(np.int64),
        codes[kept],
        tuple(str(labels[g]) for g in used.tolist()),
        tuple(np.flatnonzero(kept).tolist()),
        _notes(kept, codes[kept], place),
    )


def class_mean(values: Array, group: Codes) -> Array:
    """The mean of each student's class `(n,)`, over the classmates whose value is known.

    >>> class_mean(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 1])).tolist()
    [2.0, 2.0, 5.0]
    """
    known = np.isfinite(values) & (group >= 0)
    m = int(group.max(initial=-1)) + 1
    total = group_sum(values[known], group[known], m)
    with np.errstate(invalid="ignore", divide="ignore"):
        # 0 / 0 is NaN: a class where nobody answered has no mean, and its students are left out.
        mean = total / np.bincount(group[known], minlength=m)
    return np.where(group >= 0, mean[group], np.nan)


def _column(values: ArrayLike, name: str, n: int) -> Array:
    column = as_numbers(values, name)
    if column.shape != (n,):
        raise ModelError(f"{name} has shape {column.shape}; pass one number for each of the {n} students.")
    return column


def _role_codes(role: Sequence[str] | NDArray[np.object_]) -> NDArray[np.int64]:
    """0 the reference, 1 to 3 the contrasts, -1 unknown."""
    known = {"": -1, REFERENCE: 0, **{name: i + 1 for i, name in enumerate(CONTRASTS)}}
    wrong = sorted({str(r) for r in role} - set(known))
    if wrong:
        words = ", ".join(repr(word) for word in (REFERENCE, *CONTRASTS))
        raise ModelError(f"role {wrong[0]!r} is not known; use {words}, or an empty string where it is not.")
    return np.array([known[str(r)] for r in role], dtype=np.int64)


def _check_flags(flags: dict[str, Array]) -> None:
    for name, values in flags.items():
        if not np.isin(values[np.isfinite(values)], (0.0, 1.0)).all():
            raise ModelError(f"{name} must be 1 or 0 (NaN where unknown); found {values[np.isfinite(values)].max():g}.")


def _check_kept(kept: NDArray[np.bool_], codes: NDArray[np.int64]) -> None:
    if not kept.any():
        raise ModelError(f"no student is left: of {len(kept)} every one has a missing value.")
    counts = np.bincount(codes[kept], minlength=4)
    for name, count in zip((REFERENCE, *CONTRASTS), counts.tolist(), strict=True):
        if count == 0:
            raise ModelError(
                f"no student with all values has the role {name!r}: its contrast cannot be estimated; add students of "
                "that role, or fill in what is missing of them."
            )


def _standardised(raw: Array, group: Codes) -> tuple[Array, Array]:
    """Centred columns after an intercept, divided by their sd (not the yes/no ones), and what they were divided by."""
    if len(np.unique(group)) < 2:
        raise ModelError("all students are in one class: the class-level part needs at least two classes.")
    centred = raw - raw.mean(axis=0)
    spread = centred.std(axis=0, ddof=1)
    for name, sd, size in zip(PREDICTORS[1:], spread, np.abs(raw).max(axis=0), strict=True):
        # Class means of equal answers differ by rounding: a tiny sd would blow that up to a predictor.
        if not sd > 1e-10 * size:
            raise ModelError(f"{name} does not vary among the students that are left; the model needs it to.")
    # A step from 0 to 1 is the whole contrast; in sds of a yes/no variable it would mean nothing to a reader.
    scale = np.where(np.isin(PREDICTORS[1:], ("girl", "immigrant")), 1.0, spread)
    return np.column_stack([np.ones(len(raw)), centred / scale]), np.concatenate([[1.0], scale])


def _notes(kept: NDArray[np.bool_], codes: NDArray[np.int64], group: Codes) -> tuple[Note, ...]:
    notes = []
    left_out = tuple(np.flatnonzero(~kept).tolist())
    if left_out:
        message = f"{len(left_out)} of {len(kept)} students left out, a value is missing: {list_rows(left_out)}."
        notes.append(Note("excluded-rows", message, left_out))
    classes = len(np.unique(group))
    if classes < FEW_CLASSES:
        message = (
            f"{classes} classes are few for three predictors of classes: what is said of them leans on the priors."
        )
        notes.append(Note("few-classes", message))
    few = [n for n, count in zip((REFERENCE, *CONTRASTS), np.bincount(codes, minlength=4), strict=True) if count < 20]
    if few:
        message = f"fewer than 20 students have the role {', '.join(few)}: what is said of it leans on the priors."
        notes.append(Note("few-cases", message))
    return tuple(notes)

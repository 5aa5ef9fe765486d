"""What a user passes as numbers, as an array of floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.fit import Array

__all__ = ["as_numbers", "is_number"]


def as_numbers(values: ArrayLike, name: str) -> Array:
    """A copy as floats; masked entries become NaN. A `ModelError` names what holds no real numbers.

    >>> as_numbers(np.ma.masked_equal([1, 2], 2), "y").tolist()
    [1.0, nan]
    """
    try:
        if np.ma.isMaskedArray(values):
            values = np.ma.filled(np.ma.asarray(values).astype(float), np.nan)
        if np.iscomplexobj(values):
            raise TypeError("complex numbers")
        return np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{name} holds something that is not a number ({error}); pass one number an effect.") from None


def is_number(value: object) -> bool:
    """Whether a value is one real number, numpy's among them."""
    return isinstance(value, int | float | np.integer | np.floating)

"""What every prior is: a record with a reason and a source that turns into plain data, and its parameter check."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
from scipy import special

from replication.errors import ModelError
from replication.labels import Label
from replication.models.fit import Array
from replication.models.options import PriorScale, check_choice
from replication.models.prepare import is_number

__all__ = ["LOG_2PI", "Prior", "PriorRecord", "check_parameters", "log_cauchy_kernel", "log_t"]

LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class PriorRecord:
    """A prior as plain data: what it is, on which scale, whether it is a distribution, why, and where from."""

    distribution: str
    parameters: dict[str, float | tuple[float, ...]]
    on: str
    proper: bool
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Prior:
    """What every prior has: a reason and a source, both sentences for a reader."""

    word: ClassVar[str] = ""
    proper: ClassVar[bool] = True

    reason: str = field(default="", kw_only=True)
    source: str = field(default="", kw_only=True)

    def record(self) -> PriorRecord:
        """This prior as plain data."""
        # `on`, reason and source have places of their own in the record.
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("reason", "source", "on")}
        return PriorRecord(self.word, own, getattr(self, "on", "coefficient"), self.proper, self.reason, self.source)

    @property
    def text(self) -> Label:
        """This prior as a label: reports word the distribution and its parameters in their language."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("reason", "source")}
        key = self.word.lower().replace("-", "_")
        # A table of a density is too long for a line: its name says that it is one.
        return Label(
            f"distribution_{key}", {name: value for name, value in own.items() if not isinstance(value, tuple)}
        )

    def __str__(self) -> str:
        """The prior in one short line, e.g. `half-normal(scale=0.3) on tau`."""
        record = self.record()
        inside = ", ".join(
            f"{k}={v:g}" if isinstance(v, float | int) else f"{k}=..." for k, v in record.parameters.items()
        )
        return f"{record.distribution}({inside})" + ("" if record.on == "coefficient" else f" on {record.on}")


def check_parameters(prior: Prior, positive: tuple[str, ...] = (), finite: tuple[str, ...] = ()) -> None:
    """Parameters must be numbers; those named positive must be above 0."""
    for name in (*positive, *finite):
        value = getattr(prior, name)
        if not is_number(value) or not np.isfinite(value) or (name in positive and value <= 0):
            need = "a finite number above 0" if name in positive else "a finite number"
            raise ModelError(f"{prior.word} prior: {name} must be {need}; found {value!r}.")
    if hasattr(prior, "on"):
        check_choice(prior.on, PriorScale, "on")


def log_t(z: Array, df: float) -> Array:
    """Log density of Student's t; the beta function keeps its digits where df is large."""
    constant = -special.betaln(df / 2.0, 0.5) - 0.5 * np.log(df)
    return np.asarray(constant + 0.5 * (df + 1.0) * log_cauchy_kernel(z / np.sqrt(df)))


def log_cauchy_kernel(z: Array) -> Array:
    """`-log(1 + z^2)`; far out `-2 log|z|`, so that nothing overflows."""
    size = np.abs(z)
    # Beyond 1e8 the 1 is below rounding beside z^2.
    far = size > 1e8
    return -np.where(far, 2.0 * np.log(np.where(far, size, 1.0)), np.log1p(np.where(far, 0.0, size) ** 2))

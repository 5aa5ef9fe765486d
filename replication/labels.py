"""Wordings of ours by their keys: what models, datasets and analyses say, and each language words for itself.

The lowest layer knows labels so that a note of a model or a reason for leaving out a row is one, and not an English
sentence that a report would have to find again by its text. Templates stand in `report/locale` and `analyses/locale`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Cell", "Label", "Text", "of", "restored", "several", "within"]


@dataclass(frozen=True, slots=True)
class Label:
    """A wording of ours: its key under `[labels]` of every language, and what is filled in.

    Values are texts, numbers (their kind stands in the template) or several texts in a row.
    """

    key: str
    values: Mapping[str, Cell | tuple[Text, ...]] = field(default_factory=dict)

    def __hash__(self) -> int:
        # Reasons are counted and kept once, and a mapping has no hash of its own.
        return hash((self.key, tuple(sorted(self.values.items(), key=lambda item: item[0]))))


Text = str | Label
"""What is shown as a name: a key of `[labels]`, such a key with values, or a name of the dataset as it stands there."""

Cell = Text | float | int | bool | None


def of(about: Text, what: Text) -> Label:
    """What a title or label is about, and what is said of it.

    >>> of("quality", "three_intervals")
    Label(key='of', values={'about': 'quality', 'what': 'three_intervals'})
    """
    return Label("of", {"about": about, "what": what})


def within(whole: Text, part: Text) -> Label:
    """A label and the part, variant or end that is meant: "engagement, open data", "REML, one value a sample"."""
    return Label("within", {"whole": whole, "part": part})


def restored(kept: Any) -> Any:
    """What a store gives back of a cell or text: a label from its plain form, and everything else as it is.

    >>> restored({"key": "of", "values": {"about": "quality", "what": {"key": "r", "values": {}}}})
    Label(key='of', values={'about': 'quality', 'what': Label(key='r', values={})})
    """
    if isinstance(kept, Mapping):
        return Label(kept["key"], {name: restored(value) for name, value in kept["values"].items()})
    return tuple(map(restored, kept)) if isinstance(kept, list) else kept


def several(*texts: Text) -> Text:
    """Remarks behind each other, as a cell or note holds them; empty without any."""
    return texts[0] if len(texts) == 1 else Label("several", {"texts": texts}) if texts else ""

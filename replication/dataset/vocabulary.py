"""The closed vocabularies: which words a column may hold, and what each means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Construct", "Vocabulary"]


@dataclass(frozen=True, slots=True)
class Construct:
    """What a variable measures. `valence` is +1 where more is better for the student and -1 where more is worse."""

    name: str
    label: str
    label_nb: str
    short: str
    side: Literal["relationship", "outcome"]
    valence: int


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Word lists by name, and the constructs."""

    lists: Mapping[str, Mapping[str, str]]
    constructs: Mapping[str, Construct]

    @classmethod
    def from_toml(cls, record: Mapping[str, object]) -> Vocabulary:
        """Read the parsed `vocabulary.toml`; raises KeyError or TypeError where it is malformed."""
        lists: dict[str, Mapping[str, str]] = {}
        constructs: dict[str, Construct] = {}
        for name, words in record.items():
            if not isinstance(words, Mapping):
                raise TypeError(f"[{name}] must be a table of words")
            if name == "construct":
                constructs = {str(word): _construct(str(word), fields) for word, fields in words.items()}
            else:
                lists[name] = {str(word): str(meaning) for word, meaning in words.items()}
        lists["construct"] = {name: construct.label for name, construct in constructs.items()}
        return cls(lists, constructs)

    def words(self, name: str) -> tuple[str, ...]:
        """The words of one list."""
        return tuple(self.lists[name])

    def expected_sign(self, a: str, b: str) -> int:
        """+1 or -1: the sign expected of a correlation if good goes with good."""
        return self.constructs[a].valence * self.constructs[b].valence


def _construct(name: str, fields: Mapping[str, object]) -> Construct:
    try:
        construct = Construct(name=name, **fields)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"[construct.{name}] must have label, label_nb, short, side and valence") from None
    if construct.valence not in (-1, 1):
        raise TypeError(f"[construct.{name}] valence must be 1 or -1")
    if construct.side not in ("relationship", "outcome"):
        raise TypeError(f'[construct.{name}] side must be "relationship" or "outcome"')
    if not all(isinstance(text, str) for text in (construct.label, construct.label_nb, construct.short)):
        raise TypeError(f"[construct.{name}] label, label_nb and short must be text in quotes")
    return construct

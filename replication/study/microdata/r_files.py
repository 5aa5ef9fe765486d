"""R's saved objects read by hand: on long columns of text several times faster than the reader of the package rdata.

Only what a saved table needs of the format (R Internals, section "Serialization Formats"): vectors, factors, lists,
attributes and references, in the binary XDR form of versions 2 and 3, compressed or not. Nothing in the file is run.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from replication.errors import UserError

__all__ = ["read_saved_tables"]

# Limits on what a file may unpack to; a few kilobytes of gzip can hold terabytes of zeros.
_LARGEST = 2_000_000_000
_SMALL, _GROWTH, _PIECE = 256_000_000, 200, 16_000_000
_NULL, _NULL_ALT = 0, 254
_SYMBOL, _PAIRLIST, _CHARS, _LOGICAL, _INTEGER, _REAL, _TEXT, _LIST = 1, 2, 9, 10, 13, 14, 16, 19
_REFERENCE, _GLOBAL = 255, 253
_HAS_ATTRIBUTES, _HAS_TAG = 1 << 9, 1 << 10
_UTF8 = 1 << 3
_INTEGER_NA = -2147483648


@dataclass(slots=True)
class _Vector:
    values: Any
    attributes: dict[str, Any] = field(default_factory=dict)


class _Reader:
    """A cursor over the bytes of one saved file."""

    def __init__(self, content: bytes) -> None:
        self._bytes = content
        self._at = 0
        self._seen: list[object] = []

    def take(self, count: int) -> bytes:
        if count < 0 or self._at + count > len(self._bytes):
            raise UserError("the file ends in the middle; download it again")
        part = self._bytes[self._at : self._at + count]
        self._at += count
        return part

    def integer(self) -> int:
        return int(struct.unpack(">i", self.take(4))[0])

    def item(self) -> Any:
        """The next object, by the type in its flags."""
        flags = self.integer()
        kind = flags & 0xFF
        if kind in (_NULL, _NULL_ALT, _GLOBAL):
            return None
        if kind == _SYMBOL:
            # R writes each name once and refers to it by number from then on.
            self._seen.append(self.item())
            return self._seen[-1]
        if kind == _REFERENCE:
            return self._seen[(flags >> 8 or self.integer()) - 1]
        if kind == _PAIRLIST:
            return self._pairs(flags)
        if kind == _CHARS:
            return self._text(flags)
        vector = _Vector(self._values(kind))
        if flags & _HAS_ATTRIBUTES:
            vector.attributes = dict(self.item() or ())
        return vector

    def _pairs(self, flags: int) -> list[tuple[str, Any]]:
        """A linked list as pairs of tag and value."""
        pairs = []
        while flags & 0xFF == _PAIRLIST:
            if flags & _HAS_ATTRIBUTES:
                self.item()
            tag = self.item() if flags & _HAS_TAG else ""
            pairs.append((str(tag), self.item()))
            flags = self.integer()
        return pairs

    def _text(self, flags: int) -> str | None:
        length = self.integer()
        if length == -1:
            return None
        raw = self.take(length)
        try:
            # Most texts are UTF-8, marked so or not: the mark is asked only where that fails.
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("utf-8" if flags >> 12 & _UTF8 else "latin-1", errors="replace")

    def _values(self, kind: int) -> Any:
        length = self.integer()
        if kind in (_LOGICAL, _INTEGER):
            numbers = np.frombuffer(self.take(4 * length), dtype=">i4")
            return np.where(numbers == _INTEGER_NA, np.nan, numbers.astype(float))
        if kind == _REAL:
            return np.frombuffer(self.take(8 * length), dtype=">f8").astype(float)
        if kind in (_TEXT, _LIST):
            return [self.item() for _ in range(length)]
        raise UserError(f"the file holds an R object of type {kind}, not a plain table; save it as CSV")


def read_saved_tables(path: Path) -> list[pd.DataFrame]:
    """Every data frame saved in an .rda file; the tables of a nested list, where they have the same rows, as one.

    Raises
    ------
    UserError
        when the file is cut off or holds something else than plain tables.
    """
    content = _unpacked(path.read_bytes())
    if content[:5] in (b"RDX2\n", b"RDX3\n"):
        content = content[5:]
    reader = _Reader(content)
    if reader.take(2) != b"X\n":
        raise UserError(f"{path.name} is not an R file in its usual form; save it again, or as CSV")
    version = reader.integer()
    # The versions of R that wrote the file and that can read it; both are of no use here.
    reader.take(8)
    if version == 3:
        reader.take(reader.integer())
    saved = reader.item()
    objects = [value for _, value in saved] if isinstance(saved, list) else [saved]
    return [_whole(item) for item in objects if isinstance(item, _Vector) and "names" in item.attributes]


def _unpacked(content: bytes) -> bytes:
    """The bytes a file holds, unpacked piece by piece, so that a small file can never fill the memory.

    Tables shrink to a tenth or so; what grows to more than two hundred times its size is made to harm.
    """
    unpackers: tuple[tuple[bytes, Callable[[], Any]], ...] = (
        (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
        (b"BZh", bz2.BZ2Decompressor),
        (b"\xfd7zXZ", lzma.LZMADecompressor),
    )
    make = next((make for mark, make in unpackers if content.startswith(mark)), None)
    if make is None:
        return content
    most = min(_LARGEST, max(_SMALL, _GROWTH * len(content)))
    parts: list[bytes] = []
    size = 0
    while content:
        unpacker = make()
        while not unpacker.eof and (part := unpacker.decompress(content, _PIECE)):
            content = getattr(unpacker, "unconsumed_tail", b"")  # bz2 and lzma keep what they have not used yet
            parts.append(part)
            size += len(part)
            if size > most:
                raise UserError(f"the file unpacks to more than {most // 10**6} MB; unpack it yourself if it is sound")
        content = unpacker.unused_data  # a file may be several packed ones behind each other
    return b"".join(parts)


def _whole(saved: _Vector) -> pd.DataFrame:
    """A data frame, or the columns in a list of data frames and lists put beside each other.

    Packages keep one survey as a list of blocks (ids, scales, plausible values, weights). Their rows are the same
    persons only where every block has the same length; anything else is refused, never cut to fit. Of two columns
    with one name the first stays out too: which was meant could not be told.
    """
    if "row.names" in saved.attributes or not any(_has_names(item) for item in saved.values):
        return _table(saved)
    columns = list(_leaves(saved))
    lengths = {len(item.values) for _, item in columns}
    if len(lengths) > 1:
        sizes = ", ".join(str(size) for size in sorted(lengths)[:4])
        raise UserError(f"the file holds a list of tables with different numbers of rows ({sizes}); save one as CSV")
    counts = Counter(name for name, _ in columns)
    return pd.DataFrame({name: _column(item) for name, item in columns if counts[name] == 1})


def _has_names(item: object) -> bool:
    return isinstance(item, _Vector) and "names" in item.attributes and isinstance(item.values, list)


def _leaves(saved: _Vector) -> Iterator[tuple[str, _Vector]]:
    """Name and cells of every column, however deep its table lies in the list; matrices are left out."""
    for name, item in zip(saved.attributes["names"].values, saved.values, strict=True):
        if _has_names(item):
            yield from _leaves(item)
        elif isinstance(item, _Vector) and "dim" not in item.attributes:
            yield str(name), item


def _table(saved: _Vector) -> pd.DataFrame:
    names = saved.attributes["names"].values
    columns = {str(name): _column(item) for name, item in zip(names, saved.values, strict=True)}
    return pd.DataFrame({name: cells for name, cells in columns.items() if cells is not None})


def _column(item: object) -> Any:
    if not isinstance(item, _Vector):
        return None
    if "levels" not in item.attributes:
        return item.values
    levels = [None, *item.attributes["levels"].values]
    codes = np.nan_to_num(item.values, nan=0.0).astype(int)
    return pd.Series([levels[code] for code in codes], dtype=object)

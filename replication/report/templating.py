"""The environment every template is filled in, with templates kept as Jinja has compiled them.

Two things make it ours. Compiling takes as long as a tenth of all pages, so it is done once for each text of a
template. And pages call two hundred thousand small functions, each of which Jinja asks how it wants to be called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import jinja2
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2.runtime import Context

from replication import paths
from replication.digests import digest_of
from replication.writing import write_atomic

__all__ = ["environment", "template_digests"]

_TEMPLATES = Path(__file__).parent / "templates"


class _Compiled(BytecodeCache):
    """Templates as Jinja has compiled them, kept in the cache."""

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, ValueError):
            known, _, code = self._path(bucket).read_bytes().partition(b"\n")
            if known.decode() == digest_of(code):  # a damaged one counts as none
                bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        path, code = self._path(bucket), bucket.bytecode_to_string()
        with suppress(OSError):  # a cache nobody may write to: compiled each time
            write_atomic(path, digest_of(code).encode() + b"\n" + code)

    def _path(self, bucket: Bucket) -> Path:
        """Where it is kept: by the template's text, and by what decides how it is compiled."""
        key = digest_of(bucket.key, bucket.checksum, jinja2.__version__, Path(__file__).read_bytes())
        return paths.cache_dir() / "templates" / f"{key[:32]}.bin"


class _Calls(Context):
    """The names of a template, whose functions and methods are called as they are.

    Jinja looks at each function for a wish to be handed the context. None of ours has one, and looking takes longer
    than most of them do; macros and what else can be called go Jinja's way.
    """

    def call(__self, __obj: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as Jinja names them
        if type(__obj) is not MethodType and type(__obj) is not FunctionType:
            return super().call(__obj, *args, **kwargs)
        if kwargs:  # what Jinja adds for those who want the context
            kwargs.pop("_block_vars", None)
            kwargs.pop("_loop_vars", None)
        return __obj(*args, **kwargs)


class _Environment(Environment):
    context_class = _Calls


_USES = re.compile(r"""\{%-?\s*(?:extends|import|include|from)\s+["']([^"']+)["']""")


def template_digests() -> Mapping[str, str]:
    """A digest for every template by its name: of its text, and of all it extends or takes macros from."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in _TEMPLATES.iterdir() if path.is_file()}
    used = {name: _USES.findall(text) for name, text in texts.items()}

    def needed(name: str) -> list[str]:
        return [name, *(further for other in used.get(name, ()) for further in needed(other))]

    return {name: digest_of(*(texts.get(each, "") for each in needed(name))) for name in texts}


def environment(*, escaped: bool) -> Environment:
    """The environment of the templates of pages and files; `escaped` ones show every text as text, not as markup."""
    return _Environment(
        loader=FileSystemLoader(_TEMPLATES),
        bytecode_cache=_Compiled(),
        autoescape=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

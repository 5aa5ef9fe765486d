"""Public names of a package that are imported when they are first used, so that its import costs nothing."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as in `replication`: this module is all that its import loads
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

__all__ = ["missing_extra", "on_first_use"]

# What is installed only with an extra of the package, by the module that is imported.
_EXTRAS: Mapping[str, str] = {
    **dict.fromkeys(("arviz", "arviz_stats", "numba", "nutpie", "pymc", "pytensor"), "sampling"),
    **dict.fromkeys(("pikepdf", "typst"), "pdf"),
    "matplotlib": "figures",
    **dict.fromkeys(("polars", "pyarrow", "pyreadstat", "rdata", "statsmodels"), "surveys"),
}


def on_first_use(package: str, homes: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package: `homes` maps modules to the names they hold.

    >>> on_first_use("replication", {"replication.errors": ["UserError"]})("UserError").__name__
    'UserError'
    """
    home = {name: module for module, names in homes.items() for name in names}

    def find(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home[name]), name)

    return find


def missing_extra(error: ModuleNotFoundError) -> str:
    """What to install when an import failed because an extra is not there; empty for any other module.

    >>> missing_extra(ModuleNotFoundError("No module named 'pymc'", name="pymc"))
    "this needs pymc, which is not installed; install it with: pip install 'tsr-replication[sampling]'"
    """
    module = (error.name or "").partition(".")[0]
    if module not in _EXTRAS:
        return ""
    extra = _EXTRAS[module]
    return f"this needs {module}, which is not installed; install it with: pip install 'tsr-replication[{extra}]'"

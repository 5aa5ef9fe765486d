"""PyMC models drawn by nutpie: settings, loading without a C++ compiler, compiling once, drawing.

The same settings and the same model give the same draws on one machine. Nothing is written but compiled code, into a
folder that is passed.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from pathlib import Path
from typing import Any

from replication.errors import ModelError
from replication.models.fit import Array

__all__ = ["Draws", "Settings", "compile_model", "draw", "load_pymc"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a posterior is drawn; part of the record of every result.

    `chains` of `draws` after `tune` steps of adaptation. 2,000 draws: of the models here the bullying roles mix
    slowest, with an effective size of one draw in seven for the sds and correlations of classes, and 400 are asked
    for. `target_accept` 0.9: smaller steps than the usual 0.8, for variances near 0. A fit that fails is tried
    `attempts` times, each time with twice the draws and smaller steps, and the record says so.
    """

    seed: int = 20220420
    chains: int = 4
    draws: int = 2000
    tune: int = 1000
    target_accept: float = 0.9
    attempts: int = 2

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("chains", 2), ("draws", 4), ("tune", 1), ("attempts", 1)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ModelError(f"{name}={value!r}: expected a whole number of at least {least}.")
        if not 0.0 < self.target_accept < 1.0:
            raise ModelError(f"target_accept={self.target_accept!r} is not between 0 and 1; 0.9 is usual.")

    def harder(self) -> Settings:
        """The settings of the next attempt: twice the draws and adaptation, steps a third as far from acceptance 1."""
        # From 0.9 to 0.967: divergences mostly go with smaller steps, and low effective sizes with more draws.
        accept = 1.0 - (1.0 - self.target_accept) / 3.0
        return Settings(self.seed, self.chains, 2 * self.draws, 2 * self.tune, accept, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What the sampler returned.

    What the sampler returned: `values` by name `(chains, draws, ...)`, the log density `(chains, draws)`, and the
    numbers of divergent transitions and of trees cut at their greatest depth.
    """

    values: Mapping[str, Array]
    log_density: Array
    divergences: int
    cut_trees: int


def load_pymc(compile_dir: Path | None = None) -> None:
    """Import PyMC so that compiled code goes to `compile_dir` and no C++ compiler is used.

    Without a folder it goes to a temporary one that ends with the process: every process then compiles anew. PyTensor
    fixes its folder when it is first imported: a process that imported it before keeps the folder it has.
    """
    # PyTensor reads its flags once, at import: later changes would be silently without effect.
    if "pytensor" in sys.modules:
        return
    folder = _temporary() if compile_dir is None else _writable(compile_dir)
    # `cxx=` empty: without it PyTensor looks for g++ and warns where there is none.
    flags = f"base_compiledir={folder},cxx="
    with _environment("PYTENSOR_FLAGS", flags), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing a major refactor", category=FutureWarning)
        import nutpie  # noqa: F401
        import pymc  # noqa: F401


def compile_model(model: Any) -> Any:
    """The model as nutpie's compiled form (numba backend); `draw` takes it any number of times."""
    import nutpie

    with warnings.catch_warnings(), _short_shape_errors():
        # a function over large constants is compiled anew each time: slower, and no fault of the model
        warnings.filterwarnings("ignore", message=r".*Cannot cache compiled function")
        return nutpie.compile_pymc_model(model, backend="numba", gradient_backend="pytensor")


def draw(compiled: Any, settings: Settings, data: Mapping[str, Array] | None = None) -> Draws:
    """Draw from a compiled model, on other values of its named data where `data` gives them.

    Raises
    ------
    ModelError
        The sampler cannot start, because the log density is not finite wherever it tried.
    """
    import numpy as np
    import nutpie

    try:
        trace = nutpie.sample(
            compiled.with_data(**data) if data else compiled,
            draws=settings.draws,
            tune=settings.tune,
            chains=settings.chains,
            seed=settings.seed,
            target_accept=settings.target_accept,
            progress_bar=False,
            save_warmup=False,
        )
    # A failed start comes as a bare RuntimeError; its first line says what is wrong.
    except RuntimeError as error:
        raise ModelError(f"the sampler stopped: {str(error).splitlines()[0]}; check data and priors.") from error
    stats = trace.sample_stats
    return Draws(
        {str(name): np.asarray(trace.posterior[name]) for name in trace.posterior.data_vars},
        np.asarray(stats["logp"]),
        int(stats["diverging"].sum()),
        int(stats["maxdepth_reached"].sum()),
    )


@contextmanager
def _short_shape_errors() -> Iterator[None]:
    """While it lasts, numba compiles a fixed text for assignments of a wrong shape, without the two shapes."""
    from numba.np import arrayobj

    # nutpie copies the gradient into an array. The words for a shape that cannot be wrong there, numbers as text and
    # texts joined, were a fifth of what numba compiled for a model. Without the hook the long text is compiled.
    hook = "raise_with_shape_context"
    before = getattr(arrayobj, hook, None)
    if before is None:
        yield
        return
    setattr(arrayobj, hook, _shapes_differ())
    try:
        yield
    finally:
        setattr(arrayobj, hook, before)


@lru_cache(maxsize=1)
def _shapes_differ() -> Callable[..., None]:
    """A function that compiled code may call with two shapes, and that then raises an error."""
    from numba.extending import overload

    def shapes_differ(source: Any, target: Any) -> None:
        raise ValueError("cannot assign an array of another shape")

    @overload(shapes_differ)  # type: ignore[untyped-decorator]
    def _implementation(source: Any, target: Any) -> Callable[..., None]:
        return shapes_differ

    return shapes_differ


def _writable(folder: Path) -> Path:
    """The folder, made if needed; a temporary one where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary()
    usable = os.access(folder, os.W_OK) and "," not in str(folder.resolve())  # a comma would end the flag
    return folder.resolve() if usable else _temporary()


def _temporary() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="replication-pytensor-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def _environment(name: str, flags: str) -> Iterator[None]:
    """An environment variable for the time of an import; what the user set in it comes last and so wins."""
    before = os.environ.get(name)
    os.environ[name] = f"{flags},{before}" if before else flags
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before

"""MASEM beside metaSEM, in one run: `python -m benchmarks.masem`.

Four works on simulated studies: two stages with likelihood-based intervals, one stage with a moderator, stage 1 of 221
samples with 6 variables, stage 1 of 40 studies with 13 variables (metaSEM is not asked for the last: it takes an hour).
Times are the best of several repeats. Where Rscript or metaSEM is missing the peer's column says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from replication.models.masem import (
    CorrelationSet,
    LabelledMatrix,
    correlations_from_matrices,
    fit_one_stage,
    fit_stage1_random,
    fit_stage2,
    likelihood_intervals,
)

PATHS = "c ~ a1*a + a2*b; d ~ b1*c; a ~~ p*b; ind := a1*b1"

PEER = """
suppressMessages({library(metaSEM); library(jsonlite)})
sets <- fromJSON(commandArgs(TRUE)[1], simplifyVector = FALSE)
number <- function(x) if (is.null(x)) NA else as.numeric(x)
read <- function(set) {
  v <- unlist(set$variables)
  m <- lapply(set$matrices, function(x) matrix(sapply(unlist(x, recursive = FALSE), number), length(v),
                                              dimnames = list(v, v)))
  list(data = m, n = unlist(set$n), z = unlist(set$z), v = v)
}
seconds_of <- function(f) system.time(f())[["elapsed"]]
best <- function(f, repeats) min(replicate(repeats, seconds_of(f)))
small <- read(sets$small)
ram <- lavaan2RAM("c ~ a1*a + a2*b
d ~ b1*c
a ~~ p*b
a ~~ 1*a
b ~~ 1*b
ind := a1*b1", obs.variables = small$v)
frame <- Cor2DataFrame(small$data, small$n)
frame$data <- data.frame(frame$data, z = small$z, check.names = FALSE)
ax <- create.modMatrix(ram, output = "A", mod = "z")
seconds <- list(
  two_stages = best(function() {
    s <- tssem1(small$data, small$n, method = "REM", RE.type = "Diag")
    tssem2(s, RAM = ram, intervals.type = "LB")
  }, 3),
  one_stage = best(function() osmasem(RAM = ram, Ax = ax, data = frame), 3)
)
wide <- read(sets$wide)
seconds$wide <- seconds_of(function() tssem1(wide$data, wide$n, method = "REM", RE.type = "Diag"))
cat(toJSON(list(seconds = seconds, version = as.character(packageVersion("metaSEM"))), auto_unbox = TRUE, digits = NA))
"""


def best(work: Callable[[], object], repeats: int = 7) -> float:
    """Seconds of one call: the least over `repeats`."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def studies(k: int, v: int, missing: float, seed: int) -> CorrelationSet:
    """k studies of 80 to 600 persons around one factor, each variable absent with probability `missing`."""
    rng = np.random.default_rng(seed)
    names = tuple("abcdefghijklm"[:v])
    loadings = rng.uniform(0.4, 0.8, v)
    matrices, sizes = [], rng.integers(80, 600, k)
    for n in sizes:
        factor = rng.standard_normal((n, 1))
        own = loadings + rng.normal(0.0, 0.08, v)
        scores = factor * own + rng.standard_normal((n, v)) * np.sqrt(1 - np.clip(own, 0, 0.95) ** 2)
        matrix = np.corrcoef(scores.T)
        gone = rng.random(v) < missing
        gone[rng.permutation(v)[:3]] = False
        matrix[gone, :] = matrix[:, gone] = np.nan
        matrices.append(LabelledMatrix(names, matrix))
    return correlations_from_matrices(matrices, sizes.tolist(), moderators={"z": rng.standard_normal(k).tolist()})


def as_lists(data: CorrelationSet) -> dict[str, object]:
    """A set of correlations as R reads it."""
    v = len(data.variables)
    first, second = np.triu_indices(v, 1)
    matrices = []
    for r, present in zip(data.given, data.present, strict=True):
        matrix = np.full((v, v), np.nan)
        matrix[first, second] = matrix[second, first] = r
        np.fill_diagonal(matrix, np.where(present, 1.0, np.nan))
        matrices.append([[None if np.isnan(x) else x for x in row] for row in matrix.tolist()])
    moderator = data.moderators["z"].tolist()
    return {"variables": list(data.variables), "n": data.n.tolist(), "z": moderator, "matrices": matrices}


def two_stages(data: CorrelationSet) -> object:
    """Stage 1, stage 2, and the likelihood-based interval of every quantity."""
    return likelihood_intervals(fit_stage2(fit_stage1_random(data), PATHS))


def peer(small: CorrelationSet, wide: CorrelationSet) -> dict[str, float]:
    """metaSEM's seconds on the same data; empty where it cannot be asked."""
    if shutil.which("Rscript") is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder) / "data.json", Path(folder) / "peer.R"
        data.write_text(json.dumps({"small": as_lists(small), "wide": as_lists(wide)}))
        script.write_text(PEER)
        done = subprocess.run(["Rscript", str(script), str(data)], capture_output=True, text=True, check=False)
    if done.returncode:
        return {}
    found = json.loads(done.stdout)
    print(f"metaSEM {found['version']}")
    return dict(found["seconds"])


def main() -> None:
    """Print one line a work: ours, the peer's, and how many times faster."""
    small, wide, many = studies(45, 4, 0.3, 1), studies(221, 6, 0.0, 2), studies(40, 13, 0.25, 3)
    ours = {
        "two_stages": best(lambda: two_stages(small)),
        "one_stage": best(lambda: fit_one_stage(small, PATHS, moderators={"z": "paths"})),
        "wide": best(lambda: fit_stage1_random(wide), 5),
        "many": best(lambda: fit_stage1_random(many), 2),
    }
    theirs = peer(small, wide)
    titles = {
        "two_stages": "two stages with likelihood intervals, 45 x 4",
        "one_stage": "one stage with a moderator, 45 x 4",
        "wide": "stage 1, 221 x 6",
        "many": "stage 1, 40 x 13",
    }
    for key, title in titles.items():
        other = (
            f"metaSEM {theirs[key]:8.3f} s, {theirs[key] / ours[key]:6.0f} times"
            if key in theirs
            else "metaSEM not run"
        )
        print(f"{title:46s} {ours[key]:8.4f} s   {other}")


if __name__ == "__main__":
    main()

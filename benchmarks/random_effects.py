"""Random effects beside metafor, in one run: `python -m benchmarks.random_effects`.

Every time is the best of several calls. Where Rscript or metafor is missing the peer's column says so.
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

from replication.effects.correlation import fisher_z_variance
from replication.models.two_level.batch import fit_batch
from replication.models.two_level.influence import gosh, influence
from replication.models.two_level.random_effects import fit_random_effects

K, LARGE, BATCH, SUBSETS = 26, 500, 50_000, 10_000

PEER = """
suppressMessages(library(metafor))
d <- jsonlite::fromJSON(commandArgs(TRUE)[1])
once <- function(f) { start <- Sys.time(); f(); as.numeric(difftime(Sys.time(), start, units = "secs")) }
best <- function(f, repeats) min(replicate(repeats, once(f)))
r <- rma(d$y, d$v, test = "knha")
seconds <- list(
  fit = best(function() rma(d$y, d$v, test = "knha"), 200),
  regression = best(function() rma(d$y, d$v, mods = d$x, test = "knha"), 200),
  large = best(function() rma(d$Y, d$V, test = "knha"), 3),
  influence = best(function() influence(r), 5),
  gosh = best(function() gosh(r, subsets = 200, progbar = FALSE), 2) / 200 * %d
)
seconds$batch <- seconds$fit * %d
version <- as.character(packageVersion("metafor"))
cat(jsonlite::toJSON(list(seconds = seconds, version = version), auto_unbox = TRUE, digits = NA))
"""


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of `repeats` calls, the least disturbed by whatever else the machine does."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def data(k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fisher z of k samples of 30 to 300 persons, tau2 0.03."""
    rng = np.random.default_rng(seed)
    v = fisher_z_variance(rng.integers(30, 300, k))
    return 0.3 + rng.normal(size=k) * np.sqrt(v + 0.03), v


def ours() -> dict[str, float]:
    """Seconds of our own work."""
    (y, v), (Y, V) = data(K, 1), data(LARGE, 2)
    x = np.column_stack([np.ones(K), np.sqrt(v)])
    rng = np.random.default_rng(3)
    many = rng.permuted(np.tile(y, (BATCH, 1)), axis=1)
    fit = fit_random_effects(y, v)
    return {
        "fit": best(lambda: fit_random_effects(y, v), 1000),
        "regression": best(lambda: fit_random_effects(y, v, x), 1000),
        "large": best(lambda: fit_random_effects(Y, V), 100),
        "influence": best(lambda: influence(fit), 50),
        "gosh": best(lambda: gosh(fit, np.random.default_rng(4), subsets=SUBSETS), 5),
        "batch": best(lambda: fit_batch(many, v), 5),
    }


def peers() -> dict[str, float]:
    """Seconds of metafor on the same data; empty where it is missing. The batch is so many single fits."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        print("Rscript is missing: no peer")
        return {}
    (y, v), (Y, V) = data(K, 1), data(LARGE, 2)
    with tempfile.TemporaryDirectory() as folder:
        values, script = Path(folder) / "data.json", Path(folder) / "peer.R"
        arrays = {"y": y, "v": v, "x": np.sqrt(v), "Y": Y, "V": V}
        values.write_text(json.dumps({name: array.tolist() for name, array in arrays.items()}))
        script.write_text(PEER % (SUBSETS, BATCH))
        run = subprocess.run([rscript, str(script), str(values)], capture_output=True, text=True, check=False)
    if run.returncode:
        print(f"metafor could not run: {run.stderr.strip().splitlines()[-1]}")
        return {}
    answer = json.loads(run.stdout)
    print(f"peer: metafor {answer['version']}")
    return dict(answer["seconds"])


def main() -> None:
    """Print the table."""
    words = {
        "fit": f"REML + Knapp-Hartung + Q-profile, k = {K}",
        "regression": f"the same with a moderator, k = {K}",
        "large": f"REML + Knapp-Hartung, k = {LARGE}",
        "influence": f"influence of every effect, k = {K}",
        "gosh": f"GOSH, {SUBSETS:,} subsets of {K}",
        "batch": f"{BATCH:,} REML + Knapp-Hartung fits, k = {K}",
    }
    mine, theirs = ours(), peers()
    for name, what in words.items():
        ratio = f"{theirs[name] * 1e3:12.2f} ms  {theirs[name] / mine[name]:8.0f} times" if name in theirs else ""
        print(f"{what:55} {mine[name] * 1e3:10.3f} ms {ratio}")
    print(f"{'batch, fits a second':55} {BATCH / mine['batch']:10,.0f}")


if __name__ == "__main__":
    main()

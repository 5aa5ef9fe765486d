"""Exact posteriors and model averaging beside their peers, in one run: `python -m benchmarks.exact_bayes`.

Four works on the 114 correlations of Roorda et al. (2011), Fisher's z: one two-level posterior with its whole summary,
the three-level posterior of 85 effects in 45 samples, the same with four coefficients, the average of 36 models. The
peers are bayesmeta (two levels) and brms (three levels, 4 chains); where they are not installed their column says so.
Times are the best of several repeats; bayesmeta and brms run once.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from replication.effects.correlation import fisher_z_variance, to_fisher_z
from replication.models.bayes.averaging.averaging import average_models
from replication.models.bayes.averaging.bias_models import bias_priors
from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
from replication.models.bayes.priors import HalfCauchy, Normal
from replication.models.bayes.priors.informed import correlation_priors
from replication.paths import data_dir

PEER = """
suppressMessages(library(jsonlite))
data <- fromJSON(commandArgs(TRUE)[1])
seconds <- list()
if (requireNamespace("bayesmeta", quietly = TRUE)) {
  seconds$two <- system.time(bayesmeta::bayesmeta(data$two$y, sqrt(data$two$v), mu.prior = c(0, 1),
    tau.prior = function(t) bayesmeta::dhalfcauchy(t, scale = 0.3)))[["elapsed"]]
}
if (requireNamespace("brms", quietly = TRUE)) {
  frame <- with(data$three, data.frame(y = y, se = sqrt(v), sample = sample, es = seq_along(y)))
  model <- y | se(se) ~ 1 + (1 | sample / es)
  seconds$three <- system.time(brms::brm(model, data = frame, chains = 4, refresh = 0))[["elapsed"]]
}
cat(toJSON(seconds, auto_unbox = TRUE))
"""


def read() -> list[dict[str, str]]:
    """The published correlations."""
    with (data_dir() / "roorda2011" / "effects.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def z_and_v(rows: list[dict[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Fisher's z and its sampling variance."""
    return to_fisher_z([float(r["value"]) for r in rows]), fisher_z_variance(np.array([float(r["n"]) for r in rows]))


def best(work: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def peers(data: dict[str, dict[str, list[object]]]) -> dict[str, float]:
    """Seconds of the R packages that are installed."""
    if shutil.which("Rscript") is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        script, file = Path(folder) / "peer.R", Path(folder) / "data.json"
        script.write_text(PEER, encoding="utf-8")
        file.write_text(json.dumps(data), encoding="utf-8")
        done = subprocess.run(["Rscript", str(script), str(file)], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else {}


def main() -> None:
    """Print one line a work: our seconds, our numerical error, the peer's seconds and the ratio."""
    rows, priors = read(), correlation_priors()
    positive, outcome = ("positive", "negative"), ("engagement", "achievement")
    pair = [r for r in rows if (r["var_a"], r["var_b"]) == ("positive", "achievement")]
    pair = [r for r in pair if "no" == r["diagonal_a_missing"] == r["diagonal_b_missing"]]
    many = [r for r in rows if r["var_a"] in positive and r["var_b"] in outcome]
    y, v = z_and_v(pair)
    ym, vm = z_and_v(many)
    sample = [r["sample_id"] for r in many]
    a = np.array([[r["var_a"] == "negative", r["var_b"] == "achievement"] for r in many], dtype=float)
    x = np.column_stack([np.ones(len(ym)), a, a.prod(axis=1)])
    sds = {"between": priors.between, "within": priors.within, "coefficients": priors.mean}
    two = lambda: exact_two_level(y, v, tau=HalfCauchy(0.3), coefficients=Normal(0.0, 1.0))  # noqa: E731
    three = lambda: exact_three_level(ym, vm, sample, **sds)  # noqa: E731
    four = lambda: exact_three_level(ym, vm, sample, x, **sds)  # noqa: E731
    average = lambda: average_models(y, v, priors=bias_priors("z"))  # noqa: E731
    peer = peers({
        "two": {"y": y.tolist(), "v": v.tolist()},
        "three": {"y": ym.tolist(), "v": vm.tolist(), "sample": list(sample)},
    })  # fmt: skip
    works = (
        (f"two levels, k = {len(y)}", two, 20, two().accuracy.error, "two"),
        ("  with summary and Bayes factors", lambda: two().summary(), 20, two().accuracy.error, "two"),
        (f"three levels, {len(ym)} in {len(set(sample))}", three, 10, three().accuracy.error, "three"),
        ("  with summary", lambda: three().summary(bayes_factors=False), 10, three().accuracy.error, "three"),
        ("  four coefficients", four, 10, four().accuracy.error, ""),
        (f"36 models, k = {len(y)}", average, 1, average().error, ""),
    )
    print(f"{'work':36s}{'seconds':>10s}{'error':>10s}{'peer':>10s}{'ratio':>10s}")
    for name, work, repeats, error, key in works:
        seconds = best(work, repeats)
        other = f"{peer[key]:10.2f}{peer[key] / seconds:10.0f}" if key in peer else f"{'-':>10s}{'-':>10s}"
        print(f"{name:36s}{seconds:10.4f}{error:10.0e}{other}")
    if not peer:
        print("bayesmeta and brms: not installed here")


if __name__ == "__main__":
    main()

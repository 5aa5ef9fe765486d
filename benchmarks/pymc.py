"""The multivariate multilevel model beside PyMC's default sampler, in one run: `python -m benchmarks.pymc`.

Data: the 85 relationship x outcome correlations of 45 samples, in four cells. Every line is a process of its own.
"Cold" has an empty folder for compiled code; "warm" is its second run. The peers are `pm.sample()` as it comes (its own
tuning, C++ where there is a compiler): on the model as one would write it, every effect sampled, and on our model.

ESS is the smallest of the bulk and tail effective sizes over means, sds and correlations; ESS/s divides it by the
seconds of drawing alone (tuning included, compiling not), "whole" by all seconds from before the first import.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from replication.effects.correlation import fisher_z_variance, to_fisher_z
from replication.models.bayes.priors.informed import correlation_priors
from replication.models.bayes.sampled.diagnostics import convergence
from replication.models.bayes.sampled.multilevel_data import MultilevelData, multilevel_data
from replication.models.bayes.sampled.multilevel_model import MultilevelPriors, multilevel_model
from replication.models.bayes.sampled.sampled_model import SampledModel
from replication.models.fit import Array
from replication.models.multilevel.structure import BlockV
from replication.paths import data_dir

Timing = dict[str, float]
# R-hat above which chains have not mixed (Vehtari et al. 2021).
MIXED = 1.01


def roorda() -> MultilevelData:
    """The relationship x outcome rows, sampling errors of one sample correlated .5."""
    rows = pd.read_csv(data_dir() / "roorda2011" / "effects.csv")
    rows = rows[rows["var_a"].isin(["positive", "negative"]) & rows["var_b"].isin(["engagement", "achievement"])]
    V = BlockV.constant_correlation(fisher_z_variance(rows["n"].to_numpy()), rows["sample_id"], 0.5)
    cell = (rows["var_a"] + "-" + rows["var_b"]).to_numpy()
    return multilevel_data(to_fisher_z(rows["value"].to_numpy()), V, sample=rows["sample_id"].to_numpy(), cell=cell)


def model() -> SampledModel:
    """Our model with the default priors of correlations."""
    priors = correlation_priors()
    return multilevel_model(roorda(), MultilevelPriors(priors.mean, priors.between, priors.within))


def diagnostics(quantities: Mapping[str, Array]) -> Timing:
    """The smallest effective size of bulk or tails and the largest R-hat over all but the predictions."""
    found = [convergence(values) for name, values in quantities.items() if not name.startswith("new")]
    return {"ess": min(min(c.ess_bulk, c.ess_tail) for c in found), "rhat": max(c.rhat for c in found)}


def run_ours(folder: str) -> Timing:
    """Import, compile, draw."""
    from replication.models.bayes.sampled.sampling import Settings, compile_model, draw, load_pymc

    load_pymc(Path(folder))
    spec = model()
    compiled = compile_model(spec.model)
    start = time.perf_counter()
    draws = draw(compiled, Settings())
    seconds = time.perf_counter() - start
    found = diagnostics(spec.report(draws.values, np.random.default_rng(1)))
    return {**found, "sampling": seconds, "divergences": draws.divergences}


def run_default(written_out: bool) -> Timing:
    """`pm.sample()` on our model, or on the model with every effect as a parameter."""
    import pymc as pm

    spec = None if written_out else model()
    chosen = written_model() if spec is None else spec.model
    with chosen:
        trace = pm.sample(chains=4, cores=2, random_seed=1, progressbar=False)
    values = {str(name): trace.posterior[name].to_numpy() for name in trace.posterior.data_vars}
    quantities = written_quantities(values) if spec is None else spec.report(values, np.random.default_rng(1))
    return {
        **diagnostics(quantities),
        "sampling": float(trace.posterior.attrs["sampling_time"]),
        "divergences": int(trace.sample_stats["diverging"].sum()),
    }


def written_model() -> object:
    """The same posterior as a PyMC user writes it: deviations of samples and effects non-centred, LKJ root, known V."""
    import pymc as pm

    data, sets = roorda(), correlation_priors()
    c, m = len(data.slots), int(data.sample.max()) + 1
    root, at = np.zeros((len(data.y), len(data.y))), 0
    for first, end in zip(data.start[:-1], data.start[1:], strict=True):
        n = int(end - first)
        root[first:end, first:end] = np.linalg.cholesky(data.V[at : at + n * n].reshape(n, n))
        at += n * n
    with pm.Model() as written:
        means = pm.Normal("means", 0.0, 1.0, shape=c)
        scale = pm.HalfNormal.dist(sets.between.scale, shape=c)  # type: ignore[attr-defined]
        chol, _, _ = pm.LKJCholeskyCov("chol", n=c, eta=2.0, sd_dist=scale, compute_corr=True)
        within = pm.HalfNormal("within", sets.within.scale)  # type: ignore[attr-defined]
        u = pm.Normal("u", shape=(m, c)) @ chol.T
        w = pm.Normal("w", shape=len(data.y))
        pm.MvNormal("y", means[data.slot] + u[data.sample, data.slot] + within * w, chol=root, observed=data.y)
    return written


def written_quantities(values: Mapping[str, Array]) -> dict[str, Array]:
    """Means, sds and correlations of the written-out model."""
    c = values["means"].shape[-1]
    quantities = {f"mean {j}": values["means"][..., j] for j in range(c)}
    quantities |= {f"between {j}": values["chol_stds"][..., j] for j in range(c)}
    quantities |= {f"rho {i}{j}": values["chol_corr"][..., i, j] for i in range(c) for j in range(i)}
    return quantities | {"within": values["within"]}


def in_own_process(line: str, folder: str) -> Timing:
    """One line of the table; `whole` counts from before the process started."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.pymc", line, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode:
        raise SystemExit(f"{line} stopped:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]) | {"whole": time.perf_counter() - start}


def one_line(line: str, folder: str) -> None:
    """Run one line here and print its timing."""
    warnings.simplefilter("ignore")
    timing = run_ours(folder) if line.startswith("ours") else run_default(written_out="written" in line)
    print(json.dumps(timing))


def main() -> None:
    """Print the table and the ratios."""
    lines = ("ours, cold", "ours, warm", "pm.sample(), effects written out", "pm.sample(), our model")
    with tempfile.TemporaryDirectory() as folder:
        found = {line: in_own_process(line, folder) for line in lines}
    print(f"{'':34}{'ESS':>7}{'divergent':>11}{'R-hat':>8}{'sampling s':>12}{'whole s':>9}{'ESS/s':>9}{'whole':>8}")
    for line, t in found.items():
        rates = t["ess"] / t["sampling"], t["ess"] / t["whole"]
        print(
            f"{line:34}{t['ess']:7.0f}{t['divergences']:11.0f}{t['rhat']:8.3f}{t['sampling']:12.1f}{t['whole']:9.1f}"
            f"{rates[0]:9.1f}{rates[1]:8.1f}"
        )
    ours = found["ours, cold"]
    for line in lines[2:]:
        peer = found[line]
        if peer["divergences"] > 0 or not peer["rhat"] < MIXED:
            # an effective size of draws that did not explore the posterior is no size
            state = f"{peer['divergences']:.0f} divergent, R-hat {peer['rhat']:.3f}"
            print(f"ours, cold, beside {line}: no ratio, not converged ({state})")
            continue
        sampling = ours["ess"] / ours["sampling"] / (peer["ess"] / peer["sampling"])
        whole = ours["ess"] / ours["whole"] / (peer["ess"] / peer["whole"])
        print(f"ours, cold, beside {line}: {sampling:.0f} times the ESS/s of sampling, {whole:.1f} times the whole")


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else one_line(sys.argv[1], sys.argv[2])

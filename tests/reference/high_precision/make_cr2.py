"""Makes cr2.json: CR2 standard errors and Satterthwaite degrees of freedom by full matrices in 80 digits (mpmath).

Run from the root of the repository: python tests/reference/high_precision/make_cr2.py (mpmath is needed for this only).
Nothing here comes from the package but the working covariance of the fit; matrices, roots and traces are mpmath's.
"""

from __future__ import annotations

import json
from pathlib import Path

import mpmath as mp
import numpy as np

from replication.models.fit import Fit
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.structure import BlockV
from replication.models.multilevel.working_model import working_model
from replication.models.two_level.random_effects import fit_random_effects

mp.mp.dps = 80


def truth(fit: Fit, codes: np.ndarray) -> dict[str, list[float]]:
    wm = working_model(fit)
    k, p, m = len(wm.y), wm.x.shape[1], int(codes.max()) + 1
    X, y, Phi = mp.matrix(wm.x.tolist()), mp.matrix(wm.y.tolist()), mp.zeros(k, k)
    members = [np.flatnonzero(codes == c).tolist() for c in range(m)]
    for rows in members:
        block = wm.covariance(np.array([rows]))[0]
        for i, a in enumerate(rows):
            for j, b in enumerate(rows):
                Phi[a, b] = mp.mpf(float(block[i, j]))
    W = mp.inverse(Phi)
    M = mp.inverse(X.T * W * X)
    residual = mp.eye(k) - X * M * X.T * W
    Omega, e = residual * Phi * residual.T, residual * y
    maps = [M * adjusted(rows, Phi, Omega, W * X) for rows in members]
    V = mp.zeros(p, p)
    for G in maps:
        V += (G * e) * (G * e).T
    df = []
    for q in range(p):
        rows_of_y = mp.matrix([[(G * residual)[q, i] for i in range(k)] for G in maps])
        C = rows_of_y * Phi * rows_of_y.T
        trace = mp.fsum(C[i, i] for i in range(m))
        df.append(float(trace**2 / mp.fsum(C[i, j] ** 2 for i in range(m) for j in range(m))))
    return {"se": [float(mp.sqrt(V[q, q])) for q in range(p)], "df": df}


def adjusted(rows: list[int], Phi: mp.matrix, Omega: mp.matrix, WX: mp.matrix) -> mp.matrix:
    """`X'W A` of one cluster as `(p, k)`, A by the Cholesky root of Phi and the eigenvalues of `L' Omega L`."""
    part = lambda A: mp.matrix([[A[i, j] for j in rows] for i in rows])  # noqa: E731
    L = mp.cholesky(part(Phi))
    S = L.T * part(Omega) * L
    values, vectors = mp.eigsy((S + S.T) / 2)
    root = mp.zeros(len(rows), len(rows))
    for q in range(len(rows)):
        if values[q] > max(values) * mp.mpf(10) ** -50:
            root += vectors[:, q] * vectors[:, q].T / mp.sqrt(values[q])
    A = L * root * L.T
    full = mp.zeros(WX.cols, WX.rows)
    for i, a in enumerate(rows):
        for q in range(WX.cols):
            full[q, a] = mp.fsum(A[j, i] * WX[rows[j], q] for j in range(len(rows)))
    return full


def main() -> None:
    rng = np.random.default_rng(5)
    codes = np.repeat(np.arange(7), 3)
    v, y = rng.uniform(0.02, 0.1, 21), rng.normal(0.3, 0.3, 21)
    x = np.column_stack([np.ones(21), rng.normal(size=21)])
    cases = []
    for factor in (1.0, 1e6, 1e-6):
        scaled = np.concatenate([[v[0] * factor], v[1:]])
        fit = fit_multilevel(y, BlockV.constant_correlation(scaled, codes, 0.6), codes, x)
        case = {"kind": "clusters", "rows": 21, "factor": factor, "theta": [c.estimate for c in fit.components]}
        cases.append({**case, **truth(fit, codes)})
    for factor in (1e-2, 1e-4, 1e-7, 1e-10):
        scaled = np.concatenate([[v[0] * factor], v[1:10]])
        fit = fit_random_effects(y[:10], scaled, method="EE", test="z")
        cases.append({"kind": "rows", "rows": 10, "factor": factor, **truth(fit, np.arange(10))})
    found = {"made_by": "make_cr2.py", "mpmath": mp.__version__, "digits": mp.mp.dps}
    data = {"y": y.tolist(), "v": v.tolist(), "x": x.tolist(), "clusters": codes.tolist()}
    path = Path(__file__).parent / "cr2.json"
    path.write_text(json.dumps({**found, **data, "cases": cases}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

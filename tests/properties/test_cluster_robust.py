"""What defines CR2, its degrees of freedom and the Hotelling test, by full matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import linalg

from replication.models.fit import Fit
from replication.models.multilevel.moments import LARGE, _singular, expected_covariance
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.robust import RobustData, contrast_df, robust, wald_test
from replication.models.multilevel.structure import BlockV
from replication.models.multilevel.working_model import working_model
from replication.models.two_level.random_effects import fit_random_effects
from tests.tolerances import SAME, Tolerance, assert_close

KINDS = ("CR0", "CR1", "CR1p", "CR1S", "CR2")
ROOTS = Tolerance(1e-8, 1e-10, "square roots of nearly singular blocks, by two routes", 1e-10)


@dataclass(frozen=True)
class Dense:
    """The working model in full matrices: design, covariance, weights, clusters, residual maker."""

    X: np.ndarray
    Phi: np.ndarray
    W: np.ndarray
    codes: np.ndarray
    y: np.ndarray

    @property
    def bread(self) -> np.ndarray:
        return np.linalg.inv(self.X.T @ self.W @ self.X)

    @property
    def residual_maker(self) -> np.ndarray:
        return np.eye(len(self.y)) - self.X @ self.bread @ self.X.T @ self.W

    def adjusted(self, kind: str) -> list[np.ndarray]:
        """The rows `bread X'W A` of each cluster, as `(p, k)` with zeros elsewhere."""
        m, (k, p) = self.codes.max() + 1, self.X.shape
        factor = {"CR1": m / (m - 1), "CR1p": m / (m - p), "CR1S": m * (k - 1) / ((m - 1) * (k - p))}.get(kind, 1.0)
        out = []
        for c in range(m):
            inside = self.codes == c
            A = np.eye(inside.sum()) * np.sqrt(factor)
            if kind == "CR2":
                A = self._bias_reducing(inside)
            full = np.zeros((p, k))
            full[:, inside] = self.bread @ (self.X.T @ self.W)[:, inside] @ A
            out.append(full)
        return out

    def _bias_reducing(self, inside: np.ndarray) -> np.ndarray:
        """Any root of Phi gives the same symmetric solution of A Omega A = Phi; here the eigenvalue root."""
        Omega = (self.residual_maker @ self.Phi @ self.residual_maker.T)[np.ix_(inside, inside)]
        values, vectors = np.linalg.eigh(self.Phi[np.ix_(inside, inside)])
        root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
        values, vectors = np.linalg.eigh(root @ Omega @ root)
        keep = values > 1e-12 * values.max()
        inverse_root = (vectors[:, keep] / np.sqrt(values[keep])) @ vectors[:, keep].T
        return root @ inverse_root @ root

    def vcov(self, kind: str) -> np.ndarray:
        e = self.residual_maker @ self.y
        return sum(np.outer(G @ e, G @ e) for G in self.adjusted(kind))

    def quadratic_forms(self, kind: str) -> list[np.ndarray]:
        """The scores as linear maps of y `(p, k)`."""
        return [G @ self.residual_maker for G in self.adjusted(kind)]


def example(seed: int, *, weighted: bool = False, p: int = 3) -> tuple[Fit, np.ndarray, Dense]:
    """A multilevel fit (or a two-level one with odd weights) and its working model in full matrices."""
    rng = np.random.default_rng(seed)
    k = 40
    study = np.sort(rng.integers(0, 9, k))
    v = rng.uniform(0.05, 0.5, k)
    x = np.column_stack([np.ones(k), rng.normal(size=k), rng.normal(size=9)[study]])[:, :p]
    y = x.sum(1) + rng.normal(size=9)[study] * 0.4 + rng.normal(size=k) * np.sqrt(v)
    if weighted:
        weights = rng.uniform(0.5, 2.0, k)
        fit = fit_random_effects(y, v, x, weights=weights, test="z")
        Phi, W = np.diag(v + fit.components[0].estimate), np.diag(weights)
    else:
        V = BlockV.constant_correlation(v, study, 0.5)
        fit = fit_multilevel(y, V, {"study": study}, x)
        between, within = (c.estimate for c in fit.components)
        Phi = V.dense() + between * np.equal.outer(study, study) + within * np.eye(k)
        W = np.linalg.inv(Phi)
    codes = np.unique(study, return_inverse=True)[1]
    return fit, study, Dense(x, Phi, W, codes, y)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_block_by_block_is_the_full_formula(seed: int, kind: str, weighted: bool) -> None:
    fit, study, dense = example(seed, weighted=weighted)
    found = robust(fit, kind, study)
    assert_close(found.vcov, dense.vcov(kind), ROOTS)
    assert_close(found.beta, dense.bread @ dense.X.T @ dense.W @ dense.y, SAME)
    assert_close(found.beta, fit.beta, SAME)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weighted", [False, True])
def test_cr2_is_unbiased_under_the_working_model(seed: int, weighted: bool) -> None:
    """The expectation of the CR2 covariance is the covariance of the coefficients, exactly."""
    fit, study, dense = example(seed, weighted=weighted)
    data = robust(fit, "CR2", study).data
    assert isinstance(data, RobustData)
    B = dense.bread @ dense.X.T @ dense.W
    true = B @ dense.Phi @ B.T
    assert_close(expected_covariance(data.moments, np.eye(3)), true, ROOTS)
    by_hand = sum(G @ dense.Phi @ G.T for G in dense.quadratic_forms("CR2"))
    assert_close(by_hand, true, ROOTS)


def test_a_decomposition_that_gives_up_is_made_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """LAPACK's gesdd did so in a stack of four clusters of two hundred rows."""
    blocks = np.random.default_rng(3).normal(size=(3, 5, 5))

    def gives_up(_: np.ndarray) -> None:
        raise np.linalg.LinAlgError("SVD did not converge")

    expected = np.linalg.svd(blocks)[1]
    monkeypatch.setattr(np.linalg, "svd", gives_up)
    vectors, values = _singular(lambda: blocks)
    assert_close(values, expected, SAME)
    assert_close(vectors @ (values[:, :, None] ** 2 * vectors.mT), blocks @ blocks.mT, SAME)


def test_one_large_matrix_is_decomposed_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """By another call than a stack of small ones, and made anew where that gives up, as it is overwritten."""
    block = np.random.default_rng(4).normal(size=(1, LARGE + 1, LARGE + 1))
    product, asked = block @ block.mT, linalg.svd

    def gives_up(matrix: np.ndarray, *, lapack_driver: str = "gesdd", **options: bool) -> object:
        if lapack_driver == "gesdd":
            matrix[:] = 0.0
            raise np.linalg.LinAlgError("SVD did not converge")
        return asked(matrix, lapack_driver=lapack_driver, **options)

    for _ in range(2):
        vectors, values = _singular(block.copy)
        assert_close(values, np.linalg.svd(block)[1], ROOTS)
        assert_close(vectors @ (values[:, :, None] ** 2 * vectors.mT), product, ROOTS)
        monkeypatch.setattr(linalg, "svd", gives_up)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_degrees_of_freedom_are_satterthwaites(kind: str, weighted: bool) -> None:
    """df = 2 (E V)^2 / Var V = (sum lambda)^2 / sum lambda^2, with lambda the eigenvalues of the quadratic form."""
    fit, study, dense = example(11, weighted=weighted)
    found = robust(fit, kind, study)
    C = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 0.5, -2.0]])
    expected = []
    for c in C:
        g = np.array([c @ G for G in dense.quadratic_forms(kind)])
        P = g @ dense.Phi @ g.T
        expected.append(np.trace(P) ** 2 / np.trace(P @ P))
    assert_close(contrast_df(found, C), expected, ROOTS)
    assert_close(found.df, expected[:3], ROOTS)


@pytest.mark.parametrize("kind", ["CR0", "CR2"])
@pytest.mark.parametrize("weighted", [False, True])
def test_hotelling_degrees_of_freedom_from_every_pair_of_clusters(kind: str, weighted: bool) -> None:
    """eta = q (q + 1) / sum_st Var(D_st), D scaled to expectation I; variances of normal quadratic forms by hand."""
    fit, study, dense = example(5, weighted=weighted)
    C = np.array([[0, 1.0, 0], [1.0, 0, -1.0]])
    q = len(C)
    maps = np.array([C @ G for G in dense.quadratic_forms(kind)])
    expected = sum(g @ dense.Phi @ g.T for g in maps)
    values, vectors = np.linalg.eigh(expected)
    maps = np.array([vectors @ np.diag(values**-0.5) @ vectors.T @ g for g in maps])
    P = np.einsum("isk,kl,jtl->ijst", maps, dense.Phi, maps)
    total = sum(
        (P[i, j, s, s] * P[i, j, t, t] + P[i, j, s, t] * P[i, j, t, s])
        for i in range(len(maps))
        for j in range(len(maps))
        for s in range(q)
        for t in range(q)
    )
    eta = q * (q + 1) / total
    found = robust(fit, kind, study)
    test, b = wald_test(found, C), C @ found.beta
    Q = b @ np.linalg.solve(C @ dense.vcov(kind) @ C.T, b)
    assert_close([test.df_den, test.statistic], [eta - q + 1, Q * (eta - q + 1) / (eta * q)], ROOTS)


def test_one_constraint_is_the_t_test_squared() -> None:
    fit, study, _ = example(2)
    found = robust(fit, "CR2", study)
    test = wald_test(found, ["x1"])
    assert_close([test.statistic, test.df_den, test.p], [found.statistic[1] ** 2, found.df[1], found.p[1]], ROOTS)


def test_a_cluster_a_row_is_the_classical_hc2() -> None:
    """With equal variances and a cluster a row, CR2 is MacKinnon & White's HC2 and CR0 is White's HC0."""
    rng = np.random.default_rng(8)
    x = np.column_stack([np.ones(30), rng.normal(size=30)])
    y = rng.normal(size=30)
    fit = fit_random_effects(y, np.full(30, 0.2), x, test="z")
    A = np.linalg.inv(x.T @ x)
    hat = np.einsum("ij,jk,ik->i", x, A, x)
    e2 = (y - x @ fit.beta) ** 2
    assert_close(robust(fit, "CR0").vcov, A @ (x.T * e2) @ x @ A, SAME)
    assert_close(robust(fit, "CR2").vcov, A @ (x.T * (e2 / (1 - hat))) @ x @ A, SAME)


def test_balanced_means_give_the_one_sample_t_test() -> None:
    """Equal clusters, intercept only: CR2 is the t test of the cluster means, with m - 1 degrees of freedom."""
    rng = np.random.default_rng(4)
    y = rng.normal(size=(12, 5)) + rng.normal(size=(12, 1)) + 0.5
    fit = robust(fit_multilevel(y.ravel(), np.full(60, 0.3), {"study": np.repeat(np.arange(12), 5)}))
    means = y.mean(1)
    assert_close([fit.beta[0], fit.se[0], fit.df[0]], [means.mean(), means.std(ddof=1) / np.sqrt(12), 11.0], ROOTS)


def test_units_do_not_matter() -> None:
    _, study, dense = example(6)
    V = BlockV.constant_correlation(np.diag(dense.Phi), study, 0.1)
    plain = robust(fit_multilevel(dense.y, V, {"study": study}, dense.X))
    unit = np.diag([1.0, 1e-6, 1e5])
    scaled = robust(fit_multilevel(1e4 * dense.y, V.scaled(1e8), {"study": study}, dense.X @ unit))
    assert_close(scaled.se @ unit, 1e4 * plain.se, ROOTS)
    assert_close(scaled.df, plain.df, ROOTS)
    a, b = wald_test(plain, ["x1", "x2"]), wald_test(scaled, ["x1", "x2"])
    assert_close([b.statistic, b.df_den], [a.statistic, a.df_den], ROOTS)


def test_other_weights_change_the_coefficients_and_keep_cr2_unbiased() -> None:
    fit, study, dense = example(9)
    weights = np.random.default_rng(1).uniform(0.2, 3.0, 40)
    found = robust(fit, "CR2", study, weights=weights)
    other = Dense(dense.X, dense.Phi, np.diag(weights), dense.codes, dense.y)
    assert_close(found.beta, other.bread @ other.X.T @ other.W @ other.y, SAME)
    assert_close(found.vcov, other.vcov("CR2"), ROOTS)
    assert found.method["weights"] == "as given"
    assert working_model(fit, weights).weights is not None

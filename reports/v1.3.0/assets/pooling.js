// The two-level random-effects model in the browser: REML and Knapp-Hartung, one value a sample. Called by explore.js.
// The numbers equal those of replication.models.two_level to 1e-6 (tests/site/test_site_explore.py); formulas in the
// notation of that package.
"use strict";
(() => {
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

  // ln Gamma: Lanczos' approximation with the coefficients of Godfrey (g = 7, n = 9), relative error below 1e-14.
  const LANCZOS = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
    -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
  const logGamma = (x) => {
    if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
    const base = x + 6.5;
    const series = LANCZOS.slice(1).reduce((total, c, i) => total + c / (x + i), LANCZOS[0]);
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(base) - base + Math.log(series);
  };

  // The regularised incomplete beta function by its continued fraction (modified Lentz), for x below its mean.
  const betaFraction = (x, a, b) => {
    const tiny = 1e-300;
    const away = (number) => (Math.abs(number) < tiny ? tiny : number);
    let c = 1;
    let d = 1 / away(1 - ((a + b) * x) / (a + 1));
    let h = d;
    for (let m = 1; m <= 500; m += 1) {
      for (const step of [(m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
        (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))]) {
        d = 1 / away(1 + step * d);
        c = away(1 + step / c);
        h *= d * c;
      }
      if (Math.abs(d * c - 1) < 1e-15) break;
    }
    return h;
  };
  const beta = (x, a, b) => {
    if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - beta(1 - x, b, a);
    const front = logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x);
    return (Math.exp(front) * betaFraction(x, a, b)) / a;
  };

  // The t above which 2.5 % of Student's distribution lie: its tail falls in t, so halving a bracket finds it.
  const studentT = (df) => {
    const tail = (t) => 0.5 * beta(df / (df + t * t), df / 2, 0.5);
    let [low, high] = [0, 13];
    for (let i = 0; i < 80; i += 1) {
      const middle = (low + high) / 2;
      if (tail(middle) > 0.025) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  };

  const weighted = (y, v, tau2) => {
    const w = v.map((one) => 1 / (one + tau2));
    const total = sum(w);
    const mean = sum(w.map((one, i) => one * y[i])) / total;
    return { w, total, mean };
  };
  // Derivative of the restricted log-likelihood in tau2, doubled: y'PPy - tr P (Viechtbauer 2005).
  const score = (y, v, tau2) => {
    const { w, total, mean } = weighted(y, v, tau2);
    return sum(w.map((one, i) => (one * (y[i] - mean)) ** 2)) - (total - sum(w.map((one) => one * one)) / total);
  };
  const logLikelihood = (y, v, tau2) => {
    const { w, total, mean } = weighted(y, v, tau2);
    return -0.5 * (Math.log(total) + sum(w.map((one, i) => one * (y[i] - mean) ** 2 - Math.log(one))));
  };

  // REML may have several peaks: every fall of the score through zero up to where it is proven negative is a
  // candidate, and 0 where it falls already there; the highest wins, as in the package.
  const reml = (y, v) => {
    const smallest = Math.min(...v);
    const plain = sum(y) / y.length;
    const s2 = sum(y.map((one) => (one - plain) ** 2)) / (y.length - 1);
    const spread = Math.max(...v) - smallest;
    const bound = Math.max(1.01 * 0.5 * (s2 + Math.sqrt(s2 * (s2 + 4 * spread))), smallest);
    const cells = Math.max(16, Math.ceil(4 * Math.log(bound / smallest)));
    const grid = Array.from({ length: cells + 1 }, (_, i) => smallest * (bound / smallest) ** (i / cells) - smallest);
    grid[0] = 0;
    const scores = grid.map((tau2) => score(y, v, tau2));
    const peaks = scores[0] <= 0 ? [0] : [];
    for (let i = 0; i < cells; i += 1) {
      if (!(scores[i] > 0 && scores[i + 1] <= 0)) continue;
      let [low, high] = [grid[i], grid[i + 1]];
      for (let j = 0; j < 80; j += 1) {
        const middle = (low + high) / 2;
        if (score(y, v, middle) > 0) low = middle;
        else high = middle;
      }
      peaks.push((low + high) / 2);
    }
    return peaks.reduce((best, one) => (logLikelihood(y, v, one) > logLikelihood(y, v, best) ? one : best));
  };

  // Rows of one sample become one: the mean of z, with the variance of a mean of errors that correlate by rho.
  const samplesOf = (rows, rho) => {
    const found = new Map();
    rows.forEach((row) => found.set(row.sample, [...(found.get(row.sample) || []), row]));
    return [...found.values()].map((own) => {
      const squares = sum(own.map((row) => row.v));
      const roots = sum(own.map((row) => Math.sqrt(row.v)));
      return {
        label: own[0].label, place: own[0].place, rows: own.length, n: Math.max(...own.map((row) => row.n)),
        y: sum(own.map((row) => row.z)) / own.length,
        v: (squares + rho * (roots * roots - squares)) / own.length ** 2,
      };
    });
  };

  const pool = (samples) => {
    const [y, v] = [samples.map((one) => one.y), samples.map((one) => one.v)];
    const k = samples.length;
    const ends = (mean, half) => [Math.tanh(mean - half), Math.tanh(mean + half)];
    if (k === 0) return { k };
    // One sample has no spread to estimate: its own sampling error is all there is.
    if (k === 1) return { k, r: Math.tanh(y[0]), interval: ends(y[0], 1.959963984540054 * Math.sqrt(v[0])) };
    const tau2 = reml(y, v);
    const { w, total, mean } = weighted(y, v, tau2);
    // Knapp & Hartung (2003): the variance of the mean is scaled by the weighted residual mean square.
    const variance = sum(w.map((one, i) => one * (y[i] - mean) ** 2)) / (k - 1) / total;
    const t = studentT(k - 1);
    const { w: plain, total: weight } = weighted(y, v, 0);
    const typical = (k - 1) / (weight - sum(plain.map((one) => one * one)) / weight);
    return {
      k, r: Math.tanh(mean), interval: ends(mean, t * Math.sqrt(variance)),
      further: ends(mean, t * Math.sqrt(variance + tau2)), tau2, I2: (100 * tau2) / (tau2 + typical),
    };
  };

  window.POOLING = { pool, samplesOf };
})();

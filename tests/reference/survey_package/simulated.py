"""Writes simulated.csv beside itself: 240 simulated students in 24 schools, for R's survey package and ours."""

from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    """Zones of two schools in six strata of four and one school alone in a seventh; some answers missing."""
    rng = np.random.default_rng(20)
    school = np.repeat(np.arange(24), 10)
    top = rng.normal(scale=0.5, size=(24, 2))
    x = rng.normal(size=240) + top[school, 0]
    y = 0.4 * x + rng.normal(size=240) + top[school, 1]
    pv = {f"pv{i}": y + rng.normal(scale=0.7, size=240) for i in range(1, 6)}
    frame = pd.DataFrame({"school": school, "stratum": np.where(school == 23, 6, school // 4), "zone": school // 2})
    frame = frame.assign(half=school % 2, w=rng.uniform(0.5, 3, 240), x=x, y=y, **pv)
    frame.loc[rng.random(240) < 0.1, "x"] = np.nan
    frame.loc[frame["school"] == 5, "y"] = np.nan  # a school without answers stays a school drawn
    frame.round(6).to_csv(Path(__file__).with_name("simulated.csv"), index=False)


if __name__ == "__main__":
    main()

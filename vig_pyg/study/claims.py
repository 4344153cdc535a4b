"""What a study may claim: that one row beats another, where a paired test over seeds says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

LEVEL = 0.05


def paired_p(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the probability of a mean difference at least as large if there were none (two-sided paired t test).

    The pairs are runs from the same seed. One seed, and differences that are all the same, as a handful of images
    may give, prove nothing: 1.
    """
    from scipy.stats import ttest_rel

    differences = np.subtract(values, others)
    if len(differences) < 2 or np.ptp(differences) < 1e-9:
        return 1.0
    return float(ttest_rel(values, others).pvalue)


def as_p(p: float) -> str:
    """Return a probability as it is written in papers."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def by_points(better: str, worse: str, high: float, low: float) -> str:
    """Return how two means in percent differ."""
    return f"“{better}” beats “{worse}” by {high - low:.2f} points"


def claims(
    values: Mapping[str, Sequence[float]],
    baselines: Mapping[str, str],
    say: Callable[[str, str, float, float], str] = by_points,
) -> list[str]:
    """Return a sentence for every row that differs from its baseline by more than chance explains.

    p is corrected for the number of comparisons (Bonferroni). Without any comparison nothing is said.

    Args:
        values: For every row a value per seed.
        baselines: For every row the row to compare with; itself for none.
        say: Called with the better row, the other, and the mean of either; returns how they differ.
    """
    pairs = [(label, other) for label, other in baselines.items() if label != other and other in values]
    if not pairs:
        return []
    seeds = min(len(found) for found in values.values())
    if seeds < 2:
        return ["One seed: no difference can be told from chance, so none is claimed."]
    found, smallest = [], 1.0
    for label, other in pairs:
        p = min(1.0, paired_p(values[label], values[other]) * len(pairs))
        smallest = min(smallest, p)
        if p < LEVEL:
            (low, worse), (high, better) = sorted((float(np.mean(values[name])), name) for name in (label, other))
            found.append(f"{say(better, worse, high, low)} ({as_p(p)}).")
    with_ = " and ".join(f"“{other}”" for other in dict.fromkeys(other for _, other in pairs))
    tests = f"paired t tests over {seeds} seeds, p corrected for {len(pairs)} comparison{'s' * (len(pairs) > 1)}"
    if found:
        return [*found, f"Rows were compared with {with_} by {tests}; of the others nothing is claimed."]
    return [f"No row differs from {with_} by more than chance explains ({tests}; the smallest is {smallest:.2f})."]

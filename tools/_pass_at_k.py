"""pass@k: how often at least one of several samples is right."""

from __future__ import annotations

from math import comb


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of ``k`` samples is right, without bias from ``n`` samples of which ``c`` are right.

    ``1 - C(n - c, k) / C(n, k)`` in whole numbers up to the one division (Chen et al., 2021, Evaluating Large Language
    Models Trained on Code, equation 1), so that it is exact to the last bit for any sizes.

    Raises:
        ValueError: not ``0 <= c <= n`` and ``1 <= k <= n``.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, not n={n}, c={c}, k={k}.")
    all_ = comb(n, k)
    return (all_ - comb(n - c, k)) / all_

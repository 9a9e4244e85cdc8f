"""Student's t distribution, with the standard library alone."""

from __future__ import annotations

from statistics import NormalDist


def quantile(share: float, degrees: float) -> float:
    """Return a quantile by the series of Fisher and Cornish. From 3 degrees of freedom on it is right to 0.2 %.

    Args:
        share: the share of the distribution that lies below, 0 to 1.
        degrees: degrees of freedom. Fewer than 1 count as 1, and infinitely many give the normal distribution.

    """
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / max(degrees, 1.0) ** power for power, term in enumerate(terms, 1))

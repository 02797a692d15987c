"""When a simulated rate is near the stated one."""

import math


def near(share: float, trials: int, low: float, high: float) -> bool:
    """Whether a share of trials lies between two rates, with four standard errors of grace."""
    grace = 4 * math.sqrt(max(high * (1 - high), low * (1 - low)) / trials)
    return low - grace <= share <= high + grace

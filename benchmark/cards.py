"""The former name of `data.cards`, for plugins written for 0.1.0. New ones import from `promptarena.plugin`."""

from promptarena.benchmark.core.paths import *  # noqa: F403
from promptarena.benchmark.data.cards import *  # noqa: F403

"""The former name of `core.errors`, for plugins written for 0.1.0. New ones import from `promptarena.plugin`."""

from promptarena.benchmark.core.errors import *  # noqa: F403

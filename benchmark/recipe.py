"""The former name of `core.recipe`, for plugins written for 0.1.0. New ones import from `promptarena.plugin`."""

from promptarena.benchmark.core.recipe import *  # noqa: F403

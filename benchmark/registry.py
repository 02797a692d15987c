"""The former name of `plugins.registry`, for plugins written for 0.1.0. New ones import from `promptarena.plugin`."""

from promptarena.benchmark.plugins.registry import *  # noqa: F403

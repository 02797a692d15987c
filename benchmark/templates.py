"""The former name of `plugins.templates`, for plugins written for 0.1.0. New ones import from `promptarena.plugin`."""

from promptarena.benchmark.plugins.templates import *  # noqa: F403

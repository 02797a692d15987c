"""The former name of `plugins.edits`, for plugins written for 0.1.0. New ones import from `promptarena.plugin`."""

from promptarena.benchmark.plugins.edits import *  # noqa: F403

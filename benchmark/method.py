"""The former name of `plugins.learner`, for plugins written for 0.1.0. New ones import from `promptarena.plugin`."""

from promptarena.benchmark.core.classes import Classes  # noqa: F401
from promptarena.benchmark.plugins.learner import *  # noqa: F403

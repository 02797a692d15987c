"""The former name of `backbone.towers`, for plugins written for 0.1.0. New ones import from `promptarena.plugin`."""

from promptarena.benchmark.backbone.towers import *  # noqa: F403

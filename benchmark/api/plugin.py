"""All that the author of a method imports: `from promptarena.plugin import Learner, Config, About, ...`."""

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.interventions import Edit, Interventions
from promptarena.benchmark.backbone.trainable import trainable
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import NotReadyError, UserError
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins import edits, templates
from promptarena.benchmark.plugins.learner import (
    About,
    CannotTransferError,
    Config,
    Images,
    Learner,
    Shots,
    assumed,
    scaled_cosines,
)

__all__ = [
    "About",
    "Backbone",
    "CannotTransferError",
    "Classes",
    "Config",
    "Edit",
    "Images",
    "Interventions",
    "Learner",
    "NotReadyError",
    "Prompts",
    "Recipe",
    "Shots",
    "TrainingTask",
    "UserError",
    "assumed",
    "edits",
    "scaled_cosines",
    "templates",
    "trainable",
]

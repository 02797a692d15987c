"""The world that methods are checked in."""

import numpy as np
import torch
from broken_toys import ChangesTheBackbone

from promptarena.benchmark.backbone.loading import weights_digest
from promptarena.benchmark.contract.kit import World, check, miniature


def test_a_check_leaves_the_world_and_the_global_generators_as_they_were(world: World) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()
    check(ChangesTheBackbone, world)
    assert weights_digest(world.backbone.model.state_dict()) == world.backbone.digest
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert torch.get_num_threads() == before[2]


def test_the_miniature_has_other_novel_classes_in_another_number() -> None:
    world = miniature()
    task = world.task(1)
    assert not set(task.classes.names) & set(world.novel.names)
    assert len(task.classes) != len(world.novel)
    assert task.train.images.digest != world.task(2).train.images.digest

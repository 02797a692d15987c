import json
from collections.abc import Callable

import openai_files
import pytest
import tiny
import torch
from openai_worlds import World
from safetensors.torch import save_file
from torch import Tensor
from weight_files_of import DRAWN, QUICK, Files


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], World]:
    made: dict[str, World] = {}

    def get(architecture: str) -> World:
        if architecture not in made:
            made[architecture] = World(tmp_path_factory.mktemp("openai"), architecture)
        return made[architecture]

    return get


@pytest.fixture
def vit(world: Callable[[str], World]) -> World:
    return world("ViT-B-16-quickgelu")


@pytest.fixture(scope="session")
def halved() -> dict[str, Tensor]:
    """A model's tensors in the storage precision of OpenAI's release: half, but for norms and embeddings."""
    return openai_files.stored(DRAWN)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, halved: dict[str, Tensor]) -> Files:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "tiny.json").write_text(json.dumps(QUICK))
    (folder / "gelu.json").write_text(json.dumps(tiny.config()))
    single = {name: tensor.float().contiguous() for name, tensor in halved.items()}
    save_file({name: tensor.contiguous() for name, tensor in halved.items()}, folder / "half.safetensors")
    save_file(single | {"attn_mask": torch.zeros(24, 24)}, folder / "mask.safetensors")
    torch.save(single, folder / "state.pt")
    torch.save({"epoch": 3, "state_dict": halved}, folder / "nested.bin")
    openai_files.write_archive(folder / "openai.pt", DRAWN)
    return {path.name: path for path in folder.iterdir()}

import json
from functools import partial
from itertools import islice

import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from safetensors import safe_open
from safetensors.torch import load_file
from torch.multiprocessing.spawn import start_processes

from promptarena.benchmark.core.paths import MINIATURE
from promptarena.benchmark.data.miniature import digits
from promptarena.benchmark.data.miniature.pack import load_pack, pack_digest
from tools.miniature import captions, pretrain
from tools.miniature.corpus import MEAN, STD, VIEWS, Corpus
from tools.miniature.muon import Muon, orthogonalise
from tools.miniature.objective import Tokens, encode_images, encode_texts, measure
from tools.miniature.pretrain import CONFIG, Curve, Plan, run


@pytest.fixture(scope="module")
def corpus():
    keys = tuple(json.loads((MINIATURE / "pack" / "pretrain_concepts.json").read_text()))
    return Corpus(load_pack(), keys, pretrain.used_concepts(MINIATURE.parent / "cards"), rare=0.25, seed=0)


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return CLIP(**CONFIG).eval()


def test_a_batch_is_a_pure_function_of_its_number_and_worker(corpus):
    first, second, other = (corpus.batch(7, rank, 12) for rank in (0, 0, 1))
    assert first.captions == second.captions
    assert torch.equal(first.images, second.images)
    assert first.captions != other.captions


@pytest.mark.parametrize("start", [0, 1000, 3000])
def test_a_batch_has_four_pictures_a_caption_and_no_false_negatives(corpus, start):
    for step in range(start, start + 5):
        batch = corpus.batch(step, 0, 24)
        assert batch.images.shape == (24 * VIEWS, 3, 48, 48)
        assert batch.images.min() >= 0
        assert batch.images.max() <= 1
        assert batch.targets.max() < corpus.size
        assert len(set(batch.captions)) == 24


def test_every_caption_is_made_of_known_tokens(corpus):
    tokens = Tokens(torch.zeros(49408, 2), captions.vocabulary(iter(corpus.concepts)), 32)
    rng = np.random.default_rng(0)
    for concept in corpus.concepts:
        for _ in range(3):
            text, _ = captions.describe(rng, concept, 0.5)
            tokens([text, captions.lengthen(rng, text, captions.kind_of(concept))])
    tokens([captions.describe_digit(rng, name) for name in digits.NAMES for _ in range(9)])
    names = list(islice(captions.PATTERN_NAMES, None))
    tokens([captions.describe_texture(rng, name, ("red", "teal")) for name in names for _ in range(9)])


def test_the_fast_image_tower_is_open_clips(corpus, clip):
    images = corpus.batch(0, 0, 12).images
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    with torch.no_grad():
        expected = clip.encode_image((images - mean) / std, normalize=True)
        torch.testing.assert_close(encode_images(clip, images), expected, atol=1e-4, rtol=1e-4)


def test_the_text_tower_cut_to_length_is_open_clips(clip, corpus):
    texts = ["a photo of a fox.", "a photo of a hot beverage on a striped teal background, top left."]
    tokens = Tokens(clip.token_embedding.weight.detach(), captions.vocabulary(iter(corpus.concepts)), 32)
    with torch.no_grad():
        expected = clip.encode_text(SimpleTokenizer(context_length=32)(texts), normalize=True)
        torch.testing.assert_close(encode_texts(clip, *tokens(texts)), expected, atol=1e-4, rtol=1e-4)


def test_perfect_features_have_perfect_accuracy_and_a_lower_loss():
    texts = torch.eye(4)
    images = texts.repeat_interleave(VIEWS, 0)
    good = measure(images, texts, torch.tensor(16.0), torch.eye(4), torch.arange(4))
    bad = measure(images.roll(1, 1), texts, torch.tensor(16.0), torch.eye(4), torch.arange(4))
    assert (good.caption_top1, good.image_top1, good.text_top1) == (1, 1, 1)
    assert bad.caption_top1 == 0
    assert good.total < bad.total


@pytest.mark.parametrize("shape", [(2, 16, 16), (2, 32, 8), (2, 8, 32)])
def test_orthogonalising_brings_singular_values_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.4
    assert values.max() < 1.4


def test_muon_steps_matrices_of_all_shapes_downhill():
    torch.manual_seed(0)
    matrices = [torch.nn.Parameter(torch.randn(shape)) for shape in ((12, 4), (4, 4), (4, 8), (4, 4))]
    before = sum(matrix.square().sum() for matrix in matrices)
    optimiser = Muon(matrices, lr=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        sum(matrix.square().sum() for matrix in matrices).backward()
        optimiser.step()
    assert sum(matrix.square().sum() for matrix in matrices) < before


def test_the_rate_warms_up_and_decays(tmp_path):
    plan = Plan(tmp_path, steps=1000, warmup=100, decay=0.3)
    assert plan.rate(0) == pytest.approx(0.01)
    assert plan.rate(400) == 1
    assert plan.rate(850) == pytest.approx(0.5)
    assert plan.rate(999) == pytest.approx(0.02)


def test_a_continued_curve_drops_rows_after_the_checkpoint(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("step,images,seconds,loss\n50,1,1,3.0\n100,2,2,2.0\n")
    curve = Curve(path, 60)
    for step in range(61, 101):
        curve.add(step, 2, 2, {"loss": 1.0})
    assert path.read_text() == "step,images,seconds,loss\n50,1,1,3.0\n100,2,2,1.0000\n"


def test_the_shipped_checkpoint_names_its_data_and_credits():
    folder = MINIATURE / "model"
    with safe_open(folder / "mini_clip.safetensors", "pt") as stream:
        metadata = stream.metadata()
    assert json.loads(metadata["config"]) == json.loads((folder / "open_clip_config.json").read_text()) == CONFIG
    assert metadata["pack"] == pack_digest()
    assert int(metadata["images"]) > 0
    assert "Twemoji (CC BY 4.0)" in metadata["credits"]
    assert "OpenMoji" not in metadata["credits"]
    CLIP(**CONFIG).load_state_dict(load_file(folder / "mini_clip.safetensors"))


@pytest.fixture
def small(monkeypatch):
    """Two blocks a tower and a row every 25 steps; workers know of it because they are forked from this process."""
    towers = {name: CONFIG[name] | {"layers": 2} for name in ("vision_cfg", "text_cfg")}
    monkeypatch.setattr(pretrain, "CONFIG", CONFIG | towers)
    monkeypatch.setattr(pretrain, "EVERY", 25)
    monkeypatch.setattr(pretrain, "spawn", partial(start_processes, start_method="fork"))
    return pretrain.CONFIG


@pytest.mark.slow
def test_a_short_pretraining_learns_and_continues(tmp_path, small):
    for steps in (25, 50):
        run(Plan(tmp_path, steps=steps, workers=2, slots=8, warmup=15, decay=0))
    rows = [line.split(",") for line in (tmp_path / "curve.csv").read_text().splitlines()]
    losses, told = ([float(row[rows[0].index(name)]) for row in rows[1:]] for name in ("loss", "text_top1"))
    assert [row[0] for row in rows[1:]] == ["25", "50"]
    assert losses[1] < 0.8 * losses[0]  # 25 steps that know nothing of those before them reach 0.91
    assert told[1] > 0.75  # and about 0.62
    CLIP(**small).load_state_dict(load_file(tmp_path / "mini_clip.safetensors"))


@pytest.mark.slow
def test_a_worker_of_its_own_interpreter_trains_the_whole_model(tmp_path):
    run(Plan(tmp_path, steps=1, workers=1, slots=8))
    CLIP(**CONFIG).load_state_dict(load_file(tmp_path / "mini_clip.safetensors"))

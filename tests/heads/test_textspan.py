import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.heads.textspan import textspan


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def texts(count: int = 40, width: int = 12) -> Tensor:
    return F.normalize(drawn(count, width, seed=9), dim=-1)


def contributions(seed: int = 0, images: int = 60, width: int = 12) -> Tensor:
    """Correlated and far from the origin."""
    return 3 + drawn(images, width, seed=seed) @ drawn(width, width, seed=seed + 50)


def direct(c: Tensor, t: Tensor, count: int, rank: int) -> tuple[list[int], list[Tensor], Tensor]:
    """The selection over the images themselves: chosen rows, their directions, what is left of the texts."""
    c = c - c.mean(0)
    v = torch.linalg.svd(c, full_matrices=False)[2][:rank].T
    t = t @ v @ v.T
    rows, directions = [], []
    for _ in range(count):
        best = int((c @ t.T).std(0).argmax())
        direction = t[best].clone()
        rows.append(best)
        directions.append(direction)
        c = c - torch.outer(c @ direction, direction) / (direction @ direction)
        t = t - torch.outer(t @ direction, direction) / (direction @ direction)
    return rows, directions, t


@pytest.mark.parametrize("rank", [5, 12])
@pytest.mark.parametrize("seed", range(4))
def test_second_moments_choose_what_the_images_choose(seed: int, rank: int) -> None:
    c, t = contributions(seed), texts()
    rows, directions, rest = direct(c, t, 5, rank)
    found = textspan(c.T.cov(), t, 5, rank)
    assert list(found.rows) == rows
    assert float((rest @ torch.stack(directions).T).abs().max()) < 1e-12


def test_no_text_is_chosen_twice_and_no_more_than_the_span_holds() -> None:
    found = textspan(contributions().T.cov(), texts(), 40, 12)
    assert len(found.rows) == len(set(found.rows)) == 12
    assert len(textspan(contributions().T.cov(), texts(), 40, 7).rows) == 7


def test_explained_variance_rises_to_all_of_it() -> None:
    found = textspan(contributions().T.cov(), texts(), 12, 12)
    assert all(later >= earlier for earlier, later in zip(found.explained, found.explained[1:], strict=False))
    assert found.explained[0] > 0
    assert found.explained[-1] == pytest.approx(1)


def test_explained_variance_is_that_of_the_reconstruction() -> None:
    c, t = contributions(3), texts()
    found = textspan(c.T.cov(), t, 4, 12)
    centred = c - c.mean(0)
    basis = torch.linalg.qr(t[list(found.rows)].T)[0]
    left = centred - centred @ basis @ basis.T
    share = 1 - float(left.square().sum() / centred.square().sum())
    assert found.explained[-1] == pytest.approx(share)


def test_a_planted_text_comes_first() -> None:
    t = texts()
    c = torch.outer(drawn(60, seed=4), t[17]) + 0.01 * drawn(60, 12, seed=5) + 2
    assert textspan(c.T.cov(), t, 3, 12).rows[0] == 17


def test_a_head_that_writes_one_direction_gets_one_text() -> None:
    t = texts()
    c = torch.outer(drawn(60, seed=4), t[17])
    assert textspan(c.T.cov(), t, 5, 12).rows == (17,)


def test_a_head_that_always_writes_the_same_gets_no_text() -> None:
    assert textspan(torch.zeros(12, 12, dtype=torch.float64), texts(), 5, 12) == ((), ())


def test_the_axes_do_not_matter() -> None:
    c, t = contributions(1), texts()
    turn = torch.linalg.qr(drawn(12, 12, seed=8))[0]
    assert textspan((c @ turn).T.cov(), t @ turn, 6, 8).rows == textspan(c.T.cov(), t, 6, 8).rows

"""The tests against scipy's own and plain recomputation."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scored import naive_holm
from statsmodels.stats.multitest import multipletests

from promptarena.benchmark.statistics.significance import critical_difference, friedman, holm, paired_t, wilcoxon


class TestSignificance:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(-4, 4), min_size=2, max_size=8))
    def test_wilcoxon_by_enumeration_of_all_signs(self, whole: list[int]) -> None:
        kept = [each for each in whole if each]
        ranks = stats.rankdata(np.abs(kept)) if kept else np.zeros(0)
        sums = [abs(float(np.dot(signs, ranks))) for signs in product((-1, 1), repeat=len(kept))]
        seen = abs(float(np.dot(np.sign(kept), ranks)))
        naive = sum(each >= seen - 1e-9 for each in sums) / len(sums)
        assert wilcoxon(np.array([whole]) / 10)[0] == pytest.approx(naive)

    @pytest.mark.parametrize("size", [5, 6, 11, 13, 14, 40])
    def test_wilcoxon_is_scipys(self, size: int) -> None:
        rows = np.random.default_rng(size).normal(0.3, 1, (5, size))
        assert wilcoxon(rows) == pytest.approx(stats.wilcoxon(rows, axis=1).pvalue)
        tied = np.round(rows[0])
        assert wilcoxon(tied[None])[0] == pytest.approx(stats.wilcoxon(tied).pvalue)

    @pytest.mark.parametrize("size", [14, 15, 50, 51])
    def test_rows_of_all_kinds_at_once_have_the_bits_that_each_has_alone(self, size: int) -> None:
        plain, tied, zeros = np.random.default_rng(size).normal(0.3, 1, (3, 4, size))
        tied[:, 1], zeros[:, 2] = -tied[:, 0], 0
        rows = np.concatenate([plain, tied, zeros, np.zeros((1, size)), plain[::-1]]).round(9)
        alone = [stats.wilcoxon(row).pvalue if row.any() else 1.0 for row in rows]
        assert wilcoxon(rows).tolist() == alone

    def test_equal_scores_have_p_1(self) -> None:
        assert wilcoxon(np.zeros((1, 11)))[0] == 1.0
        assert wilcoxon(np.zeros((1, 20)))[0] == 1.0
        assert wilcoxon(np.full((1, 11), 1e-14))[0] == 1.0
        assert paired_t([0.0, 0.0, 0.0]) == 1.0
        assert friedman(np.ones((11, 4))) == 1.0

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
    def test_holm_by_its_definition(self, p_values: list[float]) -> None:
        assert holm(p_values) == pytest.approx(naive_holm(p_values))

    @pytest.mark.parametrize("count", range(1, 31))
    def test_holm_is_that_of_statsmodels(self, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels calls it each time, a second in a long test run
        drawn = np.random.default_rng(count)
        for decimals in (1, 3, 16):  # with ties and without
            p_values = drawn.uniform(size=count).round(decimals).tolist()
            assert holm(p_values) == multipletests(p_values, method="holm")[1].tolist()

    @pytest.mark.parametrize("seeds", [2, 3, 5])
    def test_equal_differences_do_not_make_a_difference_certain(self, seeds: int) -> None:
        # Two coarse accuracies of equal methods often differ by one image on every seed.
        assert paired_t([1.0] * seeds) == 2.0 ** (1 - seeds)

    def test_friedman_by_its_formula(self) -> None:
        values = np.random.default_rng(1).normal(size=(11, 5))
        ranks = np.argsort(np.argsort(-values, axis=1), axis=1) + 1
        chi2 = 12 * 11 / (5 * 6) * float(((ranks.mean(axis=0) - 3) ** 2).sum())
        assert friedman(values) == pytest.approx(stats.chi2.sf(chi2, 4))

    def test_critical_differences_are_the_published_ones(self) -> None:
        # Demsar, JMLR 7 (2006), table 5 (a): the two-tailed Nemenyi test at level 0.05.
        table = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
        for methods, quantile in table.items():
            factor = math.sqrt(methods * (methods + 1) / (6 * 14))
            assert critical_difference(methods, 14) == pytest.approx(quantile * factor, abs=0.001 * factor)

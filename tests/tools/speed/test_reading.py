import importlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

reading = importlib.import_module("tools.speed.reading")


def test_a_pool_reads_the_crops_of_a_single_thread_in_their_order() -> None:
    with ThreadPoolExecutor(2) as pool:
        found = reading.all_of(pool, 5)
    assert [image.shape for image in found] == [(224, 224, 3)] * 5
    for number, image in enumerate(found):
        np.testing.assert_array_equal(image, reading.cropped(number))
    assert not np.array_equal(reading.cropped(0), reading.cropped(reading.FILES)), "another crop of the same file"


@pytest.mark.slow
def test_threads_and_processes_are_compared_in_one_run(tmp_path: Path) -> None:
    report = importlib.import_module("tools.speed.report").Report(tmp_path, "")
    reading.reading([1], 2, 1, report)
    table = pd.read_csv(tmp_path / "reading.csv")
    assert list(table["workers"]) == [1]
    assert table["threads to processes"].str.match(r"[\d.]+x \(").all()

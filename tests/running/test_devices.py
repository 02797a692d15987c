"""Which devices there are and which worker gets which, with a stand-in list of GPUs."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from e2e_world import make_world
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running import devices
from promptarena.benchmark.running.comparison import plan_comparison, run_comparison
from promptarena.benchmark.running.devices import CPU, Device, device_of_each_worker, find_devices, visible_gpus
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import RunFailedError
from promptarena.benchmark.running.local_pool import LocalPool

MIG = """GPU 0: NVIDIA A100 (UUID: GPU-aaa)
  MIG 1g.5gb      Device  0: (UUID: MIG-one)
  MIG 1g.5gb      Device  1: (UUID: MIG-two)
GPU 1: NVIDIA A100 (UUID: GPU-bbb)
"""
WHOLE = "GPU 0: NVIDIA A100 (UUID: GPU-aaa)\nGPU 1: NVIDIA A100 (UUID: GPU-bbb)\n"


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine on which torch sees four GPUs and nvidia-smi says nothing."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(devices, "_smi", lambda *_: "")
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variable", "listing", "expected"),
    [
        (None, "", ("0", "1", "2", "3")),
        (None, WHOLE, ("0", "1", "2", "3")),
        (None, MIG, ("MIG-one", "MIG-two", "GPU-bbb")),
        ("2,3", MIG, ("2", "3")),
        ("GPU-bbb, GPU-aaa", WHOLE, ("GPU-bbb", "GPU-aaa")),
        (
            "MIG-one,MIG-two,MIG-three,MIG-four,MIG-five",
            MIG,
            ("MIG-one", "MIG-two", "MIG-three", "MIG-four", "MIG-five"),
        ),
        ("1,-1,2", "", ("1",)),
        ("0,1,2,3,9", "", ("0", "1", "2", "3")),
    ],
)
def test_every_visible_gpu_is_found_by_the_name_that_cuda_takes(
    gpus: pytest.MonkeyPatch, variable: str | None, listing: str, expected: tuple[str, ...]
) -> None:
    gpus.setattr(devices, "_smi", lambda *_: listing)
    if variable is not None:
        gpus.setenv(devices.VISIBLE, variable)
    assert visible_gpus() == expected


def test_auto_is_every_gpu_or_the_cpu() -> None:
    assert [device.visible for device in find_devices(("auto",), ("2", "MIG-one"))] == ["2", "MIG-one"]
    assert find_devices((), ()) == (CPU,)
    assert find_devices(("cpu",), ("0", "1")) == (CPU,)


def test_a_gpu_is_cuda_0_to_its_worker_and_has_its_number_for_the_user() -> None:
    assert find_devices(("cuda:1", "cuda:0"), ("4", "7")) == (
        Device("cuda:1", "cuda:0", "7"),
        Device("cuda:0", "cuda:0", "4"),
    )
    assert find_devices(("cuda",), ("4", "7")) == (Device("cuda:0", "cuda:0", "4"),)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("cuda:2",), "torch sees 2 GPUs here"),
        (("cuda", "cuda:0"), "named twice"),
        (("cpu", "cuda:1"), "of one kind"),
        (("gpu",), "cannot be used"),
    ],
)
def test_devices_that_are_not_there_are_refused(names: tuple[str, ...], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        find_devices(names, ("0", "1"))


@given(st.integers(1, 9), st.none() | st.integers(1, 30), st.none() | st.integers(1, 4))
def test_gpus_are_given_in_turn(count: int, workers: int | None, per_gpu: int | None) -> None:
    found = find_devices((), tuple(map(str, range(count))))
    if per_gpu is not None and (workers or 0) > count * per_gpu:
        with pytest.raises(UserError, match="change one of the two"):
            device_of_each_worker(found, workers, per_gpu)
        return
    given_out = device_of_each_worker(found, workers, per_gpu)
    assert len(given_out) == (workers or count * (per_gpu or 1))
    shares = Counter(device.name for device in given_out)
    assert max(shares.values()) - min(shares.get(device.name, 0) for device in found) <= 1


def test_a_gpu_in_exclusive_mode_takes_one_worker(gpus: pytest.MonkeyPatch) -> None:
    gpus.setattr(devices, "_smi", lambda *_: "compute_mode\nExclusive_Process\n")
    found = find_devices((), ("0", "1"))
    assert len(device_of_each_worker(found)) == 2
    with pytest.raises(UserError, match="exclusive-process"):
        device_of_each_worker(found, 3)


def test_on_a_cpu_workers_are_counted_by_cores() -> None:
    assert device_of_each_worker((CPU,)) == (CPU,) * devices.cores()
    assert device_of_each_worker((CPU,), 3) == (CPU,) * 3
    with pytest.raises(UserError, match="no GPU is used"):
        device_of_each_worker((CPU,), None, 2)


PLUGIN = """
import os

from promptarena.methods.zeroshot import ZeroShot


class Mine(ZeroShot):
    def __init__(self, backbone, config, classes, generator):
        super().__init__(backbone, config, classes, generator)
        with open(os.environ["WHERE"], "a") as stream:
            stream.write(f"{os.getpid()} {os.environ['CUDA_VISIBLE_DEVICES']}\\n")
        if not os.path.exists(os.environ["WHERE"] + ".killed"):
            open(os.environ["WHERE"] + ".killed", "w").close()
            os.kill(os.getpid(), 9)
"""


class Silent:
    def started(self, run: PlannedRun) -> None: ...

    def epoch(self, run: PlannedRun, curve: Any) -> None: ...

    def finished(self, run: PlannedRun, result: Any) -> None: ...

    def taken(self, run: PlannedRun) -> None: ...

    def failed(self, run: PlannedRun, error: RunFailedError) -> None: ...


def test_each_worker_sees_its_device_and_a_dead_ones_successor_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    monkeypatch.setenv("WHERE", str(tmp_path / "where.txt"))
    suite = make_world(tmp_path / "world")
    place = ExecutionConfig(str(suite), tmp_path / "results", tmp_path / "cache", plugins=(tmp_path / "mine.py",))
    record = Record.open(RecordPlace(place.results))
    request = Request(methods=("mine",))
    comparison = plan_comparison(request, place, record)
    assert len(comparison.runs) == 3
    pool = LocalPool(place, (Device("cuda:0", "cpu", "MIG-one"),))
    failed = run_comparison(comparison, pool, record, place.results, Silent())
    assert len(failed) == 1
    seen = [line.split() for line in (tmp_path / "where.txt").read_text().splitlines()]
    assert {device for _, device in seen} == {"MIG-one"}
    assert len({process for process, _ in seen}) == 2

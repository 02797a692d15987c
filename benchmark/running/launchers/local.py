"""The launcher of this machine: worker processes, on the CPU or on every GPU."""

from typing import TYPE_CHECKING

from promptarena.benchmark.running.launchers.registry import LauncherKind, Options, Workers

if TYPE_CHECKING:
    from promptarena.benchmark.running.execution import ExecutionConfig
    from promptarena.benchmark.running.launcher import Launcher


def _make(execution: "ExecutionConfig", workers: Workers, _: Options) -> "Launcher":
    from promptarena.benchmark.running.devices import device_of_each_worker, find_devices
    from promptarena.benchmark.running.local_pool import LocalPool

    devices = find_devices(workers.devices or (execution.device,))
    return LocalPool(execution, device_of_each_worker(devices, workers.count, workers.per_gpu))


LAUNCHER = LauncherKind("local", _make, place=1)

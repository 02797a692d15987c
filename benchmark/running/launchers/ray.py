"""The launcher of Ray clusters: an actor on each slot of a GPU, or on each CPU core."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

from promptarena.benchmark.running.launchers.registry import LauncherKind, Options, Workers

if TYPE_CHECKING:
    from promptarena.benchmark.running.execution import ExecutionConfig
    from promptarena.benchmark.running.launcher import Launcher


class RayOptions(Options):
    """Which Ray cluster is used, and how much of it."""

    address: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)] = Field(
        "auto", description="Address of the Ray cluster, HOST:PORT (default: auto, the one on this machine)."
    )
    actors: int | None = Field(
        None, ge=1, description="Workers in the whole cluster (default: as many as it has slots, also for what joins)."
    )


def _make(execution: "ExecutionConfig", workers: Workers, options: RayOptions) -> "Launcher":
    from promptarena.benchmark.running.clusters.ray_actors import RayActors

    return RayActors.connect(execution, workers, options)


LAUNCHER = LauncherKind("ray", _make, RayOptions, place=3)

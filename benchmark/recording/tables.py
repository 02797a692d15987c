"""What stands beside the runs in the record: comparisons and their methods, their tables, and documents."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.access import StoreAccess, milliseconds
from promptarena.benchmark.recording.mlflow_view import VIEW_TAG, view_state
from promptarena.benchmark.recording.schema import TAG_CHARACTERS

if TYPE_CHECKING:
    from mlflow import MlflowClient


class TableWriter:
    """Writes comparisons, which runs hang under, and what is kept with them."""

    def __init__(self, access: StoreAccess) -> None:
        self._access = access

    @property
    def _client(self) -> "MlflowClient":
        return self._access.client

    def comparison(self, suite: str, comparison_key: str, description: str) -> str:
        """Run id of the comparison whose content has this key; made on first use, also when several processes ask."""
        with self._access.locked("record the comparison"):
            experiment = self._access.experiment(suite)
            # comparison_key is quoted into MLflow's filter language, which has no escape.
            if not re.fullmatch(r"[\w.:-]+", comparison_key):
                raise ValueError(f"a comparison key is a digest, got {comparison_key!r}")
            found = self._access.reader.search(experiment, (names.COMPARISON_KEY, comparison_key))
            if found:
                return found[0].info.run_id
            tags = {
                **names.LEVEL.of("comparison"),
                **names.SUITE.of(suite),
                **names.COMPARISON_KEY.of(comparison_key),
                **names.DESCRIPTION.of(description[:TAG_CHARACTERS]),
            }
            return self._access.create(experiment, tags, f"comparison {comparison_key[:8]}")

    def unfinished(self, suite: str, comparison_key: str) -> str | None:
        """Run id of the comparison with this key, if its tables are not kept yet; else None."""
        with self._access.explained("read the record"):
            experiment = self._access.find_experiment(suite)
            if experiment is None:
                return None
            key = (names.COMPARISON_KEY, comparison_key)
            found = self._access.reader.search(experiment, key, status="RUNNING")
            return found[0].info.run_id if found else None

    def method_run(self, comparison_id: str, method: Label) -> str:
        """Run id of the method under a comparison; made on first use."""
        with self._access.locked("record the method"):
            comparison = self._access.reader.run(comparison_id)
            experiment = comparison.info.experiment_id
            children = self._access.reader.search(experiment, (names.PARENT, comparison_id), (names.LEVEL, "method"))
            for child in children:
                if names.LABEL.read(child.data.tags) == str(method):
                    return child.info.run_id
            tags = {
                **names.LEVEL.of("method"),
                **names.SUITE.of(names.SUITE.read(comparison.data.tags)),
                **names.METHOD.of(method.method),
                **names.LABEL.of(str(method)),
                **names.PARENT.of(comparison_id),
            }
            return self._access.create(experiment, tags, str(method))

    def log_tables(
        self,
        comparison_id: str,
        tables: Mapping[str, str | bytes],
        headline: Mapping[Label, Mapping[str, float]],
        datasets: Sequence[str],
        draw: Callable[[], Mapping[str, bytes]] = dict,
    ) -> None:
        """Keep a comparison's tables, mark it finished, and make MLflow's pages open on it.

        Nothing is added when these very tables are already there.

        Args:
            comparison_id: The comparison's run id.
            tables: The content of each file, by name, such as "base-to-novel.md".
            headline: Means of each method, by name, the main ones first. They become metrics of the method's run, by
                which MLflow can sort, and one table in MLflow's viewer.
            datasets: The names of the comparison's datasets.
            draw: Makes the figures that go with the tables, by name; called only when there is something to keep.
        """
        contents = {name: text.encode() if isinstance(text, str) else text for name, text in tables.items()}
        # A method that lacks the main figure must not decide which column is first.
        fullest_first = sorted(headline.values(), key=len, reverse=True)
        columns = list(dict.fromkeys(metric for means in fullest_first for metric in means))
        if columns:
            with self._access.locked("record the view"):
                self._open_on(comparison_id, columns)
        content_key = digest({name: content.hex() for name, content in contents.items()}, _printed(headline))
        if self._has_tables(comparison_id, content_key):
            return
        figures = draw()
        with self._access.locked("record the tables"):
            for place, files in (("tables", contents), ("figures", figures)):
                self._access.log_files(comparison_id, files, place)
            table = f"tables/headline-{content_key[:12]}.json"
            self._log_headline(comparison_id, headline, columns, names.DATASETS.of(tuple(datasets)), table)
            self._client.set_tag(comparison_id, names.TABLES_KEY.name, content_key)
            self._client.set_terminated(comparison_id, "FINISHED")

    def document(
        self,
        suite: str,
        level: str,
        name: str,
        key: str,
        tags: Mapping[str, str],
        numbers: Mapping[str, float],
        files: Mapping[str, bytes],
    ) -> str:
        """Id of the finished run of this level whose content has this key; made, with its files, on first use.

        Such a run stands beside the comparisons of a suite and never enters a leaderboard.
        """
        from mlflow.entities import Metric

        with self._access.locked(f"record {name}"):
            experiment = self._access.experiment(suite)
            done = self._access.reader.search(
                experiment, (names.LEVEL, level), (names.DOCUMENT_KEY, key), status="FINISHED"
            )
            if done:
                return done[0].info.run_id
            run_id = self._access.create(experiment, {**names.LEVEL.of(level), **names.SUITE.of(suite)}, name)
            now = milliseconds()
            metrics = [Metric(metric, value, now, 0) for metric, value in numbers.items()]
            self._access.log(run_id, metrics, tags={**tags, **names.DOCUMENT_KEY.of(key)})
            self._access.log_files(run_id, files)
            self._client.set_terminated(run_id, "FINISHED")
            return run_id

    def _has_tables(self, comparison_id: str, content_key: str) -> bool:
        with self._access.explained("read the record"):
            return names.TABLES_KEY.read(self._access.reader.run(comparison_id).data.tags) == content_key

    def _log_headline(
        self,
        comparison_id: str,
        headline: Mapping[Label, Mapping[str, float]],
        columns: Sequence[str],
        tags: Mapping[str, str],
        name: str,
    ) -> None:
        from mlflow.entities import Metric

        if columns and name not in {file.path for file in self._client.list_artifacts(comparison_id, "tables")}:
            table: dict[str, list[Any]] = {"method": list(_printed(headline))}
            table |= {column: [means.get(column) for means in headline.values()] for column in columns}
            self._client.log_table(comparison_id, table, name)
        for method, means in headline.items():
            method_id = self.method_run(comparison_id, method)
            stored = self._client.get_run(method_id).data.metrics
            now = milliseconds()
            # MLflow's pages print every digit of a metric; the tables have the unrounded figures.
            rounded = {key: round(mean, 2) for key, mean in means.items()}
            changed = [Metric(key, mean, now, 0) for key, mean in rounded.items() if stored.get(key) != mean]
            self._access.log(method_id, metrics=changed, tags=tags)
            self._client.set_terminated(method_id, "FINISHED")

    def _open_on(self, comparison_id: str, columns: Sequence[str]) -> None:
        """Make the view of the experiment show this comparison."""
        experiment = self._access.reader.run(comparison_id).info.experiment_id
        tags = {each.experiment_id: each.tags for each in self._access.reader.experiments("promptarena/")}
        view = view_state(comparison_id, columns)
        # Read without MLflow's client: a finished comparison that is given again must not import it.
        if tags.get(experiment, {}).get(VIEW_TAG) != view:
            self._client.set_experiment_tag(experiment, VIEW_TAG, view)


def _printed(headline: Mapping[Label, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    return {str(method): means for method, means in headline.items()}

"""The guards against faults: which code each is, and the test that must fail without it. `mutations.py` tries them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """A guard that is taken out.

    Args:
        kind: The kind of fault that the guard is against.
        path: The file, relative to the repository.
        guard: The guard's text, which the file has once.
        without: What replaces it.
        test: The test that must fail, as pytest takes it.
    """

    kind: str
    path: str
    guard: str
    without: str
    test: str


RECORDING = "benchmark/recording"
MUTATIONS = (
    Mutation(
        "a method that changes the backbone",
        "benchmark/backbone/seal.py",
        "        if changed:\n            raise SharedStateChangedError(",
        "        if False:\n            raise SharedStateChangedError(",
        "tests/backbone/test_seal.py",
    ),
    Mutation(
        "a method that changes torch's flags or random state",
        "benchmark/backbone/seal.py",
        "self._shared.changes(within=within) or ",
        "",
        "tests/backbone/test_seal.py",
    ),
    Mutation(
        "a plugin whose import changes what all methods share",
        "benchmark/plugins/registry.py",
        "        before.restore()",
        "        pass",
        "tests/plugins/test_registry.py",
    ),
    Mutation(
        "features of a changed backbone in the cache",
        "benchmark/backbone/seal.py",
        "        backbone.intact = self.intact",
        "        pass",
        "tests/backbone/test_seal.py",
    ),
    Mutation(
        "images left out of a split",
        "benchmark/data/readers/folder_contents.py",
        "    if not left_out:",
        "    if True:",
        "tests/data/readers/test_folder_contents.py",
    ),
    Mutation(
        "one image under two spellings",
        "benchmark/data/readers/same_images.py",
        "times[posixpath.normpath(key)] += 1\n        same = first.setdefault(posixpath.normpath(key), key)",
        "times[key] += 1\n        same = first.setdefault(key, key)",
        "tests/data/readers/test_same_images.py",
    ),
    Mutation(
        "one image behind two links",
        "benchmark/data/readers/same_images.py",
        "    if shared:",
        "    if False:",
        "tests/data/readers/test_same_images.py",
    ),
    Mutation(
        "a half of one class",
        "benchmark/planning/plan.py",
        'if len(self.data.classes(card, target.subset, "test")) < 2:',
        "if False:",
        "tests/end_to_end/test_figures_that_mean_nothing.py",
    ),
    Mutation(
        "a training that is all warm-up",
        "benchmark/planning/plan.py",
        "if 0 < recipe.epochs <= recipe.warmup_epochs and recipe.lr != recipe.warmup_lr:",
        "if False:",
        "tests/end_to_end/test_figures_that_mean_nothing.py",
    ),
    Mutation(
        "more shots than images",
        "benchmark/planning/few_shot_notes.py",
        "if shots != spec.shots:",
        "if False:",
        "tests/planning/test_few_shot_notes.py",
    ),
    Mutation(
        "damaged entries of the cache",
        "benchmark/inputs/array_cache.py",
        "        if stream.read() != sha.digest():",
        "        if False:",
        "tests/inputs/test_array_cache.py",
    ),
    Mutation(
        "damaged checkpoints",
        "benchmark/training/checkpoint.py",
        'if metadata.pop("digest") != _digest(tensors, metadata):',
        'if not metadata.pop("digest"):',
        "tests/training/test_checkpoint.py",
    ),
    Mutation(
        "a record that is killed while it is made",
        f"{RECORDING}/database.py",
        'unfinished = database.with_name(f"{database.name}{UNFINISHED}")',
        "unfinished = database",
        "tests/recording/test_database.py",
    ),
    Mutation(
        "several commands on one record",
        f"{RECORDING}/runs.py",
        'if recorded.status == "finished":',
        "if False:",
        "tests/recording/test_claims.py",
    ),
    Mutation(
        "a record that was moved",
        f"{RECORDING}/database.py",
        "        if moved:",
        "        if False:",
        "tests/recording/test_database.py",
    ),
    Mutation(
        "a record that may only be read",
        f"{RECORDING}/store.py",
        "if read_only and file.exists() and not database.can_write(file):",
        "if False:",
        "tests/recording/test_store.py",
    ),
    Mutation(
        "plugins that raise while they are planned",
        "benchmark/plugins/asking.py",
        "except (Exception, SystemExit) as error:",
        "except ValueError as error:",
        "tests/plugins/test_asking.py",
    ),
    Mutation(
        "the pages' server after its terminal closed",
        "benchmark/cli/commands/ui.py",
        "        _end_group(server)",
        "        pass",
        "tests/end_to_end/test_together.py::test_the_server_ends_with_its_terminal_and_its_address_is_no_argument",
    ),
    Mutation(
        "values that no field can have",
        "benchmark/core/config_files.py",
        "    if fault := _impossible(table):",
        "    if fault := None:",
        "tests/core/test_config_files.py",
    ),
    Mutation(
        "nesting that is too deep",
        "benchmark/core/config_files.py",
        '    except (ValueError, RecursionError) as error:\n        raise UserError(f"{path}: is not valid TOML',
        '    except ValueError as error:\n        raise UserError(f"{path}: is not valid TOML',
        "tests/core/test_config_files.py",
    ),
    Mutation(
        "pipes and devices",
        "benchmark/core/files.py",
        "    if not stat.S_ISREG(mode):",
        "    if False:",
        "tests/core/test_files.py",
    ),
    Mutation(
        "class names that become one prompt or are invisible",
        "benchmark/data/class_names.py",
        "if hidden := next(filter(_is_invisible, name), None):",
        "if False:",
        "tests/data/test_class_names.py",
    ),
    Mutation(
        "byte order marks",
        "benchmark/core/config_files.py",
        'decode("utf-8-sig")',
        'decode("utf-8")',
        "tests/core/test_config_files.py",
    ),
    Mutation(
        "logits of another form",
        "benchmark/training/outputs.py",
        "if not (dense and logits.shape == shape and logits.is_floating_point()):",
        "if not dense:",
        "tests/training/test_outputs.py",
    ),
    Mutation(
        "values that are not finite",
        "benchmark/training/outputs.py",
        "if not bool(tensor.isfinite().all()):",
        "if False:",
        "tests/training/test_outputs.py",
    ),
    Mutation(
        "intervals of shared trainings: the seeds' part",
        "benchmark/statistics/shared.py",
        "if seeds > 1 else",
        "if False else",
        "tests/statistics/test_shared.py",
    ),
    Mutation(
        "equal differences",
        "benchmark/statistics/significance.py",
        "if np.ptp(rounded) == 0:",
        "if False:",
        "tests/statistics/test_significance.py",
    ),
    Mutation(
        "exports with damaged tensors",
        "benchmark/cli/commands/export.py",
        "        if not whole:",
        "        if False:",
        "tests/recording/exports/test_learners.py",
    ),
    Mutation(
        "exports with missing tensors",
        "benchmark/cli/commands/export.py",
        "if name not in there:",
        "if False:",
        "tests/recording/exports/test_learners.py",
    ),
    Mutation(
        "imports: moments that no table holds",
        f"{RECORDING}/exports/holdable.py",
        "    if not inside:",
        "    if False:",
        "tests/recording/exports/test_holdable.py",
    ),
    Mutation(
        "imports: half characters and NULs",
        f"{RECORDING}/exports/holdable.py",
        'if isinstance(leaf, str) and ("\\0" in leaf or not _is_text(leaf)):',
        "if False:",
        "tests/recording/exports/test_holdable.py",
    ),
    Mutation(
        "imports: names that MLflow refuses",
        f"{RECORDING}/exports/holdable.py",
        'if plain != name or plain.startswith(("..", "/")) or plain == "." or len(name) > LONGEST_NAME:',
        "if False:",
        "tests/recording/exports/test_holdable.py",
    ),
    Mutation(
        "artifacts of other JSON",
        f"{RECORDING}/schema.py",
        "GARBLED = (KeyError, TypeError, ValueError, RecursionError, UserError)",
        "GARBLED = (KeyError,)",
        "tests/recording/exports/test_learners.py",
    ),
    Mutation(
        "an empty word",
        "benchmark/cli/main.py",
        "        _require_words(sys.argv)",
        "        pass",
        "tests/cli/test_main_empty_words.py",
    ),
    Mutation(
        "encodings without a character",
        "benchmark/cli/output.py",
        "stream.reconfigure(errors=HANDLER)",
        "pass",
        "tests/cli/test_output.py",
    ),
    Mutation(
        "formulas in CSV",
        "benchmark/leaderboard/formats/csv_text.py",
        "if text.startswith(FORMULAS) else text",
        "if False else text",
        "tests/leaderboard/formats/test_csv_text.py",
    ),
    Mutation(
        "control and invisible characters in names",
        "benchmark/core/labels.py",
        "    if text.isprintable():",
        "    if True:",
        "tests/core/test_labels.py",
    ),
    Mutation(
        "advice that is not true",
        f"{RECORDING}/faults.py",
        '("database is locked", _HELD)',
        '("lock", _HELD)',
        "tests/recording/test_faults.py",
    ),
    Mutation(
        "SQLAlchemy's first line in place of the cause",
        f"{RECORDING}/faults.py",
        "next((found[1] for found in named if found), lines[0].strip() if lines else type(error).__name__)",
        "lines[0].strip()",
        "tests/recording/test_faults.py",
    ),
    Mutation(
        "secrets in addresses",
        f"{RECORDING}/address.py",
        'text = text.replace(secret, "***")',
        "pass",
        "tests/recording/test_address.py",
    ),
    Mutation(
        "TLS servers with an authority of one's own",
        f"{RECORDING}/servers/asking.py",
        'os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True',
        "True",
        "tests/recording/servers/test_asking.py",
    ),
    Mutation(
        "the lock of a server",
        f"{RECORDING}/servers/lock.py",
        'client.rename_registered_model(NAME, f"{NAME}-{holder}")',
        "client.delete_registered_model(NAME)",
        "tests/recording/servers/test_lock.py",
    ),
    Mutation(
        "the lock of a server, taken again by its holder",
        f"{RECORDING}/servers/lock.py",
        "        if not self._depth:",
        "        if True:",
        "tests/recording/servers/test_lock.py",
    ),
    Mutation(
        "results that wait on disk",
        "benchmark/running/outbox.py",
        "if sha256(rest).hexdigest().encode() != digest:",
        "if False:",
        "tests/running/test_outbox.py",
    ),
    Mutation(
        "machines of one name",
        f"{RECORDING}/owner.py",
        'and self.machine in ("", this_machine())',
        "",
        "tests/recording/test_owner.py",
    ),
)

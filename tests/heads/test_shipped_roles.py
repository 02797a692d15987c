"""The role table that the package ships."""

from promptarena.benchmark.backbone.head_roles import (
    RoleTable,
    Settings,
)
from promptarena.benchmark.backbone.loading import digest_of
from promptarena.benchmark.core.paths import DATASETS
from promptarena.benchmark.heads.images import find_images
from promptarena.benchmark.heads.text_pool import read_pool
from promptarena.benchmark.planning.suites import load_suite


def test_the_shipped_table_is_of_the_miniatures_weights_pictures_and_pool() -> None:
    shipped, source = RoleTable.load(DATASETS / "mini" / "heads" / "roles.json"), load_suite("mini").backbone
    assert source.config is not None
    assert source.weights is not None
    assert shipped.backbone_digest == digest_of(source.config, source.weights)
    pictures = find_images(None, load_suite("mini"), None, 5000).images
    assert (shipped.images.digest, shipped.pool.digest) == (pictures.digest, read_pool().digest)
    assert shipped.settings == Settings()
    assert shipped.layers == (9, 10, 11, 12)
    assert {head.role for head in shipped.heads} == {"attribute", "generalization", "mixed"}
    assert shipped.text() == (DATASETS / "mini" / "heads" / "roles.json").read_text()

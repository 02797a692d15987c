"""The page for inventors is enough to write a method inside CLIP's blocks: its example keeps the contract."""

import re
from pathlib import Path

import tiny
import torch
import trials

from promptarena.benchmark.contract.kit import RULES, check
from promptarena.benchmark.plugins.edits import scaled_heads
from promptarena.benchmark.plugins.registry import load_registry

PAGE = Path(__file__).parents[2] / "docs" / "inventor.md"
CODE = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_the_example_keeps_the_contract(tmp_path: Path) -> None:
    (code,) = [each for each in CODE if "scaled_heads" in each]
    (tmp_path / "low_heads.py").write_text(code)
    method = load_registry((tmp_path / "low_heads.py",)).get("low-heads")
    rules = [rule for rule in RULES if rule.name != "learning"]  # drawn weights hold nothing to learn from
    findings = check(method, trials.world(tmp_path / "world"), only=rules)
    assert [str(finding) for finding in findings if finding.passed is False] == []


def test_scaling_a_head_is_scaling_its_part_of_the_output() -> None:
    backbone = tiny.backbone()
    tokens = torch.randn(2, 5, backbone.vision.width, generator=torch.Generator().manual_seed(1))
    off = torch.tensor([0.0, -1.0, 0.0])  # the second of three heads
    found = backbone.image_features_from(tokens, start=2, updates={2: {"out": scaled_heads(backbone.vision, 2, off)}})
    block = backbone.model.visual.transformer.resblocks[2]
    kept = block.attn.out_proj.weight.clone()
    with torch.no_grad():
        other = tiny.wrapped(tiny.model())
        assert torch.equal(other.model.visual.transformer.resblocks[2].attn.out_proj.weight, kept)
        other.model.visual.transformer.resblocks[2].attn.out_proj.weight[:, 16:32] = 0
    torch.testing.assert_close(found, other.image_features_from(tokens, start=2))

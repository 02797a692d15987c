"""ATPrompt over MaPLe."""

import torch
from atprompts import BACKBONE, CLASSES, anchored, maple


def test_deep_prompts_replace_the_class_context_only() -> None:
    learner = maple(attributes=("color", "shape"))
    n, first = 2, 1 + 2 * 3
    tokens = anchored(learner) + BACKBONE.model.positional_embedding[: anchored(learner).shape[1]]
    for block in range(3):
        if block:
            tokens = torch.cat([tokens[:, :first], learner.p[block].expand(3, -1, -1), tokens[:, first + n :]], dim=1)
        tokens = BACKBONE.text.run(tokens, start=block, stop=block + 1)
    rows = tokens[torch.arange(3), learner.prompts(CLASSES).eot]
    found = learner.text_features(learner.prompts(CLASSES))
    assert torch.allclose(found, BACKBONE.project_text(rows), atol=1e-4)

"""Families of methods, which stand for their methods in `--methods`."""

from collections.abc import Iterable, Mapping, Sequence

OTHER = "other"
"""The family of methods that are not built in."""
FIELD_12 = "field-12"
"""The twelve methods that tables of base-to-novel generalization compare most often; DePT is the one over KgCoOp."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "untrained": ("zeroshot", "zeroshot-ensemble"),
    "context": ("coop", "cocoop", "kgcoop", "prograd", "tcp", "atprompt-coop"),
    "deep-prompts": ("vpt", "ivlp", "maple", "promptsrc", "coprompt", "mmrl", "mmrlpp", "atprompt-maple", "dear"),
    "adapters": ("linear-probe", "clip-adapter", "mma", "rada", "rada-ttt"),
    "low-rank": ("clip-lora",),
    "weights": ("skip-tuning", "two-stage", "rada-ft"),
    "cache": ("tip-adapter", "tip-adapter-f"),
    "combined": (
        *("dept-coop", "dept-kgcoop", "dept-maple", "dept-promptsrc"),
        *("rada-coop", "rada-ivlp", "rada-maple", "rada-promptsrc", "rada-clip-adapter"),
    ),
}
"""Each built-in method is in one family: by where it is trained, or `combined` when it adds to another method."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    **FAMILIES,
    FIELD_12: (
        *("zeroshot", "coop", "cocoop", "prograd", "kgcoop", "maple", "promptsrc"),
        *("tcp", "dept-kgcoop", "mma", "coprompt", "mmrl"),
    ),
}
"""Every word that stands for several methods, with these; none of them names a method."""


def family_of(method: str) -> str:
    """The family of a method; `OTHER` for one that is not built in."""
    return next((family for family, methods in FAMILIES.items() if method in methods), OTHER)


def by_family(methods: Iterable[str]) -> dict[str, list[str]]:
    """The methods by family, in the order of `FAMILIES` and within a family as given; without empty families."""
    found: dict[str, list[str]] = {family: [] for family in (*FAMILIES, OTHER)}
    for method in methods:
        found[family_of(method)].append(method)
    return {family: members for family, members in found.items() if members}


def expanded(names: Sequence[str], among: Iterable[str]) -> list[str]:
    """Replace each word for several methods by its methods.

    Args:
        names: Names of methods, families and `FIELD_12`.
        among: The methods that a word may stand for.

    Returns:
        Names of methods, each once; what is no such word stays as it is.

    >>> expanded(["cache", "coop"], ["coop", "tip-adapter", "tip-adapter-f"])
    ['tip-adapter', 'tip-adapter-f', 'coop']
    """
    there = set(among)
    meant = [[method for method in GROUPS[name] if method in there] if name in GROUPS else [name] for name in names]
    return list(dict.fromkeys(method for each in meant for method in each))

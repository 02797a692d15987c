"""Figures of a role table: the map of roles and the concepts of every head, as PNG and SVG bytes."""

from typing import TYPE_CHECKING

from promptarena.benchmark.backbone.head_roles import Head, RoleTable
from promptarena.benchmark.plots.style import Format, rendered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    "colour": "#d1495b",
    "shape": "#edae49",
    "texture": "#66a182",
    "object": "#7768ae",
    "position": "#f08a5d",
    "other specialist": "#9c8f80",
    "generalization": "#2e6f95",
    "mixed": "#c9d6df",
}
"""Fill colour by role; for attribute heads, by their attribute, if it is one of the paper's."""

MORE_COLOURS = ("#8d6b94", "#4f9da6", "#b5834f", "#a3b18a", "#e5989b", "#5e6472", "#c9ada7", "#86a873")
"""Fill colours of other attributes, in the table's order; they repeat when there are more."""

FORMATS: tuple[Format, ...] = ("png", "svg")


def figures(table: RoleTable) -> dict[str, bytes]:
    """File name -> content; equal tables give equal bytes with the same matplotlib."""
    drawn = {"role_map": role_map(table), "concepts": concept_map(table)}
    return {f"{name}.{format}": rendered(figure, format) for name, figure in drawn.items() for format in FORMATS}


def colours(table: RoleTable) -> dict[str, str]:
    """Fill colour of each kind of head, the table's attributes first."""
    others = [name for name in table.attributes if name not in COLOURS]
    more = {name: MORE_COLOURS[place % len(MORE_COLOURS)] for place, name in enumerate(others)}
    named = {name: more.get(name) or COLOURS[name] for name in table.attributes}
    return named | {name: COLOURS[name] for name in ("other specialist", "generalization", "mixed")}


def kind(head: Head) -> str:
    """The kind of a head in the figure: a key of `colours`."""
    if head.role != "attribute":
        return head.role
    return head.attribute or "other specialist"


def role_map(table: RoleTable) -> "Figure":
    """Layers by heads, coloured by role, labelled with the entropy in bits."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle

    rows = len(table.layers)
    figure = Figure(figsize=(2.6 + 0.62 * table.width, 1.3 + 0.5 * rows), layout="constrained")
    axes, fills = figure.subplots(), colours(table)
    for place, head in enumerate(table.heads):
        x, y = place % table.width, place // table.width
        fill = fills[kind(head)]
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=fill, edgecolor="white"))
        dark = sum(int(fill[start : start + 2], 16) for start in (1, 3, 5)) < 380
        ink = "white" if dark else "black"
        axes.text(x, y, f"{head.entropy:.2f}", ha="center", va="center", color=ink, fontsize=8)
    axes.set(xlim=(-0.5, table.width - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal", xlabel="head", ylabel="layer")
    axes.set_xticks(range(table.width))
    axes.set_yticks(range(rows), [str(layer) for layer in table.layers])
    axes.set_title(f"{table.backbone}: roles, Concept Entropy in bits", fontsize=10)
    shown = {kind(head) for head in table.heads} | set(table.attributes)
    legend = [Patch(facecolor=colour, label=_short(name)) for name, colour in fills.items() if name in shown]
    axes.legend(handles=legend, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    return figure


def concept_map(table: RoleTable) -> "Figure":
    """Heads by concepts: the share of a head's texts in each concept."""
    from matplotlib.figure import Figure

    heads, concepts = len(table.heads), len(table.concepts)
    figure = Figure(figsize=(2.5 + 0.5 * concepts, 2.2 + 0.17 * heads), layout="constrained")
    axes = figure.subplots()
    shares = [head.distribution for head in table.heads]
    image = axes.imshow(shares, aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks(range(concepts), [_short(concept.name) for concept in table.concepts], rotation=60, ha="right")
    axes.set_yticks(range(heads), [f"L{head.layer} H{head.head} {kind(head)}" for head in table.heads])
    axes.tick_params(labelsize=7)
    for boundary in range(table.width, heads, table.width):
        axes.axhline(boundary - 0.5, color="white", linewidth=1)
    axes.set_title(f"{table.backbone}: concepts of each head's descriptions", fontsize=10)
    figure.colorbar(image, ax=axes, label="share of descriptions")
    return figure


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"

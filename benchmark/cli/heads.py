"""The commands below `promptarena heads`."""

from pathlib import Path
from typing import Annotated

import typer

from promptarena.benchmark.cli.options import Plugins, Results, Root, SuiteArgument, TrackingUri
from promptarena.benchmark.recording.place import RecordPlace

heads_app = typer.Typer(help="Find the roles of a backbone's attention heads, and search for images with them.")


@heads_app.command("diagnose")
def diagnose_heads(
    suite: SuiteArgument = "mini",
    layers: Annotated[
        str | None, typer.Option(help="Layers from 1, such as 9-12 (default: the last four).", show_default=False)
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET|FOLDER",
            help="Images to use (default: the suite's training splits).",
            show_default=False,
        ),
    ] = None,
    max_images: Annotated[int, typer.Option(min=2, help="Take at most this many images, evenly.")] = 5000,
    pool: Annotated[
        Path | None, typer.Option(help="Descriptions, one per line (default: the shipped ones).", show_default=False)
    ] = None,
    texts_per_head: Annotated[int, typer.Option(min=1, help="Descriptions chosen for each head.")] = 20,
    concepts: Annotated[int, typer.Option(min=2, help="Requested number of concepts.")] = 12,
    attributes: Annotated[
        str,
        typer.Option(help="Attributes that heads can serve, between commas; auto: the clearest concepts found."),
    ] = "colour,shape,texture,object,position",
    encoder: Annotated[str, typer.Option(help="A sentence-transformers model: name or folder.")] = "all-MiniLM-L6-v2",
    out: Annotated[
        Path | None, typer.Option(help="The role table's file (default: RESULTS/heads/SUITE.json).", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads; the same number gives the same table.")] = 1,
    root: Root = None,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Give every attention head of the last layers a role, by the texts that describe what it contributes."""
    from promptarena.benchmark.cli.commands.heads import Request, run_diagnosis

    request = Request(
        suite=suite,
        layers=layers,
        images=images,
        largest=max_images,
        pool=pool,
        texts_per_head=texts_per_head,
        concepts=concepts,
        attributes=attributes,
        encoder=encoder,
        out=out,
        device=device,
        threads=threads,
        root=root,
    )
    run_diagnosis(request, RecordPlace(results.absolute(), tracking_uri))


@heads_app.command("retrieve")
def retrieve_by_attribute(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id in the record, or a learned.safetensors file.")],
    folder: Annotated[Path, typer.Option(metavar="PICTURES", help="Folder of the images to rank.")],
    query: Annotated[Path, typer.Option(metavar="IMAGE", help="The image to compare with.")],
    attribute: Annotated[
        str, typer.Option(help="The attribute to compare by: one of those of the run's role table, such as colour.")
    ],
    top: Annotated[int, typer.Option(min=1, max=20, help="How many images are shown.")] = 8,
    suite: Annotated[str, typer.Option(help="The suite whose backbone the run was trained on.")] = "mini",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="The figure's file; an SVG is written next to it (default: RESULTS/heads/IMAGE-ATTRIBUTE.png).",
            show_default=False,
        ),
    ] = None,
    plugins: Plugins = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Rank images by a trained DeAR's feature of one attribute, and by plain CLIP for comparison."""
    from promptarena.benchmark.cli.commands.heads import Search, run_retrieval

    search = Search(
        run=run,
        folder=folder,
        query=query,
        attribute=attribute,
        top=top,
        suite=suite,
        out=out,
        plugins=tuple(plugins or ()),
        device=device,
        threads=threads,
    )
    run_retrieval(search, RecordPlace(results.absolute(), tracking_uri))

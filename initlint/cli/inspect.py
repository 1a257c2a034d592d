"""`initlint inspect`: what the scanner understood, right or wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from initlint.cli.options import FileArguments, file_options, output_options
from initlint.cli.output import wants_color, write
from initlint.engine import understand


@click.command("inspect")
@file_options
@output_options(("full", "json"))
def command(*, output_format: str | None, output_file: Path | None, color: str, **files: Any) -> int:
    """List every layer: how it is initialized, what follows it, the chain it lies on, and the verdict."""
    from initlint.cells import located, located_judgement
    from initlint.report.layers import document, table
    from initlint.report.view import position

    arguments = FileArguments(**files)
    sources = arguments.sources(arguments.settings())
    reading = understand(sources.texts, with_findings=False)
    cells = sources.cells
    for problem in (located(one, cells) for one in (*sources.problems, *reading.findings)):
        write(f"warning: {problem.site.file}:{position(problem.site)}: {problem.message}\n", err=True)
    if reading.deployed:
        write(
            "note: nothing here trains, and weights are loaded: `initlint check` is silent on how layers start\n",
            err=True,
        )
    texts = sources.texts
    inside = [located_judgement(one, cells) for one in reading.judgements if one.layer.site.file in texts]
    if output_format == "json":
        write(document(inside, Path.cwd()), output_file)
    else:
        write(table(inside, Path.cwd(), color=wants_color(color, output_file)), output_file)
    return 0

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
    from initlint.report.layers import document, table

    arguments = FileArguments(**files)
    sources = arguments.sources(arguments.settings())
    reading = understand(sources.texts, with_findings=False)
    for problem in (*sources.unreadable, *reading.findings):
        write(f"warning: {problem.site.file}:{problem.site.line}: {problem.message}\n", err=True)
    texts = sources.texts
    inside = [judgement for judgement in reading.judgements if judgement.layer.site.file in texts]
    if output_format == "json":
        write(document(inside, Path.cwd()), output_file)
    else:
        write(table(inside, Path.cwd(), color=wants_color(color, output_file)), output_file)
    return 0

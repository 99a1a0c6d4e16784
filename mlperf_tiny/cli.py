"""trecx data ... and trecx zoo ...: commands that this package adds to trecx."""

from __future__ import annotations

from pathlib import Path

import click

_folder = click.Path(path_type=Path)


@click.group()
def data() -> None:
    """Data sets: download the public archives, look into a folder."""


@data.command(name="fetch")
@click.argument("name")
@click.option("-o", "--out", "dest", type=_folder, default="data", show_default=True)
@click.option("--url", help="Another place of the same archive.")
@click.option("--sha256", help="Its SHA-256, when the archive is another one.")
@click.option("--keep-archive", is_flag=True, help="Keep the archive after unpacking.")
def fetch_command(name, dest, url, sha256, keep_archive):
    """Download, check and unpack a public data set; an interrupted download goes on.

    \b
    Example:
      trecx data fetch cifar10 -o data
    """
    from mlperf_tiny.datasets.fetch import fetch, progress_bar

    with progress_bar() as bar:
        folder = fetch(name, dest, url=url, sha256=sha256, keep_archive=keep_archive, progress=bar)
    click.echo(f"{folder}")


@data.command()
@click.argument("path", type=_folder)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(path, as_json):
    """What a folder holds: data set, layout, classes, counts, shapes."""
    import json

    from mlperf_tiny.datasets.info import inspect

    found = inspect(path)
    if as_json:
        click.echo(json.dumps([item.to_json() for item in found], indent=2))
        return
    click.echo("\n\n".join("\n".join(item.lines()) for item in found))


COMMANDS = (data,)

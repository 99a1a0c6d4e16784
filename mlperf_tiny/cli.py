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


@click.group()
def zoo() -> None:
    """Trained early-exit models that come with this package.

    \b
    Examples:
      trecx zoo list
      trecx zoo get NAME -o my-model
      trecx run my-model/bundle --target mps2-an386
    """


@zoo.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(as_json):
    """The models with their tasks, data and figures."""
    from mlperf_tiny.zoo import zoo_list

    cards = zoo_list()
    if as_json:
        import json

        click.echo(json.dumps([card.to_json() for card in cards], indent=2))
        return
    for card in cards:
        synthetic = " (synthetic data)" if card.synthetic else ""
        click.echo(f"{card.name}: {card.title}, trained on {card.data}{synthetic}")
        for figure in card.figures:
            click.echo(f"    {figure.what}: {figure.value:g} {figure.unit}".rstrip())
    if not cards:
        click.echo("the zoo of this installation is empty")


@zoo.command(name="get")
@click.argument("name")
@click.option("-o", "--out", "dest", type=_folder, help="Folder to write [default: NAME].")
def get_command(name, dest):
    """Copy a model: its card, its bundle and the trained network."""
    from mlperf_tiny.zoo import zoo_get

    folder = zoo_get(name, dest)
    click.echo(f"{folder}: the bundle is {folder / 'bundle'}, the network {folder / 'run'}")


COMMANDS = (data, zoo)

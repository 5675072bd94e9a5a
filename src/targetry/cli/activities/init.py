"""`targetry activities init` and `schema`: the files to start with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from targetry.activities.model.schema import SCHEMA_FILE, schema_text
from targetry.cli.activities.folder import DEFAULT_FOLDER, new_folder, write_file
from targetry.cli.rendering.output import console

_FILES: Final = {
    "targetry.yaml": """\
# yaml-language-server: $schema={schema}
targetry: 1
client: {client}

audiences:
  returning: mbox["visits"] > 1
""",
    "hero.yaml": """\
# yaml-language-server: $schema={schema}
key: hero
name: Hero of the home page
metrics: [{{type: click}}]
experiences:
  - key: everyday
    share: 50
    offers:
      - mbox: hero
        html: <h1>Made for every day</h1>
  - key: sale
    share: 50
    offers:
      - mbox: hero
        html: {{file: offers/hero-sale.html}}
""",
    "greeting.yaml": """\
# yaml-language-server: $schema={schema}
key: greeting
name: Greeting
type: xt
experiences:
  - key: welcome-back
    audience: returning
    offers:
      - mbox: greeting
        json: {{text: Welcome back, showOffers: true}}
  - key: welcome
    offers:
      - mbox: greeting
        json: {{text: Welcome, showOffers: false}}
""",
    "offers/hero-sale.html": "<h1>Autumn sale</h1>\n",
    "tests/examples.test.yaml": """\
tests:
  - name: a returning visitor is greeted
    given: {{tnt_id: ada, params: {{visits: 3}}}}
    expect: {{greeting: welcome-back}}
  - name: a new visitor gets no offers
    given: {{tnt_id: ada}}
    expect: {{greeting: {{showOffers: false}}}}
  - name: the hero is split in halves
    given: {{visitors: 2000, place: hero}}
    expect: {{shares: {{everyday: 50, sale: 50}}, within: 4}}
""",
}


def init(
    project: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="The project, in which the folder activities is made.")
    ] = Path(),
    client: Annotated[str, typer.Option("--client", metavar="CODE", help="The client code.")] = "acme",
) -> None:
    """Write a folder of activities to start with: two activities, an offer and tests.

    \b
    [bold]Examples[/]
      targetry activities init
      targetry activities init shop --client acme
    """
    folder = project / DEFAULT_FOLDER
    with new_folder(folder) as written:
        for name, text in _FILES.items():
            write_file(written / name, text.format(client=_quoted(client), schema=SCHEMA_FILE))
        write_file(written / SCHEMA_FILE, schema_text())
    console().print(
        f"{folder} has {len(_FILES)} files. Try: targetry activities check {folder}", soft_wrap=True
    )


def _quoted(text: str) -> str:
    return text if text.isascii() and text.isalpha() else "'" + text.replace("'", "''") + "'"


def schema(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-O", metavar="FILE", help="Default: stdout.", show_default=False),
    ] = None,
) -> None:
    """Write the JSON Schema of the files, which editors use for completion.

    \b
    [bold]Example[/]
      targetry activities schema -O activities/activities.schema.json
    """
    if output is None:
        sys.stdout.write(schema_text())
    else:
        write_file(output, schema_text())

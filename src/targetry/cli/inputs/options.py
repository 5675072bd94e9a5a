"""Options of an artifact or a folder of activities that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

OrganizationIdOption = Annotated[
    str | None,
    typer.Option(
        "--organization-id", metavar="ID", help="The …@AdobeOrg of a rules.bin.", show_default=False
    ),
]
EnvironmentOfFolder = Annotated[
    str | None,
    typer.Option(
        "--environment",
        metavar="NAME",
        help="The environment of a folder. Default: the only one, or production.",
        show_default=False,
    ),
]
ClientOption = Annotated[
    str | None,
    typer.Option(
        "--client", metavar="CODE", help="The client code. Default: the artifact's.", show_default=False
    ),
]

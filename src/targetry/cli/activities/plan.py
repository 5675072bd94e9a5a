"""`targetry activities plan`: what a change does, before it is live."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from targetry.activities.review.plan import plan
from targetry.activities.review.plan_seen import with_seen_visitors
from targetry.activities.review.plan_text import plan_markdown, plan_text
from targetry.activities.review.plan_visitors import with_visitors
from targetry.activities.review.visitor_sample import VisitorSample
from targetry.cli.activities.folder import EnvironmentOption
from targetry.cli.inputs.activity_folder import compiled_artifact
from targetry.cli.inputs.artifact_source import (
    GIT,
    SourceError,
    is_url,
    read_bytes,
    read_text,
    split_revision,
)
from targetry.cli.inputs.git_revision import folder_at
from targetry.cli.inputs.options import OrganizationIdOption
from targetry.cli.rendering.output import print_json
from targetry.delivery.hosts import artifact_url
from targetry.device.artifact import read_artifact, read_json
from targetry.device.logic.facts import bucketing_id
from targetry.errors import ArtifactError
from targetry.ledger.location import is_address, open_reader
from targetry.models import DeliveryRequest, VisitorId

_CHANGED = 2


class PlanFormat(StrEnum):
    """Format of a plan."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def plan_command(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The activities that are live.")],
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="The activities to compare. Default: the folder activities.")
    ] = "activities",
    environment: EnvironmentOption = None,
    output: Annotated[PlanFormat, typer.Option("--output", "-o", help="Output format.")] = PlanFormat.TEXT,
    visitors: Annotated[
        str | None,
        typer.Option(
            "--visitors",
            metavar="SOURCE",
            help="Visitors of whom the plan counts who moves: a file with requests of the Delivery API, one JSON document on each line, or a ledger, which is a folder or a PostgreSQL address.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            min=1,
            help="At most this number of the visitors, the same ones each time.",
            show_default=False,
        ),
    ] = None,
    has_exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with the status 2 if there is a change.")
    ] = False,
    organization_id: OrganizationIdOption = None,
) -> None:
    """Describe the differences between two states of the activities, and who moves.

    Each is a folder, an artifact (a file, '-' or a URL), the address of an edge, or a folder or an
    artifact of a git revision: git:REF:PATH.

    \b
    [bold]Examples[/]
      targetry activities plan git:main:activities
      targetry activities plan rules.json activities -o markdown
      targetry activities plan http://127.0.0.1:8080 --exit-code
      targetry activities plan rules.json --visitors requests.jsonl
      targetry activities plan git:main:activities --visitors ./ledger --sample 10000
    """
    if sample is not None and visitors is None:
        raise typer.BadParameter("it needs visitors; give --visitors", param_hint="'--sample'")
    before, after = _states(old, new, environment, organization_id)
    changes = plan(before, after)
    if visitors is not None and (is_address(visitors) or Path(visitors).is_dir()):
        changes = with_seen_visitors(changes, before, after, _seen(visitors, sample))
    elif visitors is not None:
        requests = _requests(visitors) if sample is None else _sampled(visitors, sample)
        changes = with_visitors(changes, before, after, requests, int(time.time() * 1000))
    if output is PlanFormat.JSON:
        print_json([msgspec.to_builtins(one) for one in changes])
    else:
        sys.stdout.write(plan_text(changes) if output is PlanFormat.TEXT else plan_markdown(changes))
    if has_exit_code and changes:
        raise typer.Exit(_CHANGED)


def _seen(location: str, most: int | None) -> dict[str, list[str]]:
    """Return the visitors of a ledger with the activities that they have seen."""
    sample = VisitorSample[str](most)
    with open_reader(location) as reader:
        for event in reader.events():
            if event.activity_id and event.kind != "order":
                seen = sample.items_of(event.visitor)
                if seen is not None and event.activity_id not in seen:
                    seen.append(event.activity_id)
    return sample.items


def _sampled(file: str, most: int | None) -> Iterator[DeliveryRequest]:
    """Yield the requests of the visitors in a sample."""
    sample = VisitorSample[DeliveryRequest](most)
    for request in _requests(file):
        if (found := sample.items_of(bucketing_id(request.id))) is not None:
            found.append(request)
    for found in sample.items.values():
        yield from found


def _requests(file: str) -> Iterator[DeliveryRequest]:
    """Yield the requests of a file; one without an id of a visitor gets its line as one."""
    for number, line in enumerate(read_bytes(file).splitlines(), 1):
        if line.strip():
            try:
                request = DeliveryRequest.from_json(line)
            except ValueError as error:
                raise SourceError(f"{file}:{number}: {error}") from error
            yield msgspec.structs.replace(request, id=request.id or VisitorId(tnt_id=f"line-{number}"))


def _states(
    old: str, new: str, environment: str | None, organization_id: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the artifacts of both states; from an edge, that of the other state's client."""
    if not _is_edge(old):
        before = _document(old, environment, organization_id)
        if _is_edge(new):
            return before, _edge_artifact(new, before, environment, organization_id)
        return before, _document(new, environment, organization_id)
    if _is_edge(new):
        raise typer.BadParameter("two edges cannot be compared; give the URL of an artifact")
    after = _document(new, environment, organization_id)
    return _edge_artifact(old, after, environment, organization_id), after


def _edge_artifact(
    edge: str, other: dict[str, Any], environment: str | None, organization_id: str | None
) -> dict[str, Any]:
    meta = other.get("meta") or {}
    client, name = meta.get("clientCode"), environment or meta.get("environment")
    if not isinstance(client, str):
        raise typer.BadParameter(
            f"the other artifact names no client whose artifact {edge} has; give the URL of an artifact"
        )
    url = artifact_url(client, environment=name, cdn_base_path=edge.rstrip("/"))
    return _artifact(url, organization_id)


def _is_edge(source: str) -> bool:
    return is_url(source) and not source.endswith((".json", ".bin"))


def _document(source: str, environment: str | None, organization_id: str | None) -> dict[str, Any]:
    """Return the artifact of a source that is no address of an edge."""
    if source.startswith(GIT) and not source.endswith((".json", ".bin")):
        revision, folder = split_revision(source)
        with folder_at(revision, Path(folder)) as path:
            return compiled_artifact(path, environment, shown=source)
    if not is_url(source) and Path(source).is_dir():
        return compiled_artifact(Path(source), environment)
    return _artifact(source, organization_id)


def _artifact(source: str, organization_id: str | None) -> dict[str, Any]:
    text = read_text(source, organization_id)
    try:
        read_artifact(text)
        document: dict[str, Any] = read_json(text)
    except ArtifactError as error:
        raise SourceError(f"{source}: {error}") from error
    return document

"""Options of an edge: names, types, defaults and help texts.

The command line, the environment variables and `docs/edge-options.md` are derived from them. This
module needs no package of the extra `edge`, so `targetry edge --help` works without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, get_type_hints

import msgspec

from targetry.edge.http.limits import IDLE_TIMEOUT_S, MAX_CONNECTIONS, REQUEST_TIMEOUT_S
from targetry.ledger.retention import parse_size

Path = str | os.PathLike[str]

ENVIRONMENT_PREFIX: Final = "TARGETRY_EDGE_"


class Setting(msgspec.Struct, frozen=True):
    """How an option is given from outside.

    `flag` is the name of the command-line flag and the environment variable if it is not the
    field's. `default` describes the effect of the missing option. `parse` converts the text of the
    option and raises `ValueError`.
    """

    help: str
    metavar: str | None = None
    flag: str | None = None
    default: str | None = None
    parse: Callable[[str], object] | None = None


class EdgeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of one edge. Each field's annotation has the help text of the command line."""

    artifacts: Annotated[
        Sequence[Path],
        Setting(
            "`rules.json` or `rules.bin` files; loaded again when they change.",
            metavar="[ARTIFACT]...",
            default="the sample shop",
        ),
    ] = ()
    activities: Annotated[
        Sequence[Path],
        Setting(
            "Folder of activities as code, which is compiled again when a file changes; repeatable. "
            "The artifact is that of `production`, or of the first environment.",
            metavar="DIR",
            default="none",
        ),
    ] = ()
    host: Annotated[str, Setting("Address to listen on.", metavar="ADDRESS")] = "127.0.0.1"
    port: Annotated[int, Setting("Port to listen on; 0 selects a free one.", metavar="N")] = 8080
    data: Annotated[
        Path | None,
        Setting(
            "Folder of the ledger, which records impressions, clicks and orders.",
            metavar="DIR",
            default="events are not recorded",
        ),
    ] = None
    ledger: Annotated[
        str | None,
        Setting(
            "Address of a ledger in PostgreSQL, in place of `--data`: `postgresql://user@host/db` (extra `postgres`).",
            metavar="URL",
            default="none",
        ),
    ] = None
    segments: Annotated[
        Sequence[str],
        Setting(
            "Fact that is recorded with impressions, for reports by segment: `browser`, `platform`, `device`, "
            "`country`, `region`, `city`, `property`, `mbox.<parameter>` or `profile.<parameter>`; repeatable.",
            metavar="NAME",
            flag="segment",
            default="none",
        ),
    ] = ()
    zone: Annotated[
        str,
        Setting("Time zone of the days in the page's report, such as `Europe/Berlin`.", metavar="NAME"),
    ] = "UTC"
    client: Annotated[
        str | None, Setting("Client code.", metavar="CODE", default="the code in the artifact")
    ] = None
    organization_id: Annotated[
        str | None,
        Setting("The `…@AdobeOrg` to read and serve a `rules.bin` with.", metavar="ID", default="none"),
    ] = None
    cluster: Annotated[
        str | None,
        Setting(
            "Cluster number for tnt ids and `edgeHost`. SDKs then send requests to "
            "`mboxedge<N>.tt.omtrdc.net` and that name has to resolve to this edge.",
            metavar="N",
            default="none",
        ),
    ] = None
    geo_database: Annotated[
        Path | None,
        Setting(
            "MaxMind database with cities, for the locations of IP addresses (extra `geo`).",
            metavar="FILE",
            default="none",
        ),
    ] = None
    allow_remote: Annotated[
        bool, Setting("Confirm a `--host` that other machines can reach; an edge has no authentication.")
    ] = False
    page_token: Annotated[
        str | None,
        Setting(
            "Token that changes from the edge's page need.",
            metavar="TEXT",
            default="none is needed; an edge that other machines can reach changes nothing",
        ),
    ] = None
    allow_origins: Annotated[
        Sequence[str],
        Setting(
            "Answer scripts of this origin, with credentials; repeatable. `*` allows all origins, without credentials.",
            metavar="ORIGIN",
            flag="allow-origin",
            default="loopback origins, without credentials",
        ),
    ] = ()
    workers: Annotated[
        int,
        Setting(
            "Processes that share the port and the ledger. A process that ends is started again. Not on Windows.",
            metavar="N",
        ),
    ] = 1
    max_connections: Annotated[
        int,
        Setting(
            "Open connections of each worker. At the limit, a new connection replaces the longest-idle one.",
            metavar="N",
        ),
    ] = MAX_CONNECTIONS
    idle_timeout: Annotated[
        float,
        Setting(
            "Time that a connection can stay open without a request, or with a client that reads nothing of its response.",
            metavar="SECONDS",
        ),
    ] = IDLE_TIMEOUT_S
    request_timeout: Annotated[
        float,
        Setting("Time for a request to arrive; a slower one is answered with 408.", metavar="SECONDS"),
    ] = REQUEST_TIMEOUT_S
    keep_days: Annotated[
        float | None,
        Setting("Remove events from the ledger that are older.", metavar="N", default="all are kept"),
    ] = None
    max_size: Annotated[
        int | None,
        Setting(
            "Remove the oldest events while the ledger's file is larger, like `500MB` or `2GB`.",
            metavar="SIZE",
            default="no limit",
            parse=parse_size,
        ),
    ] = None

    record_requests: Annotated[
        Path | None,
        Setting(
            "File to append requests and responses to, for `targetry replay` and `targetry shadow`. It has data of visitors.",
            metavar="FILE",
            default="requests are not recorded",
        ),
    ] = None
    record_share: Annotated[float, Setting("Share of the requests to record, 0 to 1.", metavar="NUMBER")] = (
        1.0
    )
    record_max_size: Annotated[
        int | None,
        Setting(
            "Size of the file of requests at which recording ends, like `500MB`.",
            metavar="SIZE",
            default="100MB",
            parse=parse_size,
        ),
    ] = None
    record_hashed_ids: Annotated[
        bool,
        Setting(
            "Record hashes in place of visitor ids, and no IP addresses; splits can then not be compared."
        ),
    ] = False
    ofrep: Annotated[
        bool, Setting("Answer OpenFeature clients, by the OpenFeature Remote Evaluation Protocol.")
    ] = True
    ofrep_tokens: Annotated[
        Sequence[str],
        Setting(
            "Token that OpenFeature clients must send, as `Authorization: Bearer` or `X-API-Key`; repeatable.",
            metavar="TEXT",
            flag="ofrep-token",
            default="none is needed",
        ),
    ] = ()
    ofrep_targeting_key: Annotated[
        Literal["third-party-id", "tnt-id", "ecid"],
        Setting(
            "Id of the visitor that the targeting key of OpenFeature clients is: `third-party-id`, "
            "`tnt-id` or `ecid`.",
            metavar="KIND",
        ),
    ] = "third-party-id"
    ofrep_targeting_key_parameter: Annotated[
        str | None,
        Setting("Mbox parameter that has the targeting key too.", metavar="NAME", default="none"),
    ] = None
    ofrep_impressions: Annotated[
        Literal["single", "none"],
        Setting(
            "Evaluations of OpenFeature clients that count as impressions: those of a `single` flag, or "
            "`none`. Evaluations of all flags at once never do.",
            metavar="KIND",
        ),
    ] = "single"
    ofrep_reasons: Annotated[
        Literal["full", "strict"],
        Setting(
            "Reasons that OpenFeature clients get: `full`, or `strict`, which sends `UNKNOWN` for those "
            "that the protocol's schema does not list, `DEFAULT` and `STALE`.",
            metavar="KIND",
        ),
    ] = "full"


class OptionForm(NamedTuple):
    """Field of `EdgeOptions` with its flag and variable; `flag` is None for arguments."""

    name: str
    type: Any
    default: Any
    flag: str | None
    variable: str
    setting: Setting


def option_forms() -> Iterator[OptionForm]:
    """Yield the options in the order of their fields."""
    hints = get_type_hints(EdgeOptions, include_extras=True)
    for field in msgspec.structs.fields(EdgeOptions):
        kind, setting = hints[field.name].__origin__, hints[field.name].__metadata__[0]
        name = setting.flag or field.name.replace("_", "-")
        variable = ENVIRONMENT_PREFIX + name.upper().replace("-", "_")
        flag = None if field.name == "artifacts" else f"--{name}"
        if field.default is True:
            flag = f"--{name}/--no-{name}"
        yield OptionForm(field.name, kind, field.default, flag, variable, setting)

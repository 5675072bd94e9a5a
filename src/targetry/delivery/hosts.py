"""Hosts and URLs of the Delivery API, its edge clusters, the artifact and the geo lookup.

A cluster comes from a visitor's cookie and becomes part of a host name. Only a number of at most
three digits, as Adobe's clusters have, counts as one: neither `x@10.0.0.1/` nor `zz9` can choose
the host that the application sends its requests to (server-side request forgery).
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import msgspec

EDGE_CLUSTER_PREFIX = "mboxedge"
HOST = "tt.omtrdc.net"

CDN_HOST = "assets.adobetarget.com"
CDN_HOST_STAGING = "assets.staging.adobetarget.com"

_CDN_HOSTS = {  # cdn_environment → host
    "production": CDN_HOST,
    "staging": CDN_HOST_STAGING,
    "development": CDN_HOST_STAGING,
}
_MAX_CLUSTER_DIGITS = 3
_MAX_HINT_LENGTH = 32


class DeliveryAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Address of a client's Delivery API requests: its own host, or an edge cluster.

    The own host is `server_domain` (a host with an optional port), else that of the client code.
    Empty texts count as absent. `secure=False` means plain HTTP.
    """

    client: str
    organization_id: str
    server_domain: str | None = None
    secure: bool = True
    version: str | None = None

    def url(self, session_id: str, cluster: str | None = None) -> str:
        """Return the URL of a request, at the own host if no cluster is given."""
        if cluster:
            host = f"{EDGE_CLUSTER_PREFIX}{cluster}.{HOST}"
        else:
            host = self.server_domain or f"{self.client}.{HOST}"
        scheme = "http" if self.secure is False else "https"
        organization = _in_query(self.organization_id)
        session = session_id if _is_plain(session_id) else _encoded(session_id)
        url = f"{scheme}://{host}/rest/v1/delivery?imsOrgId={organization}&sessionId={session}"
        return f"{url}&version={_in_query(self.version)}" if self.version else url

    def parse(self, url: str) -> tuple[str, str | None] | None:
        """Return session id and cluster of a URL that `url` has built, None for another URL."""
        try:
            parts = urlsplit(url)
            session_ids = parse_qs(parts.query).get("sessionId", [""])
        except ValueError:
            return None
        first, _, rest = parts.netloc.partition(".")
        is_edge = first.startswith(EDGE_CLUSTER_PREFIX) and rest == HOST
        cluster = first.removeprefix(EDGE_CLUSTER_PREFIX) if is_edge else None
        is_ours = self.url(session_ids[0], cluster) == url
        return (session_ids[0], cluster_number(cluster)) if is_ours else None

    @property
    def identity(self) -> str:
        """Client code and organization id: the account, whatever the host."""
        return f"{self.client} {self.organization_id}"

    @property
    def allows_cookie_clusters(self) -> bool:
        """Whether a visitor's cookie can route a request away from the own host.

        False for a custom domain over plain HTTP, where no certificate proves that the other host
        is Adobe's.
        """
        return self.secure is not False or not is_custom_domain(self.server_domain)


def _is_plain(text: str) -> bool:
    """Return whether a text, such as a UUID, needs no encoding in a query."""
    return text.isascii() and text.replace("-", "").isalnum()


def _encoded(text: str) -> str:
    return quote_plus(text, errors="replace")


_in_query = lru_cache(maxsize=64)(_encoded)  # for values that all calls of a client share


def artifact_url(
    client: str,
    *,
    environment: str | None = None,
    property_token: str | None = None,
    cdn_environment: str | None = None,
    cdn_base_path: str | None = None,
    artifact_location: str | None = None,
    artifact_format: str | None = None,
) -> str:
    """Return the URL of the rule artifact: `artifact_location` itself, or its URL on the CDN.

    `environment` is lower-cased and otherwise free (docs/migrating.md#d-10). `artifact_format` is
    `json` (the default) or `bin`.
    """
    if artifact_location:
        return artifact_location
    segments = [client, (environment or "production").lower(), "v1"]
    if property_token:
        segments.append(property_token)
    segments.append("rules.bin" if artifact_format == "bin" else "rules.json")
    path = "/".join(quote(segment, safe="", errors="replace") for segment in segments)
    return f"{_cdn(cdn_environment, cdn_base_path)}/{path}"


def geo_url(*, cdn_environment: str | None = None, cdn_base_path: str | None = None) -> str:
    """Return the URL of the geo lookup, which answers the location of an IP address."""
    return f"{_cdn(cdn_environment, cdn_base_path)}/v1/geo"


def is_adobe_cdn(url: str) -> bool:
    """Return whether a URL is on Adobe's CDN, which is polled at most every five minutes."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host.rstrip(".").endswith(".adobetarget.com")


@lru_cache(maxsize=64)
def is_custom_domain(server_domain: str | None) -> bool:
    """Return whether `server_domain` is outside of Adobe's domain; no response changes it then."""
    if not server_domain:
        return False
    host = server_domain.partition(":")[0].rstrip(".").lower()
    return host != HOST and not host.endswith("." + HOST)


def cluster_number(text: str | None) -> str | None:
    """Return `text` if it is an edge cluster as a cookie or the service names it, else None.

    Adobe's clusters are numbers: 28, 35, 41.
    """
    if not text or len(text) > _MAX_CLUSTER_DIGITS or text[0] == "0":
        return None
    return text if text.isascii() and text.isdigit() else None


def configured_cluster(hint: str | None) -> str | None:
    """Return the client option `target_location_hint` if a host name can hold it, else None."""
    if not hint or len(hint) > _MAX_HINT_LENGTH:
        return None
    return hint if hint.isascii() and hint.isalnum() else None


def cluster_of_device_id(device_id: str | None) -> str | None:
    """Return the cluster in the profile location of a device id: `35` of `abc.35_0`."""
    if not device_id:
        return None
    location = device_id.split(".")
    if len(location) != 2:
        return None
    numbers = location[1].split("_")
    return cluster_number(numbers[0]) if len(numbers) == 2 else None


@lru_cache(maxsize=64)
def cluster_of_edge_host(edge_host: str | None) -> str | None:
    """Return the cluster in an edge's host name: `35` of `mboxedge35.tt.omtrdc.net`."""
    if not edge_host:
        return None
    labels = edge_host.split(".")
    if len(labels) != 4 or not labels[0].startswith(EDGE_CLUSTER_PREFIX):
        return None
    return cluster_number(labels[0].removeprefix(EDGE_CLUSTER_PREFIX))


def _cdn(cdn_environment: str | None, cdn_base_path: str | None) -> str:
    if not cdn_base_path:
        return "https://" + _CDN_HOSTS.get((cdn_environment or "").lower(), CDN_HOST)
    base = cdn_base_path.rstrip("/")
    return base if "://" in base else "https://" + base

"""Parts of a URL that audiences refer to.

Not all addresses are URLs: some come from `host + path`, from app deep links or from scripts. The
split never fails and is looser than a standard one:

* The slashes after a scheme are optional: `http:foo.com/a` and `mailto:a@foo.com` have the host
  `foo.com`.
* A scheme is optional: `foo.com/a` is host and path, and `localhost:3000/`, a name followed by one
  to five digits, is a host with its port rather than the scheme `localhost`.
* A dot makes a host (`foo.com:8080`) unless `://` follows (`com.example.app://open`).
* User info and port belong to no part.

The host is then cut at its public suffix, which only a well-formed DNS name has. For any other host
(an IP address, a single label, an unknown ending, a suffix alone, an underscore) `domain` is the
host as written, with its capitals and trailing dot, and `subdomain` and `topLevelDomain` are empty.
In a host that is partly in punycode, subdomain and domain are shown in punycode and the suffix is
shown decoded.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from targetry._runtime.lazy_import import importing

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_LONGEST_CACHED = 4096  # characters; bounds the memory of the cache
_LONGEST_HOST = 255
_LONGEST_LABEL = 63
_LONGEST_PORT = 5
_PARTS = ("url", "path", "query", "fragment", "subdomain", "domain", "topLevelDomain")
_ACE = "xn--"  # prefix of a label in punycode


class UrlParts:
    """The parts of one address as rules name them, each with a lower-case twin `<name>_lc`.

    Requests share the object, so it must not be changed.
    """

    __slots__ = (*_PARTS, *(f"{part}_lc" for part in _PARTS))

    def __init__(
        self, url: str, path: str, query: str, fragment: str, subdomain: str, domain: str, suffix: str
    ) -> None:
        self.url = url
        self.path = path
        self.query = query
        self.fragment = fragment
        self.subdomain = subdomain
        self.domain = domain
        self.topLevelDomain = suffix
        self.url_lc = url.lower()
        self.path_lc = path.lower()
        self.query_lc = query.lower()
        self.fragment_lc = fragment.lower()
        self.subdomain_lc = subdomain.lower()
        self.domain_lc = domain.lower()
        self.topLevelDomain_lc = suffix.lower()

    def as_dict(self) -> dict[str, str]:
        """Return the fourteen parts as a new dict in the order of a trace."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __repr__(self) -> str:
        return f"UrlParts({self.url!r})"


def parse_url(url: str | None) -> UrlParts:
    """Return the parts of any text; all are empty if `url` is None. Never raises."""
    if not isinstance(url, str):
        return _NO_URL
    return _parse(url) if len(url) > _LONGEST_CACHED else _parse_cached(url)


def _parse(url: str) -> UrlParts:
    rest, _, fragment = url.partition("#")
    rest, _, query = rest.partition("?")
    authority, slash, path = _without_scheme(rest).partition("/")
    subdomain, domain, suffix = _cut_host(_host(authority))
    return UrlParts(url, slash + path, query, fragment, subdomain, domain, suffix)


_parse_cached = lru_cache(maxsize=1024)(_parse)
_NO_URL = UrlParts("", "", "", "", "", "", "")


def _without_scheme(text: str) -> str:
    scheme, colon, rest = text.partition(":")
    if not colon or not _is_scheme(scheme, rest):
        rest = text
    return rest.removeprefix("//")


def _is_scheme(name: str, rest: str) -> bool:
    if not name or "/" in name or "[" in name:
        return False
    if rest.startswith("//"):
        return True
    return "." not in name and not _is_port(rest[: _LONGEST_PORT + 1].partition("/")[0])


def _is_port(text: str) -> bool:
    return len(text) <= _LONGEST_PORT and text.isascii() and text.isdecimal()


def _host(authority: str) -> str:
    host = authority.rpartition("@")[2]
    # The colons in brackets are those of an IPv6 address.
    port = host.find(":", host.rfind("]") + 1 if host.startswith("[") else 0)
    return host if port < 0 else host[:port]


def _cut_host(host: str) -> tuple[str, str, str]:
    """Return subdomain (without one leading `www`), registrable domain and public suffix."""
    labels = host.lower().removesuffix(".").split(".") if len(host) <= _LONGEST_HOST + 1 else []
    if len(labels) < 2 or not _is_dns_name(labels):
        return "", host, ""
    suffix = _suffixes().publicsuffix(".".join(map(_decoded, labels))) or ""
    own = len(labels) - suffix.count(".") - 2  # index of the registrable domain
    if not suffix or own < 0:
        return "", host, ""
    if any(label.startswith(_ACE) for label in labels):
        labels = [_encoded(label) for label in labels]
    first = 1 if labels[0] == "www" and own else 0
    return ".".join(labels[first:own]), ".".join(labels[own:]), suffix


def _is_dns_name(labels: list[str]) -> bool:
    length = len(labels) - 1
    for label in labels:
        encoded = _encoded(label)
        if not 0 < len(encoded) <= _LONGEST_LABEL or encoded[0] == "-" or encoded[-1] == "-":
            return False
        if not encoded.replace("-", "").isalnum():
            return False
        length += len(encoded)
    return length <= _LONGEST_HOST


def _encoded(label: str) -> str:
    if label.isascii() or len(label) > _LONGEST_LABEL:
        return label
    return _ACE + label.encode("punycode").decode("ascii")


def _decoded(label: str) -> str:
    if not label.startswith(_ACE):
        return label
    try:
        return label[len(_ACE) :].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


@cache
def _suffixes() -> PublicSuffixList:
    """Return the public suffix list, loaded at the first use.

    Two threads may both load it; without a lock, as a fork could leave a lock locked.
    """
    with importing():
        from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False, accept_encoded_idn=False)

"""Parts of URLs."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from targetry.device.logic.url import UrlParts, parse_url

KEYS = ["url", "path", "query", "fragment", "subdomain", "domain", "topLevelDomain"]
ANY_TEXT = st.text(st.characters(exclude_categories=()))

LABEL_63 = "a" * 63
LABELS = [
    "www",
    "a",
    "Foo",
    "com",
    "co",
    "uk",
    "io",
    "github",
    "jp",
    "kawasaki",
    "city",
    "ck",
    "é",
    "рф",
    "-",
    "1",
    "",
]

HOSTS = {
    # host: (subdomain, domain, topLevelDomain)
    "foo.com": ("", "foo.com", "com"),
    "a.foo.com": ("a", "foo.com", "com"),
    "a.b.c.d.foo.com": ("a.b.c.d", "foo.com", "com"),
    "foo.co.uk": ("", "foo.co.uk", "co.uk"),
    "x.y.foo.co.uk": ("x.y", "foo.co.uk", "co.uk"),
    "A.FOO.co.UK": ("a", "foo.co.uk", "co.uk"),
    "foo.com.": ("", "foo.com", "com"),
    "com.example.gm": ("com", "example.gm", "gm"),
    # one leading www label
    "www.foo.com": ("", "foo.com", "com"),
    "WWW.foo.com": ("", "foo.com", "com"),
    "www.a.foo.com": ("a", "foo.com", "com"),
    "www.www.foo.com": ("www", "foo.com", "com"),
    "a.www.foo.com": ("a.www", "foo.com", "com"),
    "wwwx.foo.com": ("wwwx", "foo.com", "com"),
    "www2.foo.com": ("www2", "foo.com", "com"),
    "www-a.foo.com": ("www-a", "foo.com", "com"),
    "www.com": ("", "www.com", "com"),
    "www.co.uk": ("", "www.co.uk", "co.uk"),
    # private suffixes
    "foo.github.io": ("", "foo.github.io", "github.io"),
    "www.a.foo.github.io": ("a", "foo.github.io", "github.io"),
    "foo.us-east-1.elasticbeanstalk.com": (
        "",
        "foo.us-east-1.elasticbeanstalk.com",
        "us-east-1.elasticbeanstalk.com",
    ),
    "a.b.foo.us-east-1.elasticbeanstalk.com": (
        "a.b",
        "foo.us-east-1.elasticbeanstalk.com",
        "us-east-1.elasticbeanstalk.com",
    ),
    # wildcards and their exceptions
    "a.b.kawasaki.jp": ("", "a.b.kawasaki.jp", "b.kawasaki.jp"),
    "x.city.kawasaki.jp": ("x", "city.kawasaki.jp", "kawasaki.jp"),
    # a suffix on its own is a host like any other
    "co.uk": ("", "co.uk", ""),
    "com": ("", "com", ""),
    "github.io": ("", "github.io", ""),
    "b.kawasaki.jp": ("", "b.kawasaki.jp", ""),
    # no known suffix: the host as written
    "local-target-test": ("", "local-target-test", ""),
    "LOCALHOST": ("", "LOCALHOST", ""),
    "localhost.": ("", "localhost.", ""),
    "www.foo.unknowntld": ("", "www.foo.unknowntld", ""),
    "Foo.Unknowntld.": ("", "Foo.Unknowntld.", ""),
    "127.0.0.1": ("", "127.0.0.1", ""),
    "[::1]": ("", "[::1]", ""),
    "[2001:DB8::1]": ("", "[2001:DB8::1]", ""),
    # not a DNS name: the host as written
    "foo_bar.COM": ("", "foo_bar.COM", ""),
    "-foo.com": ("", "-foo.com", ""),
    "foo-.com": ("", "foo-.com", ""),
    "foo..com": ("", "foo..com", ""),
    ".foo.com": ("", ".foo.com", ""),
    "foo.com..": ("", "foo.com..", ""),
    "foo .com": ("", "foo .com", ""),
    "%66oo.com": ("", "%66oo.com", ""),
    "foo.com\\path": ("", "foo.com\\path", ""),
    "www.": ("", "www.", ""),
    "\x00.com": ("", "\x00.com", ""),
    # lengths
    f"{LABEL_63}.com": ("", f"{LABEL_63}.com", "com"),
    f"a{LABEL_63}.com": ("", f"a{LABEL_63}.com", ""),
    ".".join([LABEL_63] * 3 + ["a" * 59, "com"]): (
        ".".join([LABEL_63] * 3),
        "a" * 59 + ".com",
        "com",
    ),
    ".".join([LABEL_63] * 3 + ["a" * 60, "com"]): (
        "",
        ".".join([LABEL_63] * 3 + ["a" * 60, "com"]),
        "",
    ),
    ".".join([LABEL_63] * 3 + ["a" * 57, "com", ""]): (
        ".".join([LABEL_63] * 3),
        "a" * 57 + ".com",
        "com",
    ),
    ".".join([LABEL_63] * 3 + ["a" * 59, "com", ""]): (
        ".".join([LABEL_63] * 3),
        "a" * 59 + ".com",
        "com",
    ),
    # other scripts
    "BÜCHER.de": ("", "bücher.de", "de"),
    "a.bücher.example.de": ("a.bücher", "example.de", "de"),
    "食狮.公司.cn": ("", "食狮.公司.cn", "公司.cn"),
    "é_.com": ("", "é_.com", ""),
    "-é.com": ("", "-é.com", "com"),
    "é" * 57 + ".com": ("", "é" * 57 + ".com", "com"),
    "é" * 58 + ".com": ("", "é" * 58 + ".com", ""),
    "é" * 63 + ".com": ("", "é" * 63 + ".com", ""),
    "é" * 64 + ".com": ("", "é" * 64 + ".com", ""),
    "foo。com": ("", "foo。com", ""),
    # punycode: the suffix is shown decoded, the rest in ASCII
    "sub.xn--bcher-kva.de": ("sub", "xn--bcher-kva.de", "de"),
    "xn--85x722f.XN--55QX5D.cn": ("", "xn--85x722f.xn--55qx5d.cn", "公司.cn"),
    "a.b.xn--p1ai": ("a", "b.xn--p1ai", "рф"),
    "ü.bücher.xn--p1ai": ("xn--tda", "xn--bcher-kva.xn--p1ai", "рф"),
    "xn--99999999.com": ("", "xn--99999999.com", "com"),
    "xn--.com": ("", "xn--.com", ""),
}  # fmt: skip

WHOLE = {
    # url: (host, path, query, fragment)
    "http://local-target-test:8080/home?bar=true#hello": ("local-target-test", "/home", "bar=true", "hello"),
    "https://user:pw@foo.com:8080/p": ("foo.com", "/p", "", ""),
    "http://a@b@foo.com/": ("foo.com", "/", "", ""),
    "http://foo.com@/x": ("", "/x", "", ""),
    "HTTP://foo.com/X": ("foo.com", "/X", "", ""),
    "http://[::1]:8080/a?b#c": ("[::1]", "/a", "b", "c"),
    "[::1]:8080/a": ("[::1]", "/a", "", ""),
    "http://[::1/x": ("[", "/x", "", ""),
    # nothing between the marks, and marks more than once
    "http://foo.com": ("foo.com", "", "", ""),
    "http://foo.com/?#": ("foo.com", "/", "", ""),
    "http://foo.com?x#y": ("foo.com", "", "x", "y"),
    "http://foo.com/a?b?c#d#e?f": ("foo.com", "/a", "b?c", "d#e?f"),
    "http://foo.com:/x": ("foo.com", "/x", "", ""),
    "http://foo.com:abc/x": ("foo.com", "/x", "", ""),
    "http://foo.com:80:90/x": ("foo.com", "/x", "", ""),
    "http://": ("", "", "", ""),
    "http:///path": ("", "/path", "", ""),
    "?x=1": ("", "", "x=1", ""),
    "#y?z": ("", "", "", "y?z"),
    "": ("", "", "", ""),
    # addresses inside an address
    "http://foo.com/x@y": ("foo.com", "/x@y", "", ""),
    "https://foo.com/@user/post": ("foo.com", "/@user/post", "", ""),
    "http://foo.com/x?e=a@b.com&u=http://u@bar.com/y": (
        "foo.com",
        "/x",
        "e=a@b.com&u=http://u@bar.com/y",
        "",
    ),
    "foo.com/a:b@c": ("foo.com", "/a:b@c", "", ""),
    # nothing is decoded, normalised or trimmed
    "http://foo.com/%41%20/../b;c//?%41#%41": ("foo.com", "/%41%20/../b;c//", "%41", "%41"),
    " http://foo.com/a b ": ("foo.com", "/a b ", "", ""),
    "http://foo.com/ä\n?ö\r#ü\n😀": ("foo.com", "/ä\n", "ö\r", "ü\n😀"),
    # no scheme
    "foo.com/path": ("foo.com", "/path", "", ""),
    "foo.com:8080/path": ("foo.com", "/path", "", ""),
    "localhost": ("localhost", "", "", ""),
    "localhost:3000/": ("localhost", "/", "", ""),
    "localhost:3000?a:b": ("localhost", "", "a:b", ""),
    "localhost:65535/x": ("localhost", "/x", "", ""),
    "localhost:300000/": ("300000", "/", "", ""),
    "localhost/a:b/c": ("localhost", "/a:b/c", "", ""),
    "foo.com:x/y": ("foo.com", "/y", "", ""),
    "user:pw@foo.com/x": ("foo.com", "/x", "", ""),
    "//foo.com/path": ("foo.com", "/path", "", ""),
    "///foo.com/path": ("", "/foo.com/path", "", ""),
    "/path?x#y": ("", "/path", "x", "y"),
    "path": ("path", "", "", ""),
    ":80/x": ("", "/x", "", ""),
    # other schemes
    "http:foo.com/path": ("foo.com", "/path", "", ""),
    "http:/foo.com/path": ("", "/foo.com/path", "", ""),
    "file:///etc/passwd": ("", "/etc/passwd", "", ""),
    "about:blank": ("blank", "", "", ""),
    "mailto:a@foo.com?subject=x": ("foo.com", "", "subject=x", ""),
    "data:text/html,<b>x</b>": ("text", "/html,<b>x</b>", "", ""),
    "com.example.app://open/page": ("open", "/page", "", ""),
    "chrome-extension://abcdef/page.html": ("abcdef", "/page.html", "", ""),
}


@each_case("host", HOSTS, ids=ascii)
def test_host_is_cut_at_its_public_suffix(host):
    parts = parse_url(f"https://{host}/")

    assert (parts.subdomain, parts.domain, parts.topLevelDomain) == HOSTS[host]
    assert (parts.subdomain_lc, parts.domain_lc, parts.topLevelDomain_lc) == tuple(
        map(str.lower, HOSTS[host])
    )


@each_case("url", WHOLE, ids=ascii)
def test_address_is_split_into_host_path_query_and_fragment(url):
    host, path, query, fragment = WHOLE[url]
    parts = parse_url(url)

    assert parts.url == url
    assert (parts.path, parts.query, parts.fragment) == (path, query, fragment)
    assert ".".join(filter(None, (parts.subdomain, parts.domain))) == host


@each_case("missing", [None, "", 7, b"http://foo.com", ["x"]], ids=repr)
def test_every_part_of_no_address_is_empty(missing):
    assert set(parse_url(missing).as_dict().values()) == {""}


def test_dict_has_the_order_of_the_trace():
    assert list(parse_url("http://foo.com").as_dict()) == [*KEYS, *(f"{key}_lc" for key in KEYS)]


def test_dict_is_a_copy():
    parts = parse_url("http://foo.com/a")
    parts.as_dict()["path"] = "changed"

    assert parts.as_dict()["path"] == "/a"


def test_parts_cannot_be_added():
    with pytest.raises(AttributeError):
        parse_url("http://foo.com").port = 80


def test_address_is_parsed_once():
    url = "http://foo.com/parsed-once"

    assert parse_url(url) is parse_url(url[:10] + url[10:])


def test_very_long_address_is_not_cached():
    url = "http://foo.com/" + "x" * 5000

    assert parse_url(url) is not parse_url(url)
    assert parse_url(url).path == url[14:]


@each_case("unit", ["a", "a.", "é", "é.", "@", ":", "[", "]", "#", "?", "/", "//", "\ud800", "xn--."])
@each_case("start", ["", "http://", "http://["])
def test_megabyte_of_anything_is_parsed(start, unit):
    url = start + unit * (1_000_000 // len(unit))

    assert parse_url(url).url == url


@given(ANY_TEXT)
@settings(deadline=None)
def test_any_text_has_parts_that_are_found_in_it(url):
    parts = parse_url(url)

    assert parts.url == url
    assert parts.path in url
    assert parts.query in url
    assert parts.fragment in url
    assert all(getattr(parts, f"{key}_lc") == getattr(parts, key).lower() for key in KEYS)


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=7).map(".".join))
@settings(deadline=None)
def test_domain_is_the_whole_host_or_one_label_before_its_suffix(host):
    parts = parse_url(f"http://{host}")
    shown = ".".join(filter(None, (parts.subdomain, parts.domain)))

    if parts.topLevelDomain:
        assert parts.domain.split(".", 1)[1] == parts.topLevelDomain
        assert host.lower().removesuffix(".") in (shown, f"www.{shown}")
    else:
        assert (parts.subdomain, parts.domain) == ("", host)


@given(
    scheme=st.sampled_from(["http://", "https://", "HTTPS://", "app:", "//", ""]),
    user=st.sampled_from(["", "u@", "u:p@", "u:@", "@"]),
    host=st.sampled_from(["foo.com", "127.0.0.1", "[::1]", "www.a.foo.co.uk", "a.b.github.io"]),
    port=st.integers(0, 99_999).map(":{}".format) | st.just(""),
    path=st.text(st.characters(exclude_characters="?#")).map("/{}".format) | st.just(""),
    query=st.text(st.characters(exclude_characters="#")),
    fragment=st.text(),
)
@settings(deadline=None)
def test_parts_of_a_composed_address_are_found(scheme, user, host, port, path, query, fragment):
    parts = parse_url(f"{scheme}{user}{host}{port}{path}?{query}#{fragment}")
    bare = parse_url(f"http://{host}/")

    assert (parts.path, parts.query, parts.fragment) == (path, query, fragment)
    assert (parts.subdomain, parts.domain, parts.topLevelDomain) == (
        bare.subdomain,
        bare.domain,
        bare.topLevelDomain,
    )


def test_suffix_list_is_read_only_when_a_host_needs_it():
    program = (
        "import sys; from targetry.device.logic.url import parse_url; parse_url('http://localhost/a.b');"
        "early = 'publicsuffixlist' in sys.modules; parse_url('http://foo.com/');"
        "print(early, 'publicsuffixlist' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.split() == ["False", "True"]


def test_parts_show_their_address():
    assert repr(parse_url("http://foo.com/")) == "UrlParts('http://foo.com/')"
    assert isinstance(parse_url(None), UrlParts)


def test_user_info_before_an_address_in_brackets_belongs_to_no_part() -> None:
    assert parse_url("u@[::1]").domain == "[::1]"

"""Browsers and platforms of user agents and client hints."""

from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from targetry.device.logic.user_agent import UserAgentInfo, parse_user_agent

ANY_TEXT = st.text(st.characters(exclude_categories=()))

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"

CLIENTS = {
    # desktops
    f"{WINDOWS} {WEBKIT} Chrome/119.0.0.0 Safari/537.36": ("chrome", 119, "windows"),
    f"{MAC} {WEBKIT} Chrome/80.0.3987.163 Safari/537.36": ("chrome", 80, "mac"),
    f"{WINDOWS} {WEBKIT} Chrome/119.0.0.0 Safari/537.36 Edg/118.0.2088.76": ("edge", 118, "windows"),
    f"{WINDOWS} {WEBKIT} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763": ("edge", 18, "windows"),
    f"{MAC} {APPLE} Version/13.0.5 Safari/605.1.15": ("safari", 13, "mac"),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:73.0) Gecko/20100101 Firefox/73.0": ("firefox", 73, "mac"),
    "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/119.0": ("firefox", 119, "linux"),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/119.0": ("firefox", 119, "linux"),
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/119.0.0.0 Safari/537.36": ("chrome", 119, "Unix"),
    "Mozilla/5.0 (X11; OpenBSD amd64; rv:100.0) Gecko/20100101 Firefox/100.0": ("firefox", 100, "Unix"),
    f"{WINDOWS} {WEBKIT} Chrome/118.0.0.0 Safari/537.36 OPR/104.0.0.0": ("chrome", 118, "windows"),
    f"{MAC} {WEBKIT} HeadlessChrome/110.0 Safari/537.36": ("chrome", 110, "mac"),
    "Opera/9.80 (Windows NT 6.1; U; en) Presto/2.8.131 Version/11.11": ("unknown", -1, "windows"),
    # what follows the version takes Firefox away
    f"{WINDOWS[:-1]}; rv:68.0) Gecko/20100101 Goanna/4.8 Firefox/68.0 PaleMoon/29.1": ("unknown", -1, "windows"),
    # Internet Explorer
    "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)": ("ie", 6, "windows"),
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)": ("ie", 10, "windows"),
    "Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko": ("ie", 11, "windows"),
    "Mozilla/5.0 (IE 11.0; Windows NT 6.3; Trident/7.0; .NET4.0E; rv:11.0) like Gecko": ("ie", 11, "windows"),
    # phones and tablets
    f"{IPHONE} {APPLE} Version/17.1 Mobile/15E148 Safari/604.1": ("mobile safari", 17, "iOS"),
    f"Mozilla/5.0 (iPad; CPU OS 17_1 like Mac OS X) {APPLE} Version/17.1 Mobile/15E148 Safari/604.1": (
        "mobile safari",
        17,
        "iOS",
    ),
    f"{IPHONE} {APPLE} CriOS/119.0.6045.109 Mobile/15E148 Safari/604.1": ("unknown", -1, "iOS"),
    f"{IPHONE} {APPLE} FxiOS/119.0 Mobile/15E148 Safari/605.1.15": ("unknown", -1, "iOS"),
    f"{IPHONE} {APPLE} Version/17.0 EdgiOS/119.0.2151.65 Mobile/15E148 Safari/605.1.15": ("edge", 119, "iOS"),
    f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/119.0.0.0 Mobile Safari/537.36": ("chrome", 119, "Android"),
    f"Mozilla/5.0 (Linux; Android 10; HD1913) {WEBKIT} Chrome/119.0 Mobile Safari/537.36 EdgA/118.0.2088.66": (
        "edge",
        118,
        "Android",
    ),
    f"Mozilla/5.0 (Linux; Android 13; SM-S908B) {WEBKIT} SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36": (
        "chrome",
        115,
        "Android",
    ),
    "Mozilla/5.0 (Android 13; Mobile; rv:109.0) Gecko/119.0 Firefox/119.0": ("firefox", 119, "Android"),
    f"Mozilla/5.0 (Linux; U; Android 4.0.3; de-ch) {WEBKIT} Version/4.0 Mobile Safari/534.30": ("safari", 4, "Android"),
    f"Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; RM-1152) {WEBKIT} Chrome/52.0 Mobile Safari/537.36 Edge/15.15": (
        "edge",
        15,
        "Android",
    ),
    # inside apps
    f"Mozilla/5.0 (Linux; Android 13; Pixel 7; wv) {WEBKIT} Version/4.0 Chrome/119.0 Mobile Safari/537.36 [FBAN/x]": (
        "safari",
        4,
        "Android",
    ),
    f"{IPHONE} {APPLE} Mobile/15E148 Instagram 301.0.0.0 (iPhone14,5; iOS 16_6)": ("unknown", -1, "iOS"),
    # television sets and consoles
    f"Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) {WEBKIT} Version/6.0 TV Safari/537.36": ("safari", 6, "unknown"),
    f"Mozilla/5.0 (Web0S; Linux/SmartTV) {WEBKIT} Chrome/79.0.3945.79 Safari/537.36": ("chrome", 79, "unknown"),
    f"Mozilla/5.0 (PlayStation; PlayStation 5/2.26) {APPLE} Version/13.0 Safari/605.1.15": ("safari", 13, "unknown"),
    # robots
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": ("unknown", -1, "unknown"),
    "curl/8.1.2": ("unknown", -1, "unknown"),
    "": ("unknown", -1, "unknown"),
}  # fmt: skip

BROWSERS = {
    # the version must follow
    "Edge/": ("unknown", -1),
    "Edge/ 18": ("unknown", -1),
    "Chrome/-80": ("unknown", -1),
    "Chrome/é80": ("unknown", -1),
    "MSIE9": ("unknown", -1),
    "( IE 9": ("unknown", -1),
    "Firefox/73.0 ": ("unknown", -1),
    "Firefox/73.0\n": ("unknown", -1),
    "EdgW/90": ("unknown", -1),
    "Chromium/80": ("unknown", -1),
    # it may not be a number
    "Edge/v18": ("edge", -1),
    "Chrome/.80": ("chrome", -1),
    "Chrome/v": ("chrome", -1),
    "Firefox/-73": ("firefox", -1),
    "MSIE a": ("ie", -1),
    # or begin with one
    "Chrome/v80.1": ("chrome", 80),
    "Chrome/080a": ("chrome", 80),
    "Chrome/0": ("chrome", 0),
    "Firefox/73-1": ("firefox", 73),
    "Chrome/123456789012345": ("chrome", 123456789012345),
    "Chrome/99999999999999999999": ("chrome", 10**20),
    # the first that has a version, the last Firefox
    "Chrome/ Chrome/80 Chrome/90": ("chrome", 80),
    "Chrome/80 Edg/90": ("edge", 90),
    "Firefox/73 Firefox/74": ("firefox", 74),
    "MSIE 9.0; Trident/7.0; rv:11.0) like Gecko": ("ie", 9),
    # Safari needs its version before it
    "Safari/604 Version/13": ("unknown", -1),
    "Version/13": ("unknown", -1),
    "Version/ Safari": ("unknown", -1),
    "Version/9safari": ("unknown", -1),
    "Version/13.0Safari": ("safari", 13),
    "Chrome/30 Version/4.0 Safari": ("safari", 4),
    "Version/x Safari Version/9 Safari": ("safari", -1),
    "Version/13.0 Mobile/15E Safari": ("mobile safari", 13),
    "Version/13.0 Mobile/15E\xa0Safari": ("mobile safari", 13),
    "Version/13.0 Mobile/15E  Safari": ("safari", 13),
    "Version/13.0 Mobile/15.E Safari": ("safari", 13),
    "Version/13.0 Mobile/ Safari": ("safari", 13),
    "Mobile/15E Safari Version/13.0 Safari": ("safari", 13),
    # Trident
    "Trident/7.0; rv:12.0; rv 13.0) like Gecko": ("ie", 13),
    "Trident/7.0; rv:12.0) like\tGecko": ("ie", 12),
    "Trident/7.0; rv:) like Gecko": ("unknown", -1),
    "Trident/7.0) like Gecko": ("unknown", -1),
    "Tridentrv:11.0) like Gecko": ("unknown", -1),
    "Trident/7.0; rv:11.0": ("unknown", -1),
    "like Gecko Trident rv:11": ("unknown", -1),
}  # fmt: skip

PLATFORMS = {
    "(Macintosh; iPhone": "iOS",
    "iPod": "iOS",
    "IPHONE": "unknown",
    "Android 9.1.2;": "Android",
    "Linux; Android 10; Linux ": "Android",
    "Android 10)": "unknown",
    "Android;": "unknown",
    "android 10;": "unknown",
    "; Linux x86": "linux",
    "(Linux ": "unknown",
    "Linux;": "unknown",
    "CrOS Linux ": "linux",
    "CrOS (Windows ": "Unix",
    "FreeBSD": "Unix",
    "NetBSD": "unknown",
    "(Windows NT": "windows",
    "; Windows NT": "windows",
    "Windows NT": "unknown",
    "(Windows;": "unknown",
    " Windows Macintosh;": "windows",
    "(Macintosh;": "mac",
    "(Macintosh)": "unknown",
}

BRANDS = {
    # hint: (browser, version), None where it says nothing
    '"Google Chrome";v="119.0.1.2", "Chromium";v="118.0", "Not?A_Brand";v="24"': ("chrome", 119),
    '"Chromium";v="119", "Not A;Brand";v="99", "Microsoft Edge";v="118"': ("edge", 118),
    '"Not)A;Brand";v="99", "Chromium";v="8"': None,
    '"Opera";v="90", "Chromium";v="104"': None,
    '"Microsoft Edge";v="118", "Google Chrome";v="117"': ("chrome", 117),
    '"Firefox";v="4","Safari";v="3","Edge";v="9"': ("edge", 9),
    '"Firefox";v="4","Safari";v="3"': ("safari", 3),
    '"Firefox";v="120.0"': ("firefox", 120),
    '"HeadlessChrome";v="5"': ("chrome", 5),
    '"EDGE";v="2"': ("edge", 2),
    '"Chrome";v="x","Chrome";v="9"': ("chrome", 9),
    '"Chrome";v="0"': ("chrome", 0),
    '"Chrome"; v="1"': None,
    '"Chrome";v=1': None,
    '"Chrome";v="1.x"': None,
    '"Chrome Beta";v="5"': None,
    '"Chrome";v=""': None,
    "": None,
}

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:73.0) Gecko/20100101 Firefox/73.0"
HOSTILE = ["edg", "edg/", "version/1 ", "mobile/", "mobile/a ", "chrome/", "firefox/", "firefox/1", "msie ", "ie ",
           "trident", "trident rv:", "rv:1 ", "like ", "Android ", "Android 1", "iP", "1", "é", "\ud800",
           'chrome";v="', '";v="1']  # fmt: skip


@each_case("user_agent", CLIENTS)
def test_real_clients_have_the_names_that_rules_use(user_agent):
    assert parse_user_agent(user_agent) == CLIENTS[user_agent]


@each_case("text", BROWSERS, ids=ascii)
def test_browser_is_recognized_by_its_version(text):
    assert parse_user_agent(text)[:2] == BROWSERS[text]


@each_case("text", [*CLIENTS, *BROWSERS], ids=ascii)
def test_browser_is_recognized_in_any_case(text):
    assert (
        parse_user_agent(text.upper())[:2] == parse_user_agent(text.lower())[:2] == parse_user_agent(text)[:2]
    )


@each_case("text", PLATFORMS)
def test_platform_is_the_first_that_is_mentioned(text):
    assert parse_user_agent(text).platform == PLATFORMS[text]


@each_case("brands", BRANDS)
def test_known_brands_override_the_user_agent(brands):
    expected = BRANDS[brands] or ("firefox", 73)

    assert parse_user_agent(FIREFOX, brands_full=brands) == UserAgentInfo(*expected, "windows")
    assert parse_user_agent(FIREFOX, brands_major=brands) == UserAgentInfo(*expected, "windows")


def test_brand_without_a_number_keeps_the_version_of_the_user_agent():
    assert parse_user_agent(FIREFOX, brands_full='"Chrome";v=".7"') == UserAgentInfo("chrome", 73, "windows")


@each_case(
    "full, major, version",
    [
        ('"Chrome";v="119.0"', '"Chrome";v="120"', 119),
        ("", '"Chrome";v="120"', 120),
        (None, '"Chrome";v="120"', 120),
        ('"Other";v="1"', '"Chrome";v="120"', 73),
    ],
    ids=["both", "empty", "missing", "says nothing"],
)
def test_full_versions_take_precedence_over_major_versions(full, major, version):
    assert parse_user_agent(FIREFOX, None, full, major).version == version


@each_case(
    "hint, platform",
    [
        ("Windows", "windows"),
        ("macOS", "mac"),
        ("Mac OS", "mac"),
        ("Macintosh", "mac"),
        ("Linux", "linux"),
        ("Android", "Android"),
        ("Chrome OS", "Chrome OS"),
        ("windows", "windows"),
        ("MACOS", "MACOS"),
        ("", ""),
        (None, "windows"),
    ],
)
def test_platform_hint_replaces_the_platform(hint, platform):
    assert parse_user_agent(FIREFOX, hint) == UserAgentInfo("firefox", 73, platform)


def test_hints_alone_are_enough():
    assert parse_user_agent(None, "macOS", '"Google Chrome";v="119.0"') == UserAgentInfo("chrome", 119, "mac")


def test_no_user_agent_is_an_unknown_client():
    assert parse_user_agent(None) == UserAgentInfo("unknown", -1, "unknown")


def test_user_agent_is_parsed_once():
    text = "Chrome/80 looked-at-once"
    same = text[:3] + text[3:]

    assert parse_user_agent(text) is parse_user_agent(same)
    assert parse_user_agent(text, "Linux") is parse_user_agent(same, "Linux")


@each_case(
    "text, hint, brands",
    [
        ("Chrome/80 " + "x" * 5000, None, None),
        ("Chrome/80 " + "x" * 5000, "Linux", None),
        ("Chrome/80", "x" * 5000, None),
        ("Chrome/81", None, '"Chrome";v="80"' + "x" * 5000),
        ("Chrome/80 " + "x" * 1000, "x" * 700, "x" * 700),
    ],
)
def test_very_long_texts_are_not_cached(text, hint, brands):
    assert parse_user_agent(text, hint, brands) is not parse_user_agent(text, hint, brands)
    assert parse_user_agent(text, hint, brands).version == 80


def test_version_of_sixteen_digits_is_rounded_as_in_javascript():
    assert parse_user_agent("Chrome/9007199254740993").version == 9007199254740992


def test_only_the_start_of_a_long_user_agent_is_read():
    assert parse_user_agent("x" * 32_000 + "Chrome/80").version == 80
    assert parse_user_agent("x" * 33_000 + "Chrome/80").version == -1


@each_case("unit", HOSTILE, ids=ascii)
@each_case("start", ["", "Version/1 safari ", "Trident x", "Chrome/", "Firefox/", "Android "])
def test_hostile_text_is_read_to_its_end(start, unit):
    text = start + unit * (100_000 // len(unit))

    assert parse_user_agent(text, None, text) == parse_user_agent(text, None, text)


@given(user_agent=ANY_TEXT, hint=st.none() | ANY_TEXT, full=st.none() | ANY_TEXT, major=st.none() | ANY_TEXT)
@settings(deadline=None)
def test_any_text_gives_a_client(user_agent, hint, full, major):
    browser, version, platform = parse_user_agent(user_agent, hint, full, major)

    assert browser in {"edge", "mobile safari", "safari", "chrome", "firefox", "ie", "unknown"}
    assert version >= -1
    assert isinstance(platform, str)


@given(st.lists(st.sampled_from([*BROWSERS, *PLATFORMS, FIREFOX]), max_size=5).map(" ".join))
@settings(deadline=None)
def test_user_agent_completes_client_hints(text):
    bare = parse_user_agent(text)

    assert parse_user_agent(text, "Other", '"Other";v="1"') == bare._replace(platform="Other")
    assert parse_user_agent(text, None, '"Edge";v="7"') == UserAgentInfo("edge", 7, bare.platform)

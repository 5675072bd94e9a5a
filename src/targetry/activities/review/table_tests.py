"""Table tests: visitors, and the experiences that they must see, in files `*.test.yaml`.

tests:
- name: Canadian Chrome gets one-click
given: {tnt_id: abc, geo: {country: CA}, user_agent: chrome}
expect: {checkout-flags: one-click}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Protocol

import msgspec
from msgspec import Meta

from targetry.activities.compile.activity_set import ActivitySet
from targetry.activities.compile.compiler import (
    DEFAULT_ENVIRONMENT,
    Compilation,
    artifact_bytes,
    compile_activities,
)
from targetry.activities.compile.loading import load_folder
from targetry.activities.model.files import ActivityFolder
from targetry.activities.model.finding import Finding
from targetry.activities.model.shapes import ShapeError, did_you_mean, shape_errors
from targetry.activities.model.yaml_values import YamlDocument, YamlError, join_path, parse_yaml
from targetry.device.decide import Match, decide
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.errors import OptionError
from targetry.models import (
    Address,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    ModelProperty,
    PrefetchRequest,
    RequestDetails,
    ViewRequest,
    VisitorId,
)

PAGE_LOAD: Final = "page_load"
_VIEW: Final = "view "
_VISITOR: Final = "test-visitor"
_MOST_VISITORS: Final = 1_000_000
_BROWSER_END: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"
USER_AGENTS: Final[dict[str, str]] = {
    "chrome": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_BROWSER_END} Safari/537.36",
    "edge": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_BROWSER_END} Safari/537.36 Edg/140.0.0.0",
    "firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "safari": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Safari/605.1.15",
    "iphone": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "android": f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {_BROWSER_END} Mobile Safari/537.36",
}
"""User agents by the short names that tests can use."""


class _TestPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a file of tests."""


class GivenPlace(_TestPart, frozen=True, kw_only=True):
    """Geo location of a visitor."""

    country: Annotated[str | None, Meta(description="Country code.")] = None
    region: Annotated[str | None, Meta(description="Region code.")] = None
    city: Annotated[str | None, Meta(description="City.")] = None
    latitude: Annotated[float | None, Meta(description="Degrees.")] = None
    longitude: Annotated[float | None, Meta(description="Degrees.")] = None


class Given(_TestPart, frozen=True, kw_only=True):
    """Visitor and request of a test."""

    tnt_id: Annotated[str | None, Meta(description="Target's id for the visitor.")] = None
    third_party_id: Annotated[str | None, Meta(description="Your id for the visitor.")] = None
    ecid: Annotated[str | None, Meta(description="The Experience Cloud id.")] = None
    geo: Annotated[GivenPlace | None, Meta(description="Geo location.")] = None
    user_agent: Annotated[
        str | None, Meta(description="User-Agent, or one of " + ", ".join(USER_AGENTS) + ".")
    ] = None
    params: Annotated[dict[str, str | int | float | bool], Meta(description="Parameters of the mbox.")] = {}
    url: Annotated[str | None, Meta(description="URL of the page.")] = None
    referrer: Annotated[str | None, Meta(description="URL of the previous page.")] = None
    at: Annotated[
        str | None, Meta(description="Time in ISO 8601 with an offset. Default: 2026-01-01T00:00:00Z.")
    ] = None
    property: Annotated[str | None, Meta(description="Name or token of a property.")] = None
    visitors: Annotated[
        Annotated[int, Meta(ge=1, le=_MOST_VISITORS)] | None,
        Meta(description="Number of visitors, for a test of shares."),
    ] = None
    place: Annotated[str | None, Meta(description="The location of a test of shares.")] = None


class TableTest(_TestPart, frozen=True, kw_only=True):
    """Test: a visitor, and what is expected at locations."""

    __test__ = False  # for pytest

    name: Annotated[str, Meta(min_length=1, description="Name of the test.")]
    expect: Annotated[
        dict[str, Any],
        Meta(
            description="By location (an mbox, `page_load` or `view NAME`): the key of the experience, a part of "
            "the JSON content, `{experience: KEY, content: …}`, or null for nothing. Or `shares` and `within`."
        ),
    ]
    given: Annotated[Given, Meta(description="The visitor.")] = Given()


class TestFile(_TestPart, frozen=True, kw_only=True):
    """File of tests."""

    __test__ = False  # for pytest

    tests: Annotated[list[TableTest], Meta(min_length=1, description="The tests.")]


class LocatedTest(msgspec.Struct, frozen=True):
    """Test of a file, with its line."""

    __test__ = False

    file: str
    line: int
    test: TableTest


class TestFailure(msgspec.Struct, frozen=True):
    """Expectation that is not met; `request` and `now_ms` reproduce the decision."""

    __test__ = False

    message: str
    request: DeliveryRequest | None = None
    now_ms: int = 0


def parse_tests(name: str, text: str) -> tuple[list[LocatedTest], list[Finding]]:
    """Return the tests of a file, or its mistakes.

    Args:
        name: Name of the file.
        text: Its content.
    """
    try:
        document = parse_yaml(text)
    except YamlError as error:
        found = _finding(name, "TA001", f"not usable as YAML: {error}", error.line, error.column)
        return [], [found]
    errors = list(shape_errors(document.value, TestFile))
    if errors:
        return [], [_shape_finding(name, document, error) for error in errors]
    file = msgspec.convert(document.value, TestFile)
    tests = [
        LocatedTest(name, document.mark(f"tests[{number}]").line, test)
        for number, test in enumerate(file.tests)
    ]
    return tests, list(_semantic_findings(name, document, file))


def _semantic_findings(name: str, document: YamlDocument, file: TestFile) -> Iterator[Finding]:
    for number, test in enumerate(file.tests):
        path = f"tests[{number}]"
        errors = []
        if "shares" in test.expect:
            if not isinstance(test.expect["shares"], dict) or test.expect.keys() - {"shares", "within"}:
                errors.append((f"{path}.expect", "a test of shares has shares and within only"))
            if test.given.visitors is None or test.given.place is None:
                errors.append((f"{path}.given", "a test of shares needs visitors and place"))
            errors += _share_errors(f"{path}.expect", test.expect)
        if test.given.at is not None and _epoch_ms(test.given.at) is None:
            errors.append((f"{path}.given.at", "a time is in ISO 8601 with an offset"))
        for where, message in errors:
            mark = document.mark(where)
            yield _finding(name, "TA002", message, mark.line, mark.column, where)


def _share_errors(path: str, expect: dict[str, Any]) -> Iterator[tuple[str, str]]:
    shares = expect["shares"] if isinstance(expect["shares"], dict) else {}
    percentages = {join_path(f"{path}.shares", key): share for key, share in shares.items()}
    for where, value in (percentages | {f"{path}.within": expect.get("within", 1)}).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
            yield where, "a percentage is a number from 0 to 100"


def _finding(name: str, code: str, message: str, line: int, column: int, path: str = "") -> Finding:
    return Finding(code=code, level="error", message=message, file=name, line=line, column=column, path=path)


def _shape_finding(name: str, document: YamlDocument, error: ShapeError) -> Finding:
    mark = (document.keys.get(error.path) if error.is_key else None) or document.mark(error.path)
    found = _finding(name, "TA002", error.message, mark.line, mark.column, error.path)
    return msgspec.structs.replace(found, hint=error.hint)


class ActivityFilesError(Exception):
    """The files of a folder have mistakes, one on each line of the text."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


def load_subject(folder: ActivityFolder, environment: str | None = None) -> TestSubject:
    """Compile a folder for its tests.

    Args:
        folder: The folder of the activities.
        environment: The environment. Default: production, or the first.

    Raises:
        ActivityFilesError: The files have mistakes.
        OptionError: There is no such environment.
    """
    loaded = load_folder(folder)
    if loaded.findings or loaded.activities is None:
        raise ActivityFilesError(loaded.findings)
    compilation = compile_activities(loaded.activities, loaded.lock)
    if compilation.findings:
        raise ActivityFilesError(compilation.findings)
    return TestSubject(loaded.activities, compilation, environment)


class DescribeDecision(Protocol):
    """Function that explains a decision in lines."""

    def __call__(
        self, rules: RuleSet, request: DeliveryRequest, /, *, client_code: str, now_ms: int
    ) -> list[str]: ...


class TestSubject:
    """Compiled activities that tests ask.

    Attributes:
        rules: The rules of the artifact.
        client: The client code.
    """

    __test__ = False

    def __init__(
        self, activities: ActivitySet, compilation: Compilation, environment: str | None = None
    ) -> None:
        artifacts = compilation.artifacts
        name = environment or (
            DEFAULT_ENVIRONMENT if DEFAULT_ENVIRONMENT in artifacts else next(iter(artifacts))
        )
        if name not in artifacts:
            raise OptionError("environment", f"must be one of {', '.join(artifacts)}, not {name!r}")
        self.rules: RuleSet = compile_artifact(artifact_bytes(artifacts[name]))
        self.client = activities.settings.client
        self._properties = activities.settings.properties
        self._keys = {
            (str(layout.id), str(id)): key
            for layout in compilation.layout.activities.values()
            for key, id in layout.experience_ids.items()
        }
        self._known = sorted(set(self._keys.values()))

    def run(self, test: TableTest) -> list[TestFailure]:
        """Return what does not meet a test's expectations."""
        if "shares" in test.expect:
            return self._run_shares(test)
        request = self._request(test.given, list(test.expect))
        now_ms = _now_ms(test.given)
        matches = self._matches(request, now_ms)
        return [
            TestFailure(message, request, now_ms)
            for place, expected in test.expect.items()
            for message in self._differences(place, expected, matches.get(place, []))
        ]

    def lines(self, failures: Sequence[TestFailure], describe: DescribeDecision) -> list[str]:
        """Return the messages of a test's failures, and the explanation of its first request."""
        lines = [one.message for one in failures]
        if (request := failures[0].request) is not None:
            lines += describe(self.rules, request, client_code=self.client, now_ms=failures[0].now_ms)
        return lines

    def _matches(self, request: DeliveryRequest, now_ms: int) -> dict[str, list[Match]]:
        """Return the outcomes by location as tests name them."""
        found: list[Match] = []
        decide(self.rules, request, self.client, now_ms, lambda: "", matches=found)
        execute = request.execute or ExecuteRequest()
        names = {one.name for one in execute.mboxes or ()}
        places: dict[str, list[Match]] = {}
        for one in found:
            if one.rule is not None:
                place = f"{_VIEW}{one.location}" if one.location_type == "view" else str(one.location)
                places.setdefault(
                    place if place in names or one.location_type == "view" else PAGE_LOAD, []
                ).append(one)
        return places

    def _differences(self, place: str, expected: Any, matches: list[Match]) -> Iterator[str]:
        keys = [self._key(one) for one in matches]
        shown = ", ".join(dict.fromkeys(keys)) or "nothing"
        if expected is None:
            if matches:
                yield f"{place}: expected nothing, got {shown}"
        elif isinstance(expected, str):
            if expected not in keys:
                hint = did_you_mean(expected, self._known) if expected not in self._known else None
                yield f"{place}: expected {expected}, got {shown}" + (f"; {hint}" if hint else "")
        elif isinstance(expected, Mapping) and expected.keys() <= {"experience", "content"}:
            if "experience" in expected:
                yield from self._differences(place, expected["experience"], matches)
            if "content" in expected:
                yield from _content_differences(place, expected["content"], matches, shown)
        else:
            yield from _content_differences(place, expected, matches, shown)

    def _key(self, match: Match) -> str:
        meta = match.rule.meta if match.rule is not None else {}
        name = str(meta.get("experience.name"))
        return self._keys.get((str(meta.get("activity.id")), str(meta.get("experience.id"))), name)

    def _run_shares(self, test: TableTest) -> list[TestFailure]:
        given, place = test.given, str(test.given.place)
        counts: Counter[str] = Counter()
        total = given.visitors or 1
        now_ms = _now_ms(given)
        for number in range(total):
            visitor = msgspec.structs.replace(given, tnt_id=f"visitor-{number}")
            matches = self._matches(self._request(visitor, [place]), now_ms).get(place, [])
            counts.update({self._key(matches[0]): 1} if matches else {})
        within = test.expect.get("within", 1)
        return [
            TestFailure(
                f"{place}: expected {share} % of {key} within {within}, got {100 * counts[key] / total:.2f} %"
            )
            for key, share in test.expect["shares"].items()
            if abs(100 * counts[key] / total - share) > within
        ]

    def _request(self, given: Given, places: list[str]) -> DeliveryRequest:
        parameters = {name: _parameter(value) for name, value in given.params.items()} or None
        mboxes = [
            MboxRequest(name=place, index=index, parameters=parameters)
            for index, place in enumerate(
                one for one in places if one != PAGE_LOAD and not one.startswith(_VIEW)
            )
        ]
        views = [
            ViewRequest(name=place.removeprefix(_VIEW), parameters=parameters)
            for place in places
            if place.startswith(_VIEW)
        ]
        page_load = RequestDetails(parameters=parameters) if PAGE_LOAD in places else None
        ids = VisitorId(
            tnt_id=given.tnt_id,
            third_party_id=given.third_party_id,
            marketing_cloud_visitor_id=given.ecid,
        )
        token = None if given.property is None else self._properties.get(given.property, given.property)
        place = given.geo or GivenPlace()
        agent = given.user_agent
        return DeliveryRequest(
            id=VisitorId(tnt_id=_VISITOR) if ids == VisitorId() else ids,
            _property=None if token is None else ModelProperty(token),
            context=Context(
                address=Address(given.url, given.referrer) if given.url or given.referrer else None,
                user_agent=None if agent is None else USER_AGENTS.get(agent, agent),
                geo=Geo(
                    country_code=place.country,
                    state_code=place.region,
                    city=place.city,
                    latitude=place.latitude,
                    longitude=place.longitude,
                ),
            ),
            execute=ExecuteRequest(page_load, mboxes or None),
            prefetch=PrefetchRequest(views) if views else None,
        )


def _content_differences(place: str, expected: Any, matches: list[Match], shown: str) -> Iterator[str]:
    contents = [option.content for one in matches for option in one.options]
    if not any(_is_part(expected, content) for content in contents):
        got = _text(contents[0]) if contents else "no content"
        yield f"{place}: expected the content {_text(expected)}, got {got} of {shown}"


def _is_part(part: Any, value: Any) -> bool:
    """Return whether a value has all members of a part; lists must be equal."""
    if isinstance(part, Mapping) and isinstance(value, Mapping):
        return all(key in value and _is_part(one, value[key]) for key, one in part.items())
    return isinstance(part, bool) is isinstance(value, bool) and bool(part == value)


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 200 else f"{text[:199]}…"


def _parameter(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_DEFAULT_MS: Final = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)


def _now_ms(given: Given) -> int:
    found = None if given.at is None else _epoch_ms(given.at)
    return _DEFAULT_MS if found is None else found


def _epoch_ms(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None

import pickle

from support.cases import each_case
from targetry import errors
from targetry.errors import (
    ApiException,
    ArtifactError,
    ArtifactVersionError,
    AttributeNotFoundError,
    ClosedError,
    DeadlineError,
    MissingExtraError,
    NoThreadError,
    NotReadyError,
    OpenApiException,
    OptionError,
    TargetError,
    TargetryWarning,
    TransportError,
)

EVERY_ERROR = [
    OptionError(
        "request.execute", "must ask for something", "Either pageLoad or mboxes is required in execute"
    ),
    ArtifactError("not JSON"),
    ArtifactVersionError("2 is not 1"),
    NotReadyError("not yet"),
    ClosedError("closed"),
    NoThreadError("no thread"),
    AttributeNotFoundError("no such attribute"),
    ApiException(400, "Bad Request", body='{"message": "no"}', headers={"content-type": "application/json"}),
    TransportError(reason="refused"),
    DeadlineError(reason="too late"),
    MissingExtraError("starlette", "edge"),
]

CAUGHT_AS: list[tuple[type[Exception], type[Exception]]] = [
    (OptionError, ValueError),
    (MissingExtraError, ImportError),
    (ArtifactVersionError, ArtifactError),
    (AttributeNotFoundError, LookupError),
    (ApiException, OpenApiException),
    (TransportError, ApiException),
    (DeadlineError, TransportError),
    (DeadlineError, TimeoutError),
]


def test_every_error_of_the_module_is_in_the_table_of_these_tests() -> None:
    defined = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert defined - {TargetError, OpenApiException, TargetryWarning} == {
        type(error) for error in EVERY_ERROR
    }


@each_case("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
def test_every_error_is_a_target_error(error: Exception) -> None:
    assert isinstance(error, TargetError)


@each_case("error, base", CAUGHT_AS)
def test_error_is_also_caught_as_the_kind_above_it(error: type[Exception], base: type[Exception]) -> None:
    assert issubclass(error, base)


@each_case("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
def test_error_survives_pickling(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_option_error_names_the_field_and_the_reason() -> None:
    error = OptionError("request.execute.mboxes[1].name", "is too long")
    assert (error.path, error.reason) == ("request.execute.mboxes[1].name", "is too long")
    assert str(error) == "request.execute.mboxes[1].name: is too long"


def test_official_text_replaces_path_and_reason() -> None:
    assert str(OptionError("client", "is required", "Client is required")) == "Client is required"


def test_text_of_an_api_exception_shows_the_response() -> None:
    error = ApiException(404, "Not Found", body="gone", headers={"server": "edge"})
    assert str(error) == (
        "(404)\nReason: Not Found\nHTTP response headers: {'server': 'edge'}\nHTTP response body: gone\n"
    )


def test_status_is_zero_without_a_response() -> None:
    error = TransportError(reason="refused")
    assert (error.status, error.reason, error.body, error.headers) == (0, "refused", None, None)
    assert str(error) == "(0)\nReason: refused\n"

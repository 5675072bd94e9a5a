"""Numbers, ids, booleans and times of other libraries' classes are read by their value."""

import datetime
import decimal
import enum
import fractions
import math
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import numpy as np
import pytest

from models.samples import context, mbox
from support.cases import each_case
from targetry.models import (
    AudienceManager,
    ConstraintError,
    Context,
    CustomerId,
    DeliveryRequest,
    ExperienceCloud,
    Geo,
    ModelProperty,
    Notification,
    Order,
    Product,
    Screen,
    Telemetry,
    TelemetryEntry,
    VisitorId,
    snapshot,
)

ONE = UUID("12345678-1234-5678-1234-567812345678")
UTC = datetime.UTC
CET = datetime.timezone(datetime.timedelta(hours=1))
MS = 1_700_000_000_123


class Word(enum.Enum):
    WEB = "web"
    SEVEN = 7


class Floating:
    """A number by its protocol alone."""

    def __float__(self):
        return 2.5


class Indexed:
    def __index__(self):
        return 3


def same(found, expected):
    assert found == expected
    assert type(found) is type(expected)


TIMESTAMPS = [
    (MS, MS),
    (float(MS), MS),
    (MS + 0.4, MS),
    (MS + 0.6, MS + 1),
    (Decimal(MS), MS),
    (Decimal("1700000000123.6"), MS + 1),
    (Fraction(MS * 3 + 1, 3), MS),
    (np.int64(MS), MS),
    (np.uint64(MS), MS),
    (np.float64(MS), MS),
    (np.longdouble(MS), MS),
    (np.array(MS), MS),
    (-1, -1),
    (datetime.datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC), MS),
    (datetime.datetime(2023, 11, 14, 23, 13, 20, 123_400, tzinfo=CET), MS),
    (datetime.datetime.fromtimestamp(MS / 1000), MS),  # noqa: DTZ006  local time is what is meant
]


@each_case("given, expected", TIMESTAMPS)
@each_case("wire", [True, False], ids=["wire", "device"])
def test_timestamp_is_rounded_to_milliseconds(given, expected, wire):
    request = DeliveryRequest(
        notifications=[Notification(id="n", type="click", timestamp=given)],
        telemetry=Telemetry([TelemetryEntry(timestamp=given)]),
    )
    copy = snapshot(request, wire=wire)
    same(copy.notifications[0].timestamp, expected)
    same(copy.telemetry.entries[0].timestamp, expected)
    document = {"notifications": [{"id": "n", "type": "click", "timestamp": given}]}
    same(snapshot(document, wire=wire).notifications[0].timestamp, expected)


NO_TIMESTAMPS = [
    math.nan,
    math.inf,
    -math.inf,
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("1e999999999"),
    Fraction(10**400),
    np.float64("nan"),
    10**400,
    2**63,
    1j,
    "12",
    "now",
    b"12",
    True,
    np.True_,
    np.array([MS]),
    np.datetime64("2024-01-01"),
    np.timedelta64(1, "s"),
    datetime.date(2024, 1, 1),
    datetime.timedelta(1),
    [],
    {},
    ...,
]


@each_case("given", NO_TIMESTAMPS, ids=lambda value: repr(value)[:40])
def test_invalid_timestamp_raises_with_its_path(given):
    good = Notification(id="g", type="click", timestamp=1)
    wrong = Notification(id="n", type="click", timestamp=given)
    with pytest.raises(ConstraintError) as caught:
        snapshot(DeliveryRequest(notifications=[good, wrong]), wire=True)
    assert caught.value.path == "request.notifications[1].timestamp"


NUMBERS = [
    (Decimal("19.90"), 19.9),
    (Decimal(20), 20.0),
    (Fraction(1, 4), 0.25),
    (np.float32(0.5), 0.5),
    (np.float64(19.9), 19.9),
    (np.int8(5), 5.0),
    (np.longdouble(0.5), 0.5),
    (np.array(0.5), 0.5),
    (Floating(), 2.5),
    (Indexed(), 3.0),
    (Word.SEVEN, 7.0),
]


@each_case("given, expected", NUMBERS)
def test_real_number_of_any_class_is_a_number(given, expected):
    same(snapshot(mbox(order=Order(total=given)), wire=True).execute.mboxes[1].order.total, expected)
    same(snapshot(context(geo=Geo(latitude=given)), wire=True).context.geo.latitude, expected)
    same(snapshot(context(screen=Screen(width=given)), wire=True).context.screen.width, expected)


@each_case(
    "given",
    [
        Decimal("NaN"),
        Decimal("1e400"),
        np.float64("inf"),
        "19.90",
        True,
        np.True_,
        np.array([1.5]),
        1j,
        None.__class__,
    ],
    ids=lambda value: repr(value)[:40],
)
def test_number_that_is_not_finite_raises_with_its_path(given):
    with pytest.raises(ConstraintError) as caught:
        snapshot(mbox(order=Order(total=given)), wire=True)
    assert caught.value.path == "request.execute.mboxes[1].order.total"


@each_case(
    "given",
    [3, 3.0, Decimal(3), Decimal("3.00"), Fraction(3), np.int64(3), np.float64(3), np.uint8(3), Indexed()],
)
def test_whole_number_of_any_class_is_an_integer(given):
    copy = snapshot(mbox(index=given), wire=True)
    same(copy.execute.mboxes[1].index, 3)
    same(snapshot(DeliveryRequest(environment_id=given), wire=True).environment_id, 3)
    cloud = ExperienceCloud(audience_manager=AudienceManager(location_hint=given))
    same(
        snapshot(
            DeliveryRequest(experience_cloud=cloud), wire=True
        ).experience_cloud.audience_manager.location_hint,
        3,
    )


@each_case("given", [3.5, Decimal("3.5"), Fraction(7, 2), "3", True, np.True_, math.nan, Floating()])
def test_number_that_is_not_whole_raises_with_its_path(given):
    with pytest.raises(
        ConstraintError, match=r"^request\.execute\.mboxes\[1\]\.index: must be an integer, not "
    ):
        snapshot(mbox(index=given), wire=True)


PARAMETERS = [
    (np.int64(5), 5),
    (np.float32(0.5), 0.5),
    (np.True_, True),
    (np.str_("x"), "x"),
    (Decimal("19.90"), 19.9),
    (Decimal(20), 20),
    (Fraction(1, 2), 0.5),
    (ONE, str(ONE)),
    (Word.WEB, "web"),
    (Word.SEVEN, 7),
    (True, True),
    (datetime.date(2024, 1, 1), "2024-01-01"),
    (datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC), "2024-01-01T12:00:00+00:00"),
]


@each_case("given, expected", PARAMETERS)
def test_parameter_is_the_plain_value_that_it_means(given, expected):
    copy = snapshot(mbox(parameters={"a": given}, profile_parameters={"b": given}), wire=True)
    same(copy.execute.mboxes[1].parameters["a"], expected)
    same(copy.execute.mboxes[1].profile_parameters["b"], expected)


@each_case("given", [b"x", datetime.time(12), np.array([1]), 1j, [], {}, ...], ids=repr)
def test_value_that_is_no_scalar_is_no_parameter(given):
    with pytest.raises(ConstraintError) as caught:
        snapshot(mbox(parameters={"a": given}), wire=True)
    assert caught.value.path == "request.execute.mboxes[1].parameters['a']"


@pytest.mark.parametrize(("given", "expected"), [(True, True), (np.True_, True), (np.False_, False)])
def test_boolean_of_any_class_is_a_boolean(given, expected):
    same(snapshot(mbox(order=Order(duplicate=given)), wire=True).execute.mboxes[1].order.duplicate, expected)


IDS = [
    (17, "17"),
    (0, "0"),
    (np.int64(17), "17"),
    (Decimal(17), "17"),
    (ONE, str(ONE)),
    (Word.WEB, "web"),
    (Word.SEVEN, "7"),
    (np.str_("x"), "x"),
]


def with_ids(given):
    customer = CustomerId(id=given, integration_code="crm", authenticated_state="unknown")
    return DeliveryRequest(
        request_id=given,
        impression_id=given,
        id=VisitorId(given, given, given, [customer]),
        _property=ModelProperty(given),
        notifications=[Notification(id=given, impression_id=given)],
        execute=mbox(
            name="m", order=Order(id=given, purchased_product_ids=[given]), product=Product(given, given)
        ).execute,
    )


@each_case("given, expected", IDS)
def test_id_is_taken_as_text(given, expected):
    assert snapshot(with_ids(given), wire=True) == snapshot(with_ids(expected), wire=True)


@each_case("given", [True, b"17", 1.5, 17.0, np.True_, 10**400, ..., [17]], ids=lambda v: repr(v)[:9])
@each_case(
    "place, path",
    [
        (lambda given: DeliveryRequest(id=VisitorId(third_party_id=given)), "request.id.third_party_id"),
        (lambda given: mbox(order=Order(id=given)), "request.execute.mboxes[1].order.id"),
        (lambda given: mbox(product=Product(id=given)), "request.execute.mboxes[1].product.id"),
        (
            lambda given: mbox(order=Order(purchased_product_ids=["a", given])),
            "request.execute.mboxes[1].order.purchased_product_ids[1]",
        ),
        (
            lambda given: DeliveryRequest(notifications=[Notification(id=given)]),
            "request.notifications[0].id",
        ),
    ],
    ids=["third party", "order", "product", "products", "notification"],
)
def test_invalid_id_raises_with_its_path(given, place, path):
    with pytest.raises(ConstraintError) as caught:
        snapshot(place(given), wire=True)
    assert caught.value.path == path


def test_length_of_an_id_is_that_of_its_text():
    with pytest.raises(ConstraintError, match="must have at most 128 characters, has 129"):
        snapshot(DeliveryRequest(id=VisitorId(tnt_id="1" * 129)), wire=True)


def test_model_writes_such_numbers_as_json_numbers():
    order = Order(id=ONE, total=Decimal("19.90"), experience_local_id=np.int64(3), duplicate=np.False_)
    assert order.to_json() == f'{{"id":"{ONE}","total":19.9,"experienceLocalId":3,"duplicate":false}}'
    with pytest.raises(ConstraintError, match=r"order\.total: must be a finite number"):
        Order(total=Decimal("NaN")).to_json()


def test_enum_of_texts_is_its_word():
    assert snapshot(DeliveryRequest(context=Context(channel=Word.WEB)), wire=True).context.channel == "web"


def test_unreadable_number_raises_with_its_path():
    class Broken(Floating):
        def __float__(self):
            raise RuntimeError("no")

    with pytest.raises(ConstraintError, match=r"order\.total: cannot be read: RuntimeError"):
        snapshot(mbox(order=Order(total=Broken())), wire=True)


def test_context_of_decimal_arithmetic_does_not_matter():
    with decimal.localcontext() as context:
        context.prec = 2
        copy = snapshot(mbox(order=Order(total=Decimal("1234.5"))), wire=True)
    assert copy.execute.mboxes[1].order.total == 1234.5


def test_fractions_of_a_huge_denominator_are_numbers():
    assert (
        snapshot(mbox(order=Order(total=fractions.Fraction(1, 10**300))), wire=True)
        .execute.mboxes[1]
        .order.total
    )

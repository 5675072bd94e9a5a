import copy
import json
import pickle

import msgspec
import pytest

from support.cases import each_case
from targetry.models import enums
from targetry.models.enums import ChannelType, MetricType, OptionType

WORDS = {
    "AuthenticatedState": {
        "UNKNOWN": "unknown",
        "AUTHENTICATED": "authenticated",
        "LOGGED_OUT": "logged_out",
    },
    "ChannelType": {"MOBILE": "mobile", "WEB": "web"},
    "DecisioningMethod": {"SERVER_SIDE": "server-side", "ON_DEVICE": "on-device", "HYBRID": "hybrid"},
    "DeviceType": {"PHONE": "phone", "TABLET": "tablet"},
    "ExecutionMode": {"EDGE": "edge", "LOCAL": "local"},
    "LoggingType": {"SERVER_SIDE": "server_side", "CLIENT_SIDE": "client_side"},
    "MetricType": {"CLICK": "click", "DISPLAY": "display"},
    "MobilePlatformType": {"ANDROID": "android", "IOS": "ios"},
    "OptionType": {
        "HTML": "html",
        "JSON": "json",
        "REDIRECT": "redirect",
        "DYNAMIC": "dynamic",
        "ACTIONS": "actions",
    },
    "ScreenOrientationType": {"PORTRAIT": "portrait", "LANDSCAPE": "landscape"},
}
MEMBERS = [
    pytest.param(getattr(getattr(enums, enum), name), word, id=f"{enum}.{name}")
    for enum, words in WORDS.items()
    for name, word in words.items()
]


@each_case("enum", WORDS)
def test_texts_are_those_of_the_table(enum):
    assert {member.name: member.value for member in getattr(enums, enum)} == WORDS[enum]


@each_case("member, word", MEMBERS)
def test_member_is_its_string(member, word):
    assert member == word
    assert isinstance(member, str)
    assert hash(member) == hash(word)


@each_case("member, word", MEMBERS)
def test_member_prints_as_its_string(member, word):
    assert [str(member), f"{member}", f"{member:>20}", "%s" % member, "{}".format(member)] == [  # noqa: UP031, UP032
        word,
        word,
        f"{word:>20}",
        word,
        word,
    ]


@each_case("member, word", MEMBERS)
def test_member_serialises_as_its_string(member, word):
    assert json.dumps({member: member}) == json.dumps({word: word})
    assert msgspec.json.encode(member) == f'"{word}"'.encode()


def test_member_is_found_by_its_string_as_key():
    assert {"web": 1}[ChannelType.WEB] == 1
    assert {ChannelType.WEB: 1}["web"] == 1


def test_member_survives_pickle_and_copy():
    assert pickle.loads(pickle.dumps(MetricType.CLICK)) is MetricType.CLICK
    assert copy.deepcopy(OptionType.JSON) is OptionType.JSON

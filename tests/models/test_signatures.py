"""Classes, positional order, JSON keys and type names of the official package."""

import json
from pathlib import Path

import targetry.models as models
from models.strategies import MODELS
from support.cases import each_case

SIGNATURES = json.loads(Path(__file__).with_name("signatures.json").read_text())


def test_every_class_of_the_table_is_there_and_no_other():
    assert [model.__name__ for model in MODELS] == sorted(SIGNATURES)


@each_case("name", SIGNATURES)
def test_positional_order_is_that_of_the_table(name):
    assert list(getattr(models, name).__struct_fields__) == [row[0] for row in SIGNATURES[name]]


@each_case("name", SIGNATURES)
def test_attribute_map_gives_the_json_keys(name):
    assert getattr(models, name).attribute_map == {row[0]: row[1] for row in SIGNATURES[name]}


@each_case("name", SIGNATURES)
def test_openapi_types_returns_the_type_texts(name):
    assert getattr(models, name).openapi_types == {row[0]: row[2] for row in SIGNATURES[name]}


@each_case("model", MODELS, ids=lambda model: model.__name__)
def test_each_field_can_be_omitted(model):
    defaults = {"beacon": False} if model is models.Context else {}
    assert {name: value for name, value in model().to_dict().items() if value is not None} == defaults


def test_class_data_can_be_read_from_an_instance():
    page = models.NotificationPageLoad()
    assert (page.attribute_map, page.openapi_types, page.discriminator) == (
        {"state": "state"},
        {"state": "str"},
        None,
    )


def test_result_of_attribute_map_is_a_copy():
    models.Preview.attribute_map.clear()
    models.Preview.openapi_types.clear()
    assert models.Preview.attribute_map == {"token": "token"}
    assert models.Preview.openapi_types == {"token": "str"}


def test_all_names_every_public_class_once():
    assert len(models.__all__) == len(set(models.__all__))
    assert set(SIGNATURES) <= set(models.__all__)


@each_case("name", models.__all__)
def test_all_contains_only_existing_names(name):
    assert getattr(models, name).__module__.startswith("targetry.models")


@each_case(
    "one, other",
    [
        ("MboxRequest", "RequestDetails"),
        ("ViewRequest", "RequestDetails"),
        ("Notification", "RequestDetails"),
        ("PrefetchMboxResponse", "MboxResponse"),
    ],
)
def test_no_model_is_an_instance_of_another(one, other):
    assert not isinstance(getattr(models, one)(), getattr(models, other))

from targetry.messages import MESSAGES, attribute_not_exist, property_token_mismatch


def test_texts_keep_the_spaces_that_callers_match_on() -> None:
    assert (
        "Method.  Must be set to one of: hybrid,on-device,server-side"
        in MESSAGES["DECISIONING_METHOD_INVALID"]
    )
    assert [key for key, text in MESSAGES.items() if text.endswith(": ")] == [
        "MBOX_INVALID",
        "NOTIFICATION_INVALID",
    ]


def test_missing_attribute_is_named_with_its_mbox() -> None:
    assert attribute_not_exist("price", "home") == "Attribute 'price' does not exist for mbox 'home'"


def test_property_mismatch_names_both_tokens() -> None:
    expected = "The property token specified in the request 'a' does not match the one specified in the config 'None'."
    assert property_token_mismatch("a", None) == expected

"""OpenAPI description of OFREP 0.3 as the edge answers it, and cases made from it.

Two reasons are added to those of the protocol's schema, DEFAULT and STALE; arrays are values too,
and `errorDetails` and `variant` are always there.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

REASONS: Final = ["STATIC", "TARGETING_MATCH", "SPLIT", "UNKNOWN", "DEFAULT", "STALE"]
CODES: Final = ["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL"]
_TEXT: Final = {"type": "string"}
_METADATA: Final = {
    "type": "object",
    "additionalProperties": {"type": ["boolean", "string", "number"]},
}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


_FLAG: Final = _object(
    {"key": _TEXT, "reason": {"enum": REASONS}, "variant": _TEXT, "metadata": _METADATA},
    value={"type": ["boolean", "string", "number", "object", "array"]},
)
_FAILURE: Final = _object({"key": _TEXT, "errorCode": {"enum": CODES}, "errorDetails": _TEXT})
_NOT_FOUND: Final = _object({"key": _TEXT, "errorCode": {"enum": ["FLAG_NOT_FOUND"]}, "errorDetails": _TEXT})
_DETAILS: Final = _object({"errorDetails": _TEXT})
_STREAM: Final = _object(
    {"type": {"enum": ["sse"]}, "endpoint": _object({"requestUri": _TEXT})},
    inactivityDelaySec={"type": "integer", "minimum": 0},
)
_ALL_FLAGS: Final = _object(
    {
        "flags": {"type": "array", "items": {"oneOf": [_FLAG, _FAILURE]}},
        "metadata": _METADATA,
        "eventStreams": {"type": "array", "items": _STREAM},
    }
)
_CONTEXT: Final = {
    "type": "object",
    "properties": {
        "targetingKey": {"type": "string", "maxLength": 200},
        "url": _TEXT,
        "geo": {"type": "object"},
        "order": {"type": "object", "properties": {"id": _TEXT, "total": {"type": "number"}}},
        "customerIds": {},
        "profile": {"type": "object"},
    },
}
_BODY: Final = {
    "required": True,
    "content": {"application/json": {"schema": {"type": "object", "properties": {"context": _CONTEXT}}}},
}


def _response(schema: Any) -> dict[str, Any]:
    return {"description": "", "content": {"application/json": {"schema": schema}}}


_REJECTED: Final = {status: _response(_DETAILS) for status in ("401", "413", "415")}

DESCRIPTION: Final = {
    "openapi": "3.1.0",
    "info": {"title": "OFREP", "version": "0.3.0"},
    "paths": {
        "/ofrep/v1/evaluate/flags/{key}": {
            "post": {
                "parameters": [
                    {
                        "name": "key",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "minLength": 1},
                    }
                ],
                "requestBody": _BODY,
                "responses": {
                    "200": _response(_FLAG),
                    "400": _response(_FAILURE),
                    "404": _response(_NOT_FOUND),
                    **_REJECTED,
                },
            }
        },
        "/ofrep/v1/evaluate/flags": {
            "post": {
                "parameters": [{"name": "If-None-Match", "in": "header", "schema": _TEXT}],
                "requestBody": _BODY,
                "responses": {
                    "200": _response(_ALL_FLAGS),
                    "304": {"description": ""},
                    "400": _response(_object({"errorCode": {"enum": CODES}, "errorDetails": _TEXT})),
                    **_REJECTED,
                },
            }
        },
    },
}
ONE, ALL = DESCRIPTION["paths"]  # type: ignore[misc]

_CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@cache
def operation(path: str) -> Any:
    return schemathesis.openapi.from_dict(DESCRIPTION)[path]["POST"]


def cases(path: str, keys: list[str]) -> st.SearchStrategy[Any]:
    """Return requests that the description allows or forbids, some of them for these flags."""
    made = st.one_of(*(operation(path).as_strategy(generation_mode=mode) for mode in GenerationMode))
    return made if path == ALL else st.builds(_aimed, made, st.sampled_from([*keys, None, None]))


def _aimed(case: Any, key: str | None) -> Any:
    if key is not None:
        case.path_parameters = {"key": key}
    return case


def check(answer: Any, case: Any) -> None:
    """Raise for a response that the description does not allow, and for every 5xx."""
    case.validate_response(answer, checks=_CHECKS)

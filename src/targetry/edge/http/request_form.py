"""Form that a page of the edge posts."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.request_body import read_body

_MOST_FIELDS: Final = 10
_TIMEOUT_S: Final = 10.0


async def read_form(request: Request, limit: int) -> dict[str, str]:
    """Return the fields of a form; of several with one name the last.

    Args:
        request: The request.
        limit: Largest size of its body, in bytes.

    Raises:
        RequestRejected: 400, 408, 413 or 415.
    """
    body = await read_body(request.receive, dict(request.scope["headers"]), limit=limit, timeout_s=_TIMEOUT_S)
    try:
        text = body.decode("utf-8", "replace")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise RequestRejected(400, f"the form has more than {_MOST_FIELDS} fields") from None

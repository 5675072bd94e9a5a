"""OpenFeature's transaction context of a request, from its visitor."""

from __future__ import annotations

import msgspec

from targetry._runtime.lazy_import import importing_extra
from targetry.web.consent import Consent
from targetry.web.visit import Visit

with importing_extra("openfeature"):
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.transaction_context import ContextVarsTransactionContextPropagator

    from openfeature import api


def set_context(visit: Visit) -> EvaluationContext | None:
    """Set the transaction context to a visitor, and return the previous one.

    The propagator is set first, if the application has set none. A visitor who has not agreed to it
    is not named: None is returned then, and nothing is set.
    """
    if visit.consent is not Consent.GRANTED:
        return None
    visit.use()
    before = api.get_transaction_context()
    context = _context(visit)
    api.set_transaction_context(context)
    if api.get_transaction_context() is not context:
        api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
        api.set_transaction_context(context)
    return before


def reset_context(before: EvaluationContext) -> None:
    """Set the transaction context back."""
    api.set_transaction_context(before)


def _context(visit: Visit) -> EvaluationContext:
    ids, context = visit.ids, visit.context(to_api=False)
    address, hints = context.address, context.client_hints
    attributes = {
        "tntId": ids.tnt_id,
        "marketingCloudVisitorId": ids.ecid,
        "sessionId": ids.session_id,
        "userAgent": context.user_agent,
        "clientHints": None if hints is None else msgspec.json.decode(hints.to_json()),
        "url": None if address is None else address.url,
        "referringUrl": None if address is None else address.referring_url,
    }
    given = {name: value for name, value in attributes.items() if value is not None}
    return EvaluationContext(ids.ecid or ids.tnt_id, given)

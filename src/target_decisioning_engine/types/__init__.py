"""What goes into the engine and comes out of it."""

from target_decisioning_engine.types import decision_provider_response as decision_provider_response
from target_decisioning_engine.types import decisioning_artifact as decisioning_artifact
from target_decisioning_engine.types import decisioning_config as decisioning_config
from target_decisioning_engine.types import decisioning_context as decisioning_context
from target_decisioning_engine.types import target_delivery_request as target_delivery_request

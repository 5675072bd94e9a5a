"""Hook that records what the Delivery API decides for an application.

recorder = RequestRecorder("requests.jsonl", share=0.01)
client = TargetClient.create(client="acme", organization_id="…", hooks=[recorder])
"""

from __future__ import annotations

import os
import time

from targetry.hooks import CallEnded, Hook
from targetry.models import DecisioningMethod
from targetry.recording.log import MAX_BYTES, RequestLog


class RequestRecorder(Hook):
    """Hook that records what the Delivery API decides in `get_offers`.

    Attributes:
        log: The log, with its counts.

    Args:
        path: As of `RequestLog`.
        share: As of `RequestLog`.
        max_bytes: As of `RequestLog`.
        hash_ids: As of `RequestLog`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        share: float = 0.01,
        max_bytes: int = MAX_BYTES,
        hash_ids: bool = False,
    ) -> None:
        self.log = RequestLog(path, share=share, max_bytes=max_bytes, hash_ids=hash_ids)

    def after_decision(self, call: CallEnded) -> None:
        """Record a call of `get_offers` that the Delivery API decided."""
        result = call.result
        if call.kind != "get_offers" or result is None or call.decided_by != DecisioningMethod.SERVER_SIDE:
            return
        request, response = result["request"], result["response"]
        self.log.record(int(time.time() * 1000), request, response.to_json().encode())

    def close(self) -> None:
        """Close the file; what is called afterwards is counted as dropped."""
        self.log.close()

"""Log of requests and responses, to compare decisions before a change.

Each line is a JSON object with `time` (epoch ms), `request` and `response`. `targetry edge
--record-requests` and `RequestRecorder` write such logs; `targetry shadow` reads them.
"""

from targetry.recording.log import RequestLog
from targetry.recording.recorder import RequestRecorder

__all__ = ["RequestLog", "RequestRecorder"]

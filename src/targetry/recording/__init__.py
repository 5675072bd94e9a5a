"""Log of requests and responses, to compare decisions before a change.

Each line is a JSON object with `time` (epoch ms), `request` and `response`. `targetry edge
--record-requests` and `RequestRecorder` write such logs; `targetry shadow` and `targetry replay`
read them.
"""

from targetry.recording.answers import AnswerError, Answers, ArtifactAnswers, EdgeAnswers, UnreachableError
from targetry.recording.log import RequestLog
from targetry.recording.recorder import RequestRecorder
from targetry.recording.replay import Replay, ReplayDifference, ReplayLocation, replay

__all__ = [
    "AnswerError",
    "Answers",
    "ArtifactAnswers",
    "EdgeAnswers",
    "Replay",
    "ReplayDifference",
    "ReplayLocation",
    "RequestLog",
    "RequestRecorder",
    "UnreachableError",
    "replay",
]

"""The HTTP contract as pydantic models: what is accepted, what is answered, what ``/openapi.json`` says.

Requests are strict (a number is no string, ``"true"`` is not true), tolerant of unknown fields as the original is,
and take ``null`` for "not given".
"""

from gateway.api.schemas.calls import (
    CallDetail,
    CallList,
    CallView,
    DeliveryFailure,
    LiveCall,
    LiveTrack,
    Message,
    MessageList,
    Sender,
    StoredCall,
)
from gateway.api.schemas.common import (
    ErrorDetail,
    ErrorEnvelope,
    iso_utc,
)
from gateway.api.schemas.control import (
    AutotranscribeParams,
    Participants,
    ParticipantStatus,
    ParticipantView,
    StartStreamingRequest,
    StopStreamingRequest,
    StreamingResult,
    StreamUrl,
    SummaryView,
    TrackMap,
    TwilioParams,
)
from gateway.api.schemas.service import (
    HealthCheck,
    Liveness,
    Readiness,
)

__all__ = [
    "AutotranscribeParams",
    "CallDetail",
    "CallList",
    "CallView",
    "DeliveryFailure",
    "ErrorDetail",
    "ErrorEnvelope",
    "HealthCheck",
    "LiveCall",
    "LiveTrack",
    "Liveness",
    "Message",
    "MessageList",
    "ParticipantStatus",
    "ParticipantView",
    "Participants",
    "Readiness",
    "Sender",
    "StartStreamingRequest",
    "StopStreamingRequest",
    "StoredCall",
    "StreamUrl",
    "StreamingResult",
    "SummaryView",
    "TrackMap",
    "TwilioParams",
    "iso_utc",
]

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
from gateway.api.schemas.configuration import (
    CustomVocabulary,
    CustomVocabularyList,
    EntityPolicies,
    NewCustomVocabulary,
    PolicyChanges,
    RedactionEntity,
    RedactionEntityChange,
    RedactionEntityList,
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
    "CustomVocabulary",
    "CustomVocabularyList",
    "DeliveryFailure",
    "EntityPolicies",
    "ErrorDetail",
    "ErrorEnvelope",
    "HealthCheck",
    "LiveCall",
    "LiveTrack",
    "Liveness",
    "Message",
    "MessageList",
    "NewCustomVocabulary",
    "ParticipantStatus",
    "ParticipantView",
    "Participants",
    "PolicyChanges",
    "Readiness",
    "RedactionEntity",
    "RedactionEntityChange",
    "RedactionEntityList",
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

"""Prometheus metrics, all in one place so that ``docs/operating.md`` can list them.

Labels never hold text, tokens, call ids or anything else that grows with the number of calls.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

__all__ = ["REGISTRY"]

REGISTRY = CollectorRegistry()

# process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds and others, read when they are asked for.
ProcessCollector(registry=REGISTRY)

_LATENCY = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 5.0)

# Front door
SOCKETS = Gauge("gateway_sockets", "Media sockets open", registry=REGISTRY)
UPGRADES = Counter("gateway_upgrades_total", "Media upgrades by result", ["result"], registry=REGISTRY)
TLS_FAILED = Counter("gateway_tls_failed_total", "TLS handshakes that failed", registry=REGISTRY)
HTTP_REQUESTS = Counter("gateway_http_requests_total", "API requests", ["route", "status"], registry=REGISTRY)
HTTP_SECONDS = Histogram("gateway_http_request_seconds", "Time to answer", ["route"], registry=REGISTRY)

# Media plane
MESSAGES = Counter("gateway_wire_messages_total", "WebSocket messages read", registry=REGISTRY)
WIRE_BYTES = Counter("gateway_wire_bytes_total", "Bytes read from media sockets", registry=REGISTRY)
WIRE_SKIPPED = Counter("gateway_wire_skipped_total", "Messages skipped, by reason", ["reason"], registry=REGISTRY)
WIRE_CLOSED = Counter("gateway_wire_closed_total", "Media sockets closed by us, by code", ["code"], registry=REGISTRY)
TICK_SECONDS = Histogram(
    "gateway_tick_seconds",
    "Wall time of a media plane tick",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25),
    registry=REGISTRY,
)
ROUND_SECONDS = Histogram(
    "gateway_round_seconds",
    "Time from one reading of all media sockets to the next",
    buckets=(0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0),
    registry=REGISTRY,
)

# Calls
CALLS = Gauge("gateway_calls", "Live calls by state", ["state"], registry=REGISTRY)
STARTS = Counter("gateway_starts_total", "Start requests by result code", ["code"], registry=REGISTRY)
STOPS = Counter("gateway_stops_total", "Stop requests by result code", ["code"], registry=REGISTRY)

# Speech
OPEN_TRACKS = Gauge("gateway_open_tracks", "Tracks being transcribed", registry=REGISTRY)
VAD_FRAMES = Counter("gateway_vad_frames_total", "Frames judged, by who", ["by"], registry=REGISTRY)
VAD_SECONDS = Counter("gateway_vad_seconds_total", "Time in the voice activity model", registry=REGISTRY)
UTTERANCES = Counter("gateway_utterances_total", "Utterances ended, by reason", ["reason"], registry=REGISTRY)
TRACKS_FAILED = Counter("gateway_tracks_failed_total", "Tracks given up by a bug of ours", registry=REGISTRY)
AUDIO_DROPPED = Counter("gateway_audio_dropped_samples_total", "Samples lost to a full track queue", registry=REGISTRY)
ASR_QUEUE = Gauge("gateway_asr_queue", "Decodes waiting", ["kind"], registry=REGISTRY)
ASR_BATCH = Histogram(
    "gateway_asr_batch_size", "Decodes done together", buckets=(1, 2, 4, 8, 16, 32), registry=REGISTRY
)
ASR_SECONDS = Histogram("gateway_asr_step_seconds", "Time of one batch", registry=REGISTRY)
ASR_WAIT_SECONDS = Histogram("gateway_asr_final_seconds", "Endpoint to final text", buckets=_LATENCY, registry=REGISTRY)
ASR_ANSWER_SECONDS = Histogram(
    "gateway_asr_answer_seconds", "Pause to the text that says how long to wait", buckets=_LATENCY, registry=REGISTRY
)
ASR_SPECULATED = Counter(
    "gateway_asr_speculated_total", "Decodes begun at a pause, by what became of them", ["result"], registry=REGISTRY
)
ASR_SECOND = Counter(
    "gateway_asr_second_hearings_total", "Doubtful decodes that were to be heard again", ["result"], registry=REGISTRY
)
ASR_SUPPRESSED = Counter(
    "gateway_asr_suppressed_total", "Texts of what was no speech, by what gave them away", ["reason"], registry=REGISTRY
)
PARTIALS = Counter(
    "gateway_partials_total", "Decodes of open utterances for who reads along, by result", ["result"], registry=REGISTRY
)
ASR_SHED = Counter("gateway_asr_shed_total", "Decodes given up", ["kind"], registry=REGISTRY)
ASR_FAILED = Counter("gateway_asr_failed_total", "Decodes that raised", registry=REGISTRY)

# Delivery
TRANSCRIPTS = Counter("gateway_transcripts_total", "Utterances with text", ["role"], registry=REGISTRY)
LATE_TRANSCRIPTS = Counter("gateway_late_transcripts_total", "Utterances delivered after later ones", registry=REGISTRY)
FORMATTING_FAILED = Counter("gateway_formatting_failed_total", "Utterances left as they were spoken", registry=REGISTRY)
REDACTION_FAILED = Counter("gateway_redaction_failed_total", "Utterances masked entirely", registry=REGISTRY)
REVISED = Counter(
    "gateway_redaction_revised_total", "Stored messages redacted anew for what came later", registry=REGISTRY
)
DELIVERY_SECONDS = Histogram(
    "gateway_delivery_seconds", "Endpoint to webhook answer", buckets=_LATENCY, registry=REGISTRY
)
LIVE_STREAMS = Gauge("gateway_live_streams", "Live views open", registry=REGISTRY)
LIVE_DROPPED = Counter(
    "gateway_live_dropped_total", "Events that a slow reader of a live view missed", ["kind"], registry=REGISTRY
)
WEBHOOK_POSTS = Counter("gateway_webhook_posts_total", "Posts by result", ["result"], registry=REGISTRY)
WEBHOOK_DROPPED = Counter("gateway_webhook_dropped_total", "Posts dropped, by reason", ["reason"], registry=REGISTRY)
WEBHOOK_QUEUE = Gauge("gateway_webhook_queue", "Posts waiting", registry=REGISTRY)
WEBHOOK_TOKENS = Counter(
    "gateway_webhook_tokens_total", "Access tokens asked for (OAuth2), by result", ["result"], registry=REGISTRY
)
WEBHOOK_RETRIES = Counter(
    "gateway_webhook_retries_total", "Posts that are to be tried again, by what failed", ["reason"], registry=REGISTRY
)
WEBHOOK_OUTBOX = Gauge("gateway_webhook_outbox", "Posts pending in the database (at_least_once)", registry=REGISTRY)
WEBHOOK_OUTBOX_SECONDS = Gauge(
    "gateway_webhook_outbox_oldest_seconds", "How long the oldest of them has been pending", registry=REGISTRY
)
STORE_SECONDS = Histogram("gateway_store_commit_seconds", "Time of one commit", registry=REGISTRY)
STORE_QUEUE = Gauge("gateway_store_queue", "Rows waiting to be committed", registry=REGISTRY)
STORE_FAILED = Counter("gateway_store_failed_total", "Commits that failed", registry=REGISTRY)
STORE_DROPPED = Counter("gateway_store_dropped_total", "Rows lost to a full queue", registry=REGISTRY)

# Feeds
FEEDS_BUILT = Counter(
    "gateway_feeds_built_total", "Days of feeds put in place, a format each", ["feed"], registry=REGISTRY
)
FEED_ROWS = Counter("gateway_feed_rows_total", "Rows made for feeds", ["feed"], registry=REGISTRY)
FEEDS_FAILED = Counter("gateway_feeds_failed_total", "Builds that failed and are tried again", registry=REGISTRY)
FEED_DAYS_MISSING = Gauge(
    "gateway_feed_days_missing", "Days that are due and not yet built, of all accounts", registry=REGISTRY
)

# Logs
LOG_DROPPED = Counter("gateway_log_dropped_total", "Log lines lost: nobody reads them fast enough", registry=REGISTRY)

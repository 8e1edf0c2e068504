from __future__ import annotations

import pytest

from gateway._native import track
from gateway.calls.call import Call, Stream, Tally, summarise
from gateway.calls.model import CallState, StartRequest, Status, Summary
from gateway.participants import Role, Track

REQUEST = StartRequest("CA1", "customer-7", "agent-9")


def call_with(*tracks: Track) -> tuple[Call, Stream]:
    call = Call("account", "CA1", 1)
    stream = Stream("MZ1", {name: track.Track() for name in tracks or tuple(Track)})
    call.attach(stream)
    return call, stream


def media(stream: Stream, name: Track, timestamp: int, milliseconds: int, now_ms: int) -> None:
    stream.tracks[name].place(timestamp, b"\xff" * (8 * milliseconds), now_ms)


def test_summary_counts_as_the_documents_do() -> None:
    assert summarise(Tally(83_420 * 8, 2)) == Summary(1_334_720, 83_420, 84, 2)
    assert summarise(Tally()) == Summary(0, 0, 0, 0)


def test_zero_is_the_newest_media_when_the_first_start_is_accepted() -> None:
    call, stream = call_with()
    media(stream, Track.INBOUND, 100, 2000, 50_100)
    media(stream, Track.OUTBOUND, 100, 1500, 50_100)
    call.begin(REQUEST)
    assert call.offset_ms(stream, 2100 * 8) == 0
    assert call.offset_ms(stream, 3100 * 8) == 1000
    assert call.offset_ms(stream, 1000 * 8) == 0


def test_zero_is_the_first_media_if_there_was_none_at_the_start() -> None:
    call, stream = call_with()
    call.begin(REQUEST)
    media(stream, Track.INBOUND, 140, 20, 9000)
    media(stream, Track.OUTBOUND, 160, 20, 9020)
    assert call.offset_ms(stream, 1140 * 8) == 1000


def test_zero_is_the_first_media_of_any_stream() -> None:
    call, inbound = call_with(Track.INBOUND)
    outbound = Stream("MZ2", {Track.OUTBOUND: track.Track()})
    call.attach(outbound)
    call.begin(REQUEST)
    media(inbound, Track.INBOUND, 100, 20, 9000)
    media(outbound, Track.OUTBOUND, 100, 20, 9500)
    assert call.offset_ms(outbound, 100 * 8) == 500
    assert call.offset_ms(inbound, 100 * 8) == 0


def test_the_clock_runs_on_over_pauses_and_later_streams() -> None:
    call, first = call_with()
    media(first, Track.INBOUND, 100, 1000, 50_100)
    call.begin(REQUEST)  # zero: stream time 1100, which is 51 100 on the wall
    call.detach(first)
    second = Stream("MZ2", {name: track.Track() for name in Track})
    call.attach(second)
    media(second, Track.INBOUND, 120, 20, 61_120)  # its own zero is 61 000 on the wall
    call.begin(REQUEST)
    assert call.offset_ms(second, 120 * 8) == 10_020


def test_a_young_stream_whose_anchor_settles_keeps_its_own_offsets() -> None:
    call, stream = call_with()
    media(stream, Track.INBOUND, 100, 20, 50_180)  # 80 ms late: the anchor will fall
    call.begin(REQUEST)
    before = call.offset_ms(stream, 620 * 8)
    media(stream, Track.INBOUND, 120, 20, 50_120)
    assert call.offset_ms(stream, 620 * 8) == before == 500


def test_streams_of_one_track_each_share_the_clock() -> None:
    call, inbound = call_with(Track.INBOUND)
    media(inbound, Track.INBOUND, 100, 1000, 50_100)
    call.begin(REQUEST)  # zero at 51 100 on the wall
    outbound = Stream("MZ2", {Track.OUTBOUND: track.Track()})
    call.attach(outbound)
    media(outbound, Track.OUTBOUND, 40, 20, 52_040)
    assert call.displaced_by({Track.OUTBOUND}) == [outbound]
    assert call.owner(Track.INBOUND) is inbound
    assert call.offset_ms(outbound, 240 * 8) == 1140


def test_stream_ids_last_over_stop_and_resume_but_not_over_a_change_of_agent() -> None:
    call, _ = call_with()
    call.begin(REQUEST)
    before = call.participants()
    call.state = CallState.PAUSED
    call.begin(REQUEST)
    assert call.participants() == before
    call.begin(StartRequest("CA1", "customer-7", "agent-10"))
    after = call.participants()
    assert after[Role.CUSTOMER] == before[Role.CUSTOMER]
    assert after[Role.AGENT].stream_id != before[Role.AGENT].stream_id


def test_track_map_says_who_speaks() -> None:
    call, _ = call_with()
    assert call.role_of(Track.INBOUND) is Role.CUSTOMER
    swapped = {Track.INBOUND: Role.AGENT, Track.OUTBOUND: Role.CUSTOMER}
    call.begin(StartRequest("CA1", "c", "a", track_map=swapped))
    assert (call.role_of(Track.INBOUND), call.role_of(Track.OUTBOUND)) == (Role.AGENT, Role.CUSTOMER)
    assert (call.external_id(Role.CUSTOMER), call.external_id(Role.AGENT)) == ("c", "a")


def test_a_start_begins_new_counts() -> None:
    call, _ = call_with()
    call.begin(REQUEST)
    call.tally(Role.AGENT).samples = 8000
    assert call.participants(summary=True)[Role.AGENT].summary == Summary(16_000, 1000, 1, 0)
    call.begin(REQUEST)
    assert call.participants(summary=True)[Role.AGENT].summary == Summary(0, 0, 0, 0)


def test_a_later_stream_brings_a_completed_call_back_gated() -> None:
    call, stream = call_with()
    call.detach(stream)
    call.state = CallState.COMPLETED
    call.attach(Stream("MZ2", {Track.INBOUND: track.Track()}))
    assert call.state is CallState.GATED


@pytest.mark.parametrize("checksums", [False, True])
def test_snapshot(checksums: bool) -> None:
    call, _ = call_with()
    stream = Stream("MZ2", {Track.INBOUND: track.Track(checksum=checksums)}, checksums=checksums)
    call.attach(stream)
    stream.tracks[Track.INBOUND].open_gate()
    media(stream, Track.INBOUND, 100, 40, 1000)
    shown = call.snapshot().tracks[-1]
    assert (shown.received_ms, shown.samples, shown.filled_ms) == (40, 320, 0)
    assert (shown.checksum is not None) is checksums
    assert Status.OK.description == "OK"

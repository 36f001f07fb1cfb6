"""Settings of the group engine: the numbers it obeys, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from zactor.kernel import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times in ms, the rest counts; the reasons stand in kernel/limits.py. Alike at all nodes."""

    heartbeat_ms: int = limits.GROUP_HEARTBEAT_MS
    heartbeat_ms_per_node: int = limits.GROUP_HEARTBEAT_MS_PER_NODE
    heartbeat_gap_ms: int = limits.GROUP_HEARTBEAT_GAP_MS
    silence_ms_min: int = limits.GROUP_SILENCE_MS_MIN
    silence_ms_max: int = limits.GROUP_SILENCE_MS_MAX
    stuck_ms: int = limits.GROUP_STUCK_MS
    awaited_ms: int = limits.GROUP_AWAITED_MS
    silence_margin_ms: int = limits.GROUP_SILENCE_MARGIN_MS
    late_ms: int = limits.GROUP_LATE_MS
    hold_down_ms: int = limits.GROUP_HOLD_DOWN_MS
    hold_down_ms_max: int = limits.GROUP_HOLD_DOWN_MS_MAX
    forgive_ms: int = limits.GROUP_FORGIVE_MS
    peers_max: int = limits.GROUP_PEERS_MAX
    attempt_ms: int = limits.GROUP_ATTEMPT_MS
    recover_ms: int = limits.GROUP_RECOVER_MS
    alone_ms: int = limits.GROUP_ALONE_MS
    settle_ms: int = limits.GROUP_SETTLE_MS
    settle_quiet_ms: int = limits.GROUP_SETTLE_QUIET_MS
    follow_ms: int = limits.GROUP_FOLLOW_MS
    view_members_max: int = limits.GROUP_VIEW_MEMBERS_MAX
    tickets_max: int = limits.GROUP_TICKETS_MAX
    packet_messages: int = limits.GROUP_PACKET_MESSAGES
    packet_bytes: int = limits.GROUP_PACKET_BYTES
    parcel_messages: int = limits.GROUP_PARCEL_MESSAGES
    parcel_bytes: int = limits.GROUP_PARCEL_BYTES
    window_messages: int = limits.GROUP_WINDOW_MESSAGES
    window_bytes: int = limits.GROUP_WINDOW_BYTES
    queue_soft: int = limits.GROUP_QUEUE_SOFT
    queue_soft_bytes: int = limits.GROUP_QUEUE_SOFT_BYTES
    queue_hard: int = limits.GROUP_QUEUE_HARD
    queue_hard_bytes: int = limits.GROUP_QUEUE_HARD_BYTES
    backlog_messages: int = limits.GROUP_BACKLOG_MESSAGES
    backlog_bytes: int = limits.GROUP_BACKLOG_BYTES
    backlog_all_messages: int = limits.GROUP_BACKLOG_ALL_MESSAGES
    backlog_all_bytes: int = limits.GROUP_BACKLOG_ALL_BYTES
    backlog_share_messages: int = limits.GROUP_BACKLOG_SHARE_MESSAGES
    backlog_share_bytes: int = limits.GROUP_BACKLOG_SHARE_BYTES
    stall_ms: int = limits.GROUP_STALL_MS
    ack_messages: int = limits.GROUP_ACK_MESSAGES
    ack_delay_ms: int = limits.GROUP_ACK_DELAY_MS
    ack_direct_members_max: int = limits.GROUP_ACK_DIRECT_MEMBERS_MAX
    want_ms: int = limits.GROUP_WANT_MS
    want_messages_max: int = limits.GROUP_WANT_MESSAGES_MAX
    early_messages_max: int = limits.GROUP_EARLY_MESSAGES_MAX
    repeats_seen: int = limits.GROUP_REPEATS_SEEN
    name_chars_max: int = limits.GROUP_NAME_CHARS_MAX
    destinations_max: int = limits.GROUP_DESTINATIONS_MAX
    sessions_max: int = limits.GROUP_SESSIONS_MAX
    joined_max: int = limits.GROUP_JOINED_MAX
    memberships_max: int = limits.GROUP_MEMBERSHIPS_MAX
    payload_bytes_max: int = limits.GROUP_PAYLOAD_BYTES_MAX

    def __post_init__(self) -> None:
        assert self.ack_messages <= self.window_messages, "or a window would wait for the delay"
        assert self.packet_messages <= self.window_messages, "a window holds a packet"
        assert self.heartbeat_gap_ms < self.heartbeat_ms, "a heartbeat must be able to be due"
        assert self.silence_ms_max <= self.stuck_ms, "a living link is a reason for more patience"
        assert self.queue_soft <= self.queue_hard, "pause before refusing"
        assert self.queue_soft_bytes <= self.queue_hard_bytes, "pause before refusing"

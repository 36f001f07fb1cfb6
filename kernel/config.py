"""Every limit and every time in one place, with its unit and its reason.

Reaching a limit is an error or a policy, never silence.
"""

from __future__ import annotations

# -- ports -----------------------------------------------------------------------------------
NODE_PORT = 4810  # the first a node tries; the next free one upward on loopback
NODE_PORTS_TRIED = 200

# -- frames ----------------------------------------------------------------------------------
FRAME_BYTES_MAX = 2 << 20  # ZMQ_MAXMSGSIZE: closes the connection, also before authentication
BATCH_ITEMS_MAX = 512  # items in one frame: beyond it decoding stalls the turn (~0.3 ms)
BATCH_BYTES_MAX = 256 << 10  # bytes of items in one frame; a single larger item goes alone
PART_BYTES_MAX = 1 << 20  # one part of a long buffer; stays below FRAME_BYTES_MAX
INLINE_BYTES_MAX = 512 << 10  # a payload longer than this travels as parts
BUFFER_BYTES_MIN = 64 << 10  # a pickle-5 buffer this long leaves the pickle and isn't copied
MESSAGE_BYTES_MAX = 256 << 20  # arguments of one message: beyond it an error at the sender's line
BUFFERS_MAX = 1024  # out-of-band buffers of one message

# -- links -----------------------------------------------------------------------------------
LINK_WINDOW_ITEMS = 16_384  # credited items sent and not yet handled by the other side
LINK_GRANT_ITEMS = 1_024  # the receiver grants credits back in lots of this size
LINK_QUEUE_SOFT_ITEMS = 32_768  # beyond it senders wait between messages
LINK_QUEUE_HARD_ITEMS = 1_000_000  # beyond it MailboxFull at the sender's line
LINK_QUEUE_HARD_BYTES = 512 << 20
LINK_RESEND_MS = 250  # no acknowledgement for this long: ask the peer where it stands
LINK_ACK_DELAY_MS = 5  # an acknowledgement with nothing to ride on leaves after this long

# -- mailboxes -------------------------------------------------------------------------------
MAILBOX_MESSAGES_MAX = 10_000  # default capacity of an actor's mailbox
ACTION_WARNING_S = 1.0  # an action that holds the shared loop for longer is named in a warning
TURN_MESSAGES_MAX = 256  # messages one actor handles before the next has its turn

# -- liveness --------------------------------------------------------------------------------
HEARTBEAT_MS = 100  # from the kernel's own loop
SILENCE_MS = 600  # no heartbeat and no frame for this long: the node counts as dead
HANDSHAKE_MS = 500  # ZMQ_HANDSHAKE_IVL: who hasn't authenticated by then is cut off
HELLO_MS = 2_000  # a HELLO without an answer for this long has failed
DISCOVERY_MS = 200  # how often run/ is looked at while a node isn't connected to all in it
LISTEN_BACKLOG = 1024

# -- door ------------------------------------------------------------------------------------
DOOR_REQUESTS_MAX = 1_024  # requests of one client under way at once
DOOR_CLIENTS_MAX = 256
ANSWER_BYTES_MAX = 1 << 20  # one answer; longer listings come in pages

# -- what is kept ----------------------------------------------------------------------------
DEAD_LETTERS_KEPT = 10_000
EVENTS_KEPT = 10_000
TRANSACTION_IDS_KEPT = 10_000  # to drop a transaction that is submitted twice
HISTORY_KEPT = 10_000  # changes a joiner may get as a log; older ones come as a snapshot

# -- bundles ---------------------------------------------------------------------------------
BUNDLE_BYTES_MAX = 64 << 20
BUNDLE_FILES_MAX = 5_000

"""Every limit and every time in one place, with its unit and its reason.

Reaching a limit is an error or a policy, never silence.
"""

from __future__ import annotations

# -- ports -----------------------------------------------------------------------------------
NODE_PORT = 4810  # the first a node tries; the next free one upward on loopback
NODE_PORTS_TRIED = 200

# -- frames ----------------------------------------------------------------------------------
FRAME_BYTES_MAX = 2 << 20  # ZMQ_MAXMSGSIZE: closes the connection, also before authentication
BATCH_ITEMS_MAX = 512  # items in one frame, by weight: beyond it decoding stalls the turn (~0.3 ms)
BATCH_BYTES_MAX = 256 << 10  # bytes of items in one frame; a single larger item goes alone
FRAME_COPIED_BYTES = 64 << 10  # a frame up to this costs less copied than shared with libzmq
PART_BYTES_MAX = 1 << 20  # one part of a long buffer; stays below FRAME_BYTES_MAX
INLINE_BYTES_MAX = 512 << 10  # a payload longer than this travels as parts
BUFFER_BYTES_MIN = 64 << 10  # a pickle-5 buffer this long leaves the pickle and isn't copied
ARGUMENTS_BYTES_MAX = 1 << 10  # of plain arguments that travel as such; longer ones as a payload
MESSAGE_BYTES_MAX = 256 << 20  # arguments of one message: beyond it an error at the sender's line
BUFFERS_MAX = 1024  # out-of-band buffers of one message

# -- memory that nodes of one machine share --------------------------------------------------
SHARED_BYTES_MIN = 256 << 10  # what is shorter costs less sent than lent
SHARED_BYTES_MAX = 256 << 20  # of a node's slots; while all are in use, the rest is sent
SHARED_SLOTS_MAX = 64  # a descriptor each, and one more at each that maps it
SHARED_IDLE_S = 10.0  # a slot that nobody has used for this long is given back to the machine

# -- links -----------------------------------------------------------------------------------
LINK_WINDOW_ITEMS = 16_384  # credited items sent and not yet handled by the other side
LINK_GRANT_ITEMS = 1_024  # the receiver grants credits back in lots of this size
LINK_FLIGHT_BYTES_MAX = 32 << 20  # unacknowledged: ~80 ms of an encrypted wire; more waits here
LINK_QUEUE_SOFT_ITEMS = 8_192  # beyond it senders wait between messages: 20 ms at 400,000/s
LINK_QUEUE_HARD_ITEMS = 1_000_000  # beyond it MailboxFull at the sender's line
LINK_QUEUE_HARD_BYTES = 512 << 20
LINK_PARCEL_SIGNALS = 256  # packed into one item; `which` has a byte for each, so no more
LINK_PARCEL_BYTES = 64 << 10  # of its payloads; a longer one goes by itself
LINK_RESEND_MS = 250  # no acknowledgement for this long: ask the peer where it stands
LINK_REFUSED_MAX = 1_000  # items of a peer that can't be decoded: who sends more isn't believed
LINK_ACK_DELAY_MS = 5  # an acknowledgement with nothing to ride on leaves after this long

# -- mailboxes -------------------------------------------------------------------------------
MAILBOX_MESSAGES_MAX = 10_000  # default capacity of an actor's mailbox
MAILBOX_DOOR_BYTES_MAX = 32 << 20  # of clients' messages in one mailbox: no credit slows them
MAILBOX_DOOR_BYTES_EACH = 256  # what one costs beside its payload
MAILBOX_MESSAGES_HARD = 1_000_000  # under "block" one action may overshoot up to here
ACTION_WARNING_S = 0.7  # an action that holds the shared loop is named a look later: within 1 s
STOP_HOOK_S = 10.0  # an on_stop that runs on for this long is cancelled: stop must have an end
STOP_CANCEL_S = 1.0  # what it may do about that; then the actor is down without it
PROCESS_END_S = 2.0  # what actors left running holds the end of a node's process for so long
RUNTIME_CLOSE_S = 2.0  # how long a stopping node waits for its actors' on_stop
OWN_TIMERS_MAX = 10_000  # of one actor: `every` and `after`
OWN_SIGNALS_MAX = 10_000  # names of them: each that was ever sent has a route
OWN_TASKS_MAX = 10_000  # of one actor: `spawn`
OWN_PERIOD_MIN_S = 0.001  # of `every`: more often is a loop, not a timer
OWN_DELAY_MAX_S = 10_000_000.0  # of a timer: a third of a year, which any clock can count
HELD_ITEMS_MAX = 100_000  # messages of one node to an actor that moves; then MailboxFull
MOVE_DRAIN_S = 10.0  # for what waits for an actor when it is to move; then it stays
MOVE_GO_S = 15.0  # an actor that has moved begins then, though its former node says nothing
MOVE_STATE_BYTES_MAX = 1_500_000  # of one that moves, encoded: one request between nodes
EXCHANGE_WAIT_S = 10.0  # an action that goes on for longer keeps its actor's former code
EXCHANGE_HOOK_S = 10.0  # an async state() or restore() of an exchange: then it is given up
EXCHANGE_START_S = 30.0  # the same of the new code's on_start, which may load much
ABANDON_S = 1.0  # an actor that is to end at once and doesn't is down without its action after this
PROCESS_FRAME_BYTES_MAX = MESSAGE_BYTES_MAX + (1 << 20)  # of its process: a message and its head
PROCESS_ASKS_MAX = 65_536  # of an actor in its own process under way; then MailboxFull
PROCESS_SAID_BYTES_KEPT = 16_384  # of what an actor's process printed …
PROCESS_SAID_CHARS_MAX = 1_000  # … and so much of it stands in why it ended
ASK_CYCLE_LOOK_S = 0.02  # how often it is looked whether asks wait for each other
ASK_CYCLE_PROBE_S = 0.3  # … and how often of one that waits on and on, after three such looks
ASK_CYCLE_LONGEST = 64  # actors in one: beyond it nobody looks
ASK_CYCLE_CHARS_MAX = 20_000  # of the words that name it
SHARED_LOOPS_MAX = 8  # one, and others while actions block it
TURN_MESSAGES_MAX = 256  # messages one actor handles before the next has its turn
TURN_SLICE_S = 200e-6  # after so long the shared loop looks at its timers and sockets
SEND_WITHIN_S = 0.001  # while shared actors go on and on, what they send leaves so often at least
KEEPER_LOOK_S = 0.005  # an action seen at two looks in a row holds the host: the keeper takes over
KEEPER_QUIET_LOOKS = 20  # looks at a sleeping host before the keeper sleeps until it is woken
KEEPER_SWITCH_S = 0.0005  # interpreter's switch interval while an action and the kernel compete
LONG_TURN_S = 0.05  # who ran actions for longer without a pause rests …
REST_SHARE = 0.05  # … for so much of that …
REST_S_MAX = 0.02  # … and no longer: some rounds of the kernel's loop
MUTED_POLL_S = 0.001  # how often a muted actor's port is looked at: ports don't call back
WATCH_PERIOD_S = 0.25  # how often the watchdog looks at the shared loop

# -- nodes -------------------------------------------------------------------------------------
NODE_LABELS_MAX = 32  # of one node: each is a fact

# -- signals that wait for a reactor that is away --------------------------------------------
HOLD_SIGNALS_DEFAULT = 1_000  # of a wire that says hold, and no number
HOLD_SIGNALS_MAX = 1_000_000  # of one wire: as many as a line takes (LINK_QUEUE_HARD_ITEMS)
HOLD_SIGNALS_BLOCKED = 10_000  # of one that blocks: what actions may emit before they are muted
HOLD_BYTES_EACH = 200  # what one costs beside its payload
HOLD_BYTES_MAX = 64 << 20  # at one node for one reactor, MailboxFull or a dead letter beyond
HOLD_BYTES_ALL_MAX = 256 << 20  # the same for all reactors
HOLD_LOOK_S = 1.0  # so often it is asked again of a reactor that takes nothing, and seems to run

# -- liveness --------------------------------------------------------------------------------
HOUSEKEEPING_MS = 100  # how often the kernel looks at what no event tells of
PROCESS_CHECK_MS = 600  # a TCP connect to a lost peer's door: no answer for so long says nothing
PROCESS_CHECKS_MS = 50  # how often a broken connection's other end is asked whether it lives
PEER_KEPT_S = 3_600  # a peer out of the view for so long is given up: it returns as a new life
HANDSHAKE_MS = 500  # ZMQ_HANDSHAKE_IVL: who hasn't authenticated by then is cut off
HELLO_MS = 2_000  # a HELLO without an answer for this long has failed
MEETINGS_MAX = 4  # how many doors a node that looks for others knocks at, at a time
DISCOVERY_MS = 200  # how often a node looks whether run/ names somebody whom it hasn't met, …
DISCOVERY_MS_MAX = 5_000  # … and at what stands in it, though the folder seems unchanged
LISTEN_BACKLOG = 1024

# -- sockets and keys ------------------------------------------------------------------------
ZMTP_HEARTBEAT_MS = 200  # libzmq's own on PUB/SUB, from its I/O thread: is the host there?
ZMTP_SILENCE_MS = 600  # a heartbeats' connection that carries nothing for this long is closed
STREAM_HEARTBEAT_MS = 1_000  # the same for links and clients; who is dead, heartbeats tell sooner
STREAM_SILENCE_MS = 10_000  # a whole frame must come through: 2 MiB at 210 kB/s
CONNECT_MS = 300  # a TCP connect without an answer (cable, firewall) is given up and repeated: one
# round trip, HANDSHAKE_MS allows for two; a healed network is noticed after so long
RECONNECT_MS = 20  # first retry of a lost connection; doubles …
RECONNECT_MS_MAX = 100  # … up to here
OPEN_FILES_MIN = 64  # of a node's process, which has some 45 open when it is alone
SOCKETS_MAX = 16_384  # of the context: DEALER, SUB and two monitors for each peer
LINK_SEND_FRAMES = 32  # frames libzmq holds for a peer; the Link machine holds the rest
UNREACHED_KEPT = 256  # pairs of nodes of which one says that it doesn't reach the other
LINK_UNREACHED_MS = 1_000  # a peer that was met isn't reached for so long: both are told why
LINK_ASIDE_MAX = 4  # connections to one peer that were dialled again and aren't closed yet
# Frames of one peer that libzmq holds here while our loop is stuck, or this process was stopped.
# They must never fill it, as HEARTBEATS_UNREAD: if the peer closes the connection meanwhile, our
# next heartbeat on it aborts the process. What a peer may send without an answer bounds the bytes
# (LINK_FLIGHT_BYTES_MAX, GROUP_WINDOW_BYTES); LINK_WINDOW_ITEMS and GROUP_WINDOW_MESSAGES, one in
# each frame, are 24,576.
LINK_RECEIVE_FRAMES = 32_768
CLIENT_FRAMES = 1_024  # frames libzmq holds in a client, either way
HEARTBEAT_BYTES_MAX = 64 << 10  # of one heartbeat; the sockets carry nothing else
HEARTBEATS_UNHEARD_MS = 1_000  # a peer's PUB isn't reached for so long: heartbeats go to doors too
HEARTBEATS_REST_MS = 40  # after heartbeats that told no news, those that come are left for so long
HEARTBEATS_HELD = 16  # a slow subscriber loses the older ones
# Heartbeats of one peer that wait here while our loop is stuck: 27 minutes of them. They must never
# fill it: a full queue stops libzmq's reading, its own heartbeats then break the connection, and
# the next read aborts the process (libzmq #3937, open in 4.3.5).
HEARTBEATS_UNREAD = 16_384
KEY_FILE_BYTES_MAX = 4_096
KEY_GRACE_MS = 250  # an unknown key waits so long for its introduction; below HANDSHAKE_MS
KEYS_WAITING_MAX = 1_024  # beyond it unknown keys are refused at once
ENDPOINT_CHARS_MAX = 300  # tcp://, a host's name of 253, a port
LOG_BURST_MS = 5_000  # refusals and failed handshakes: one line at once, then one for each of these
LOG_LINES_BURST = 10  # of one event that others cause, in LOG_BURST_MS; the others are counted
LOG_EVENTS_MAX = 1_024  # kinds of line that are counted at once
LOG_VALUE_CHARS_MAX = 10_000  # of one value in a line of the log
LOG_READER_MS = (
    100  # who reads a log and does so slowly is waited for, once; then lines are left out
)
PRINT_PART_MS = 200  # what is printed without an end of its line is seen after so long
LOG_TRACE_CHARS_MAX = 100_000  # of a traceback: RecursionError has 1,000 frames

# -- door ------------------------------------------------------------------------------------
# Of one client under way at once; each until its timeout, or until its client goes. There is no
# longest timeout: an ask may take as long as somebody waits for it.
DOOR_REQUESTS_MAX = 1_024
DOOR_REQUEST_BYTES_MAX = 32 << 20  # the same in bytes, of one client: an honest one sends half …
DOOR_REQUEST_BYTES_ALL_MAX = 256 << 20  # … and of all
CLIENT_REQUEST_BYTES = 16 << 20  # a client sends no long request while so much is under way
CLIENT_LONG_BYTES = 16 << 10  # of a long one; DOOR_REQUESTS_MAX shorter ones are as much
DOOR_REQUESTS_ALL_MAX = 16_384  # of all clients together, with changes that nobody waits for
DOOR_CLIENTS_MAX = 256
DOOR_SEND_FRAMES = 32  # answers libzmq holds for a client, of 1 MiB at most; the door keeps others
DOOR_UNREAD_BYTES_MAX = 8 << 20  # while more waits for a client, nothing that it asks is begun
DOOR_BACKLOG_BYTES_MAX = 256 << 20  # of all: then whoever has most loses its answers
DOOR_BACKLOG_MS = 30_000  # a client that reads nothing for so long loses its answers
ANSWER_BYTES_MAX = 1 << 20  # one answer; longer listings come in pages

# -- clients ---------------------------------------------------------------------------------
CLIENT_BACKLOG_MAX = 65_536  # requests that wait until fewer are under way; then MailboxFull
CLIENT_ARGUMENTS_BYTES_MAX = 1_900_000  # in one request, which is one frame; more go in pieces
DOOR_ARGUMENTS_MAX = 64  # calls of one client whose arguments are on their way in pieces
DOOR_ARGUMENTS_BYTES_ALL_MAX = 768 << 20  # of all clients; of one: MESSAGE_BYTES_MAX, and as much
# as it leaves for the others
DOOR_ARGUMENTS_IDLE_MS = 30_000  # none of their pieces came for so long: they go
DOOR_KNOWN_MAX = 16_384  # names in what a client says that it knows: all actors of a large node
DOOR_KNOWN_BYTES_EACH = 64  # what one of them costs beside its characters
CLIENT_REQUEST_S = 30.0  # default of every request's timeout
CLIENT_PROBE_MS = 2_000  # a door that is silent for this long after a knock is no door
CLIENT_KNOCKS_MAX = 2  # handshakes that may be cut off before a door counts as foreign

# -- clusters on this machine ----------------------------------------------------------------
START_S = 20.0  # a node process that has no door by then has failed; much, for busy machines
STOP_S = 5.0  # a node process that runs on after SIGTERM for this long is killed
RUN_POLL_MS = 5  # how often run/ is looked at while a node starts
START_NODE_S = 1.0  # … and so much longer for each node that starts beside it
MEET_POLL_MS = 10  # how often nodes are asked whom they see while a cluster starts

# -- what is kept ----------------------------------------------------------------------------
DEAD_LETTERS_KEPT = 10_000
FAILURES_KEPT = 1_000  # of actions; each may have a long text
EVENTS_KEPT = 10_000
EVENTS_OF_A_LIFE_MAX = 1_000_000_000  # numbers of a node's events grow over its lives too
AUTHOR_CHARS_MAX = 128  # of who makes a change: it is kept with each of its facts
TRANSACTION_IDS_KEPT = 10_000  # to drop a transaction that is submitted twice
HISTORY_KEPT = 10_000  # changes a joiner may get as a log; older ones come as a snapshot

# -- knowledge base --------------------------------------------------------------------------
TERM_CHARS_MAX = 1 << 20  # one term as text: its change must fit a frame
TERM_DEPTH_MAX = 100  # nesting of one term: reading and printing recurse
TERM_INTEGER_BITS_MAX = 8_192  # Python refuses to print integers of more than 4,300 digits
# Facts that one query or transaction looks at, and what large terms cost besides: ~1 s of work.
QUERY_STEPS_MAX = 300_000
QUERY_PARTS_A_STEP = 16  # parts of terms that cost as much as a fact: those of usual ones cost less
QUERY_TERM_PARTS_MAX = 10_000  # of one term, as its variables' values make it: handled in one go
QUERY_CHARS_MAX = 8_192  # of a query's text, which is read in one go (~10 ms)
QUERY_SORTED_AT_ONCE = 1_024  # facts: ~0.5 ms
QUERY_PAUSE_PARTS = 1_024  # of terms looked at between two pauses: ~0.5 ms
QUERY_SLICE_MS = 3  # after so long a node's queries give its loop back …
QUERY_REST_MS = 2  # … for so long
QUERY_LOOK_MS = 20  # how often it is looked whether those who ask have read their answers
QUERY_ROWS_AT_ONCE = 64  # made before another client's query has its turn
QUERY_ANSWER_BYTES_MAX = 32 << 20  # rows of one answer: 160,000 facts. Longer ones are refused
CHANGE_BYTES_MAX = (1 << 20) - 1_024  # one transaction, and what it moves: fits a group message
TRANSACTIONS_OPEN_MAX = 16_384  # submitted here and undecided; then MailboxFull
KB_PIECE_BYTES = 200 << 10  # a log or a snapshot travels in pieces of about this size
KB_QUICK_BYTES = 1 << 20  # who lacks no more is brought up before the primary forms (~20 ms)
KB_EPOCHS_AHEAD_MAX = 1 << 22  # of one member beyond all others: 48 days of a view each second. Who
# names a later one errs or lies; actors' numbers have room for twice as many
KB_EPOCHS_RECOVERED = (
    1 << 12
)  # by how much an operator's word raises the epoch: who was thought dead
# would have to make so many primaries unseen before two changes had one clock
STOPPED_AFTER_S = 10  # out of the primary, a node stops its actors that may run elsewhere …
SAFE_AFTER_S = 12  # … so these start there after its silence; the rest is for clocks and views
WISH_BYTES_MAX = 200 << 10  # what a file wants, as JSON: its change holds most of it twice
LOST_KEPT = 10_000  # actors that went with their nodes and are remembered; then the oldest go
LOST_ARGUMENTS_BYTES_MAX = (
    400 << 10
)  # of an actor's arguments: a change holds them twice when it is lost. Beyond, it is forgotten
SWEPT_AT_ONCE = 50  # actors, or wires, of one transaction about a node: some ms of requirements
KB_REFUSE_MS = 800  # what can't be ordered for so long is refused: NotPrimary within 1 s
KB_FLIGHT_MAX = 256  # own transactions sent and not delivered; more wait here

# -- bundles ---------------------------------------------------------------------------------
BUNDLE_BYTES_MAX = 64 << 20
BUNDLE_FILES_MAX = 5_000
BUNDLE_MANIFEST_BYTES_MAX = 2 << 20  # 5,000 entries of ~120 B, and room for requirements
BUNDLE_NAME_BYTES_MAX = 255  # path of one file in a bundle
FACT_ARGUMENTS_BYTES_MAX = 256 << 10  # of a constructor, in a fact; longer ones in a bundle
BUNDLE_KEPT_S = 24 * 3600  # what nobody needs is kept so long: somebody may just be declaring it
BUNDLE_SWEEP_S = 600.0  # between two looks for bundles that nobody needs
BUNDLE_WANTS_MAX = 500  # requirements that an author wrote down; beyond it they aren't told
ENVIRONMENT_MAKE_S = 600.0  # for pip, with what it builds; then it is killed
ENVIRONMENT_LOOK_S = 10.0  # who waits for one looks again; well below a request between nodes
ENVIRONMENTS_AT_ONCE = 2  # made by one node: each is a pip, which computes and loads
CLASS_LOAD_S = 60.0  # for users' code to be loaded where what it needs is
CLASS_SAID_BYTES_MAX = 4 << 20  # of what that prints, the contract of its class last
BUNDLE_PARTIALS_MAX = 16  # transfers begun and not finished; beyond it the oldest is dropped

# -- groups: who is there ---------------------------------------------------------------------
GROUP_HEARTBEAT_MS = 100  # up to 10 nodes; above, GROUP_HEARTBEAT_MS_PER_NODE for each of them
GROUP_HEARTBEAT_MS_PER_NODE = 10  # so that each hears 100 a second, however many there are
GROUP_HEARTBEAT_GAP_MS = 20  # a change is told at once, but never sooner after the last heartbeat
GROUP_SILENCE_MS_MIN = 500  # the adaptive timeout is clamped to this …
GROUP_SILENCE_MS_MAX = 2_000  # … and this
GROUP_STUCK_MS = 20_000  # host alive, loop silent: an action may hold the interpreter for long
GROUP_AWAITED_MS = 1_800  # … but not while the order of all waits for it: 2 s with the view change
GROUP_SILENCE_MARGIN_MS = 200  # added to what phi asks for: scheduling of a busy machine
GROUP_SILENCE_DEVIATIONS = 5.6  # phi 8: a heartbeat later than this has probability 10^-8
GROUP_DEVIATION_MS_MIN = 50  # a quiet network must not make the timeout tight
GROUP_LATE_MS = 50  # own ticks later than this move every deadline
GROUP_HOLD_DOWN_MS = 500  # steady contact before a peer that flapped is taken back; doubles …
GROUP_HOLD_DOWN_MS_MAX = 30_000  # … up to here
GROUP_FORGIVE_MS = 60_000  # alive for so long: its flaps are forgotten
GROUP_PEERS_MAX = 256  # peers the detector remembers; heartbeats of others are dropped

# -- groups: views ----------------------------------------------------------------------------
GROUP_ATTEMPT_MS = 400  # answers to a proposal; who is silent for longer is left out of the next
GROUP_RECOVER_MS = 5_000  # the same while something of a view change is on its way and nothing
# arrives: one packet on a line of 13 kB/s, which is the slowest that can be told from a dead one
GROUP_PIECE_BYTES = 16 << 10  # what is longer goes in pieces, each of which is seen to arrive
GROUP_ALONE_MS = 1_200  # a member is missing and nobody proposes: go on alone
GROUP_SETTLE_MS = 150  # newcomers are waited for: one heartbeat and a half makes one view of many
GROUP_SETTLE_QUIET_MS = 30  # the same where all heard hear each other: nobody is on the way
GROUP_FOLLOW_MS = 600  # a member that still follows a node we lost is waited for so long
GROUP_BALLOTS_AHEAD_MAX = 1 << 32  # beyond all that a node knows of: a view a ms for 49 days. Who
# names a later one errs or lies: followed, the last that a message can carry would soon be reached
GROUP_VIEW_MEMBERS_MAX = 128  # as Spread's

# -- groups: order and flow -------------------------------------------------------------------
GROUP_TICKETS_MAX = 256  # tickets in one grant: what one sender may leave open for the others
GROUP_PACKET_MESSAGES = 512  # that share a place: two parcels; the work for one is ~50 us
GROUP_PACKET_BYTES = 64 << 10  # of them; a single larger message goes alone
GROUP_PARCEL_MESSAGES = 256  # packed into one item: what a client asks for at least, so it has room
GROUP_PARCEL_BYTES = 64 << 10  # of the whole; a packet has no more
GROUP_WINDOW_MESSAGES = 8_192  # own messages beyond the stable line: 40 ms at 200,000/s
GROUP_WINDOW_BYTES = 8 << 20  # the same in bytes; 10 members hold at most 80 MiB for each other
GROUP_QUEUE_SOFT = 1_024  # messages waiting for credit: beyond it submitters are paused
GROUP_QUEUE_SOFT_BYTES = 16 << 20  # the same in bytes: two windows; more is only memory
GROUP_QUEUE_HARD = 65_536  # beyond it MailboxFull at the submitter's line
GROUP_QUEUE_HARD_BYTES = 256 << 20
GROUP_BACKLOG_MESSAGES = 4_096  # delivered to a session and not consumed: beyond it it is behind,
# until it is down to half; on top come a queue and a window of each node that sends to its groups
GROUP_BACKLOG_BYTES = 16 << 20  # the same in bytes: two windows
GROUP_BACKLOG_ALL_MESSAGES = 65_536  # the same of all sessions of a node: sixteen sleepers, and …
GROUP_BACKLOG_ALL_BYTES = 256 << 20  # … then a session with more than a share is behind too, until
# they are down to half together
GROUP_BACKLOG_SHARE_MESSAGES = 256  # a parcel: who reads well has fewer
GROUP_BACKLOG_SHARE_BYTES = 1 << 20  # the same in bytes: a message of the greatest length
GROUP_HELD_SOFT = 256  # messages of one session that are held: beyond it its actor is paused
GROUP_HELD_SOFT_BYTES = 4 << 20  # the same in bytes
GROUP_HELD_HARD = 65_536  # beyond it MailboxFull at its line; room for an answer to all that a
# session which is behind still has to read, from six nodes
GROUP_HELD_HARD_BYTES = 64 << 20  # the same in bytes
GROUP_HELD_ALL = 262_144  # of all sessions of a node together: MailboxFull, for who is held
GROUP_HELD_ALL_BYTES = 256 << 20  # the same in bytes
GROUP_STALL_MS = 30_000  # a member that acknowledges nothing for so long while we wait has failed
GROUP_ACTOR_STALL_MS = 20_000  # an actor that handles nothing while it is behind: nobody waits for
# it any more
GROUP_ACK_MESSAGES = 512  # so many arrivals are acknowledged at once: a sixteenth of a window
GROUP_ACK_DELAY_MS = 20  # fewer wait so long, unless a SAFE message waits for them
GROUP_ACK_DIRECT_MEMBERS_MAX = 8  # larger views acknowledge through the coordinator
GROUP_WANT_MS = 60  # a gap is asked for after this long, and again
GROUP_WANT_MESSAGES_MAX = 256  # asked for at once, of one sender
GROUP_WANT_FLUSH_MAX = (
    8  # questions of one member that are answered at once, in one attempt at a view
)
GROUP_WANT_VAIN_MAX = 64  # what was asked for so often, while nothing arrived, is sent again
GROUP_EARLY_MESSAGES_MAX = 8_192  # held for a view that this node hasn't installed yet
GROUP_ROUTES_KEPT = 4_096  # sets of destinations whose sessions are remembered; then begun anew
GROUP_ENDED_KEPT = 4_096  # groups that have become empty in this view, with their last index
GROUP_REPEATS_SEEN = 1_024  # numbers of UNRELIABLE messages remembered for each sender

# -- groups: names ----------------------------------------------------------------------------
GROUP_NAME_CHARS_MAX = 128
GROUP_DESTINATIONS_MAX = 100  # groups of one message
GROUP_SESSIONS_MAX = 4_096  # sessions of one node
GROUP_JOINED_MAX = 256  # groups of one session
GROUP_MEMBERSHIPS_MAX = 250_000  # of all groups; a new view moves the map, up to 80 MB of names
GROUP_PAYLOAD_BYTES_MAX = 1 << 20  # one message; stays below FRAME_BYTES_MAX

# -- groups: clients (Mailbox) ----------------------------------------------------------------
GROUP_POLLS_MAX = 2  # ReceiveGroup requests under way: one is answered while the next travels
GROUP_SENDS_MAX = 2  # requests to send under way, likewise; what comes meanwhile is the next one
GROUP_UNREAD_MESSAGES = 1_024  # a client asks for no more than it has room for, unread included
GROUP_UNREAD_BYTES = 4 << 20  # nor for any while so much is unread (one batch may overshoot)
GROUP_TELL_MESSAGES = 256  # a client that has taken so many says so; and it asks for no fewer
GROUP_TELL_MS = 1_000  # … and one that takes few, after so long; far below GROUP_STALL_MS
GROUP_OUTGOING_MESSAGES = 1_024  # queued in a client; then `multicast` waits
GROUP_OUTGOING_BYTES = 4 << 20  # the same in bytes (one message may overshoot)
GROUP_REQUESTS_MAX = 16  # requests of a client that wait for their turn in its node
GROUP_CHANGES_MAX = 4_096  # membership messages that a client hasn't taken; then it is closed
GROUP_CLIENT_STALL_MS = 20_000  # a client that takes nothing while it is behind is closed after so
# long: who sends to its groups would wait for ever
GROUP_LOOK_MS = 1_000  # how often a node looks for such a client

# -- the port for programs of Spread ----------------------------------------------------------
SPREAD_PORT = 4_803  # where libraries of Spread look for a daemon
SPREAD_CLIENTS_MAX = 4_000  # connections; sessions of a node are GROUP_SESSIONS_MAX in all
SPREAD_GREETING_S = 10.0  # for the handshake: who is silent so long is cut off
SPREAD_GREETING_BYTES = 4_096  # of a client whose handshake isn't done
SPREAD_REQUEST_BYTES = (
    40 << 20
)  # of one client that wait for room: it isn't read any more. Programs
# of Spread send 200 messages of 100,000 bytes before they read the first
SPREAD_REQUEST_ALL_BYTES = 256 << 20  # the same of all: then who has more than a share isn't read
SPREAD_REQUEST_SHARE_BYTES = 1 << 20
SPREAD_REQUEST_COST = 256  # what one takes beside its payload
SPREAD_WRITE_BYTES = 256 << 10  # what a connection takes over before its program reads

# -- watching ---------------------------------------------------------------------------------
COUNTS_EVERY_S = 0.5  # between two samples of what is counted, while somebody watches
COUNTING_S = 3.0  # after its last Watch a node takes no more samples
WATCH_WAIT_S = 10.0  # a Watch is answered by then, with nothing if need be
SAMPLE_GONE_KEPT = 4_096  # actors that ended while somebody watched; who missed one gets all anew
PANEL_CONTROLS_MAX = 32  # of one panel
SIGNATURE_CHARS_MAX = 300  # of one action or signal as `describe` tells it; the rest is cut off
CONTRACTS_KEPT = 1_000  # of types of actors, at each node; then the oldest goes
CONTRACT_WAIT_S = 5.0  # who isn't told what a type can do in that time checks nothing
CONTRACT_AGAIN_S = 30.0  # in which who wasn't told doesn't ask again
CHECKED_PAYLOAD_BYTES_MAX = 64 << 10  # a longer one isn't decoded to see whether it fits
PANEL_LINE_VALUES_MAX = 1_000  # of one Line
PANEL_TEXT_CHARS_MAX = 1_000  # of one shown text
PANEL_LOG_LINES_MAX = 50  # of one Log
PANEL_LOG_CHARS_MAX = 300  # of one of its lines
PANEL_LOOK_S = 0.1  # what is looked at is compared so often: a hand is no faster
PANELS_LOOKED_AT_MAX = 256  # of one node at a time; more are refused
OUTPUT_LINE_CHARS_MAX = 4_096  # of one line that an actor prints or logs; the rest is cut off
OUTPUT_ACTOR_LINES = 500  # kept of one actor
OUTPUT_ACTOR_BYTES = 128 << 10  # the same in bytes
OUTPUT_NODE_BYTES = 8 << 20  # of all actors of a node; then the oldest lines go
OUTPUT_FILE_BYTES = 16 << 20  # of the file; then it is written anew with what is kept
OUTPUT_ACTORS_MAX = 10_000  # whose lines are kept; then those of who was silent longest go
OUTPUT_ANSWER_LINES = 2_000  # of one ReadOutput

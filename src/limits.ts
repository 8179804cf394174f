/** Every limit of the project, with its unit and where it comes from. */

/** Descriptors in one message. The kernel's own bound (SCM_MAX_FD): 254 give EINVAL. */
export const DESCRIPTORS_PER_MESSAGE_MAX = 253

/** Buffers in one message, and messages in one sendmmsg or recvmmsg. The kernel's own bound (UIO_MAXIOV). */
export const BUFFERS_PER_MESSAGE_MAX = 1024
export const MESSAGES_PER_CALL_MAX = 1024

/** Bytes of control messages in one call; the kernel's bound on sending is net.core.optmem_max. */
export const ANCILLARY_BYTES_MAX = 64 * 1024

/** Bytes of one receive unless asked otherwise: any datagram fits. */
export const RECEIVE_DEFAULT = 64 * 1024

/** Bytes of one receive: what one system call moves at most (MAX_RW_COUNT). */
export const RECEIVE_MAX = 0x7ffff000

/** Connections taken by one native call. More would let one port starve the rest of the event loop. */
export const ACCEPT_BATCH_MAX = 64

/** Bytes of a frame's payload. Large enough for any control message, small enough to allocate on a stranger's word. */
export const FRAME_PAYLOAD_MAX = 64 * 1024

/** Bytes of frames without descriptors that may wait in user space for a peer that does not read. */
export const OUTBOX_BYTES_MAX = 1024 * 1024

/** Descriptors one channel may hold for its peer: queued, or sent and unclaimed. */
export const HELD_DESCRIPTORS_MAX = 16 * 1024

/** Connections given to one target that it has not claimed yet; a healthy worker claims within one turn of its loop. */
export const UNCLAIMED_MAX = 128

/** Milliseconds after which a target that owes claims and makes none is passed over as stalled. */
export const STALL_AFTER = 1000

/** Milliseconds, nearly 25 days: the longest a timer of Node can wait. What is longer it takes for 1 ms. */
export const TIME_MAX = 0x7fffffff

/** Milliseconds of which the time until claims is told, and up to as many before: a look now and then is to see what was. */
export const CLAIM_LATENCY_WINDOW = 30_000

/** Milliseconds a target rests after it sent connections back for want of descriptors. */
export const REST_AFTER_REFUSAL = 100

/** Milliseconds a worker may keep to itself that connections have closed, where no limit waits for the word. */
export const STATUS_DELAY = 2

/** The same for a worker that accepts by itself: nobody decides by its numbers, and each word wakes the master. */
export const SELF_STATUS_DELAY = 100

/** Connections that a worker which accepts by itself takes at one waking: more would be a neighbour's that is idle. */
export const SELF_ACCEPT_BATCH = 1

/** Milliseconds before accept(2) is tried again after EMFILE or ENFILE, unless room appears sooner. */
export const ACCEPT_RETRY = 100

/** Milliseconds before a send is tried again after ETOOMANYREFS, which no readiness event announces the end of. */
export const SEND_RETRY = 10

/** Reads of one channel in one turn of the event loop, so that a busy peer cannot hold the loop. */
export const READS_PER_TURN_MAX = 8

/** Milliseconds a worker waits for the master's answer to `listen`; the master's loop answers within one turn. */
export const LISTEN_REPLY_MAX = 10_000

/** Closed ports a worker remembers, to send back what was on its way. */
export const SHUT_PORTS_MAX = 64

/** Pending connections the kernel queues for a port, unless asked otherwise; Node's own default. */
export const BACKLOG_DEFAULT = 511

/** Bytes of a UNIX socket path (sun_path less its terminator), the smaller of Linux's 108 and macOS's 104. */
export const SOCKET_PATH_MAX = process.platform === 'linux' ? 107 : 103

/** The same without the terminator, which the kernel can do without: sun_path is full then. */
export const SUN_PATH_BYTES = SOCKET_PATH_MAX + 1

/** Descriptor numbers of a worker thread that can be closed with it; the usual hard limit of a process is lower. */
export const CLOSED_WITH_THREAD_MAX = 1024 * 1024

/** Workers one supervisor may run. */
export const WORKERS_MAX = 1024

/** Milliseconds a draining worker has for its open connections, unless asked otherwise. */
export const DRAIN_DEFAULT = 30_000

/** Milliseconds a new generation of workers has until all of it listens, unless asked otherwise; tableflip's default. */
export const RELOAD_READY_DEFAULT = 60_000

/** Milliseconds it then has to listen on every port that is served already, before those are taken for dropped. */
export const RELOAD_PORTS_GRACE = 2_000

/** Bytes of what keys for TLS session tickets are made of: a block of SHA-256's output; and of such a key, as Node has it. */
export const TICKET_SECRET_BYTES = 32
export const TICKET_KEY_BYTES = 48

/** Ticket secrets that are accepted: the newest and the one before it, so that a ticket lives one rotation at least. */
export const TICKET_SECRETS_KEPT = 2

/**
 * Milliseconds between new ticket secrets, unless asked otherwise: tickets can be opened for half a day at least, which is
 * longer than Node's sessions last by default, and for a day at most (RFC 5077, 5.5). And the most: RFC 8446, 4.6.1
 * has tickets end after seven days.
 */
export const TICKET_ROTATION_DEFAULT = 12 * 3_600_000
export const TICKET_ROTATION_MAX = 7 * 24 * 3_600_000

/** Milliseconds between SIGTERM, or the end of a drain, and SIGKILL. */
export const KILL_AFTER = 5_000

/** Milliseconds after a worker's end in which its last output is read, if something it started keeps that open. */
export const OUTPUT_GRACE = 1_000

/** Milliseconds before a crashed worker is started again: the first wait, doubled on each early death up to the last. */
export const RESTART_FIRST = 100
export const RESTART_LAST = 10_000

/** Milliseconds of life after which a worker's death no longer counts as early. */
export const RESTART_FORGIVEN_AFTER = 5_000

/** Early deaths in a row, with no worker ever ready, after which the supervisor gives up. */
export const EARLY_DEATHS_MAX = 3

/** Bytes of one offer: its message, and what its things have read already. */
export const OFFER_BYTES_MAX = 8 * 1024 * 1024

/** Offers a receiver takes in that its program has not taken yet; the sender holds back the others. */
export const OFFERS_UNSETTLED_MAX = 64

/** Descriptors in them, unless one offer alone has more. */
export const OFFERED_DESCRIPTORS_MAX = 512

/** Bytes in them, unless one offer alone has more. */
export const OFFERED_BYTES_MAX = 16 * 1024 * 1024

/** Offers that wait at the sender, sent or not; more are refused at once. */
export const OFFERS_WAITING_MAX = 4096

/** Offers of other workers that one worker has not answered, from which on those with fewer are asked first. */
export const RELAY_CROWD = 8

/** Milliseconds a peer has to answer the withdrawal of an offer; then the channel is cut, which settles it. */
export const WITHDRAWAL_ANSWER_MAX = 1_000

/** Milliseconds a peer that connected by a name has to say hello. */
export const HELLO_MAX = 10_000

/** Milliseconds a folder's lock is waited for, the thread being blocked; who holds one makes a few system calls meanwhile. */
export const FOLDER_LOCK_WAIT = 20

/** Milliseconds that output of a socket which is to leave has to reach the kernel, unless asked otherwise. */
export const FLUSH_TIMEOUT = 5_000

/** Milliseconds `connect` has until the channel is open, unless asked otherwise. */
export const CONNECT_TIMEOUT = 10_000

/** Milliseconds between tries to connect: the first, then twice as long each time, up to the second. */
export const CONNECT_RETRY_FIRST = 10
export const CONNECT_RETRY_MAX = 500

/**
 * Peers that connected and have not said hello; more wait in the kernel's queue. The last batch of accepted ones may go
 * beyond by ACCEPT_BATCH_MAX - 1.
 */
export const UNGREETED_MAX = 64

/** Channels that nobody has taken; more peers wait in the kernel's queue. */
export const UNTAKEN_CHANNELS_MAX = 64

/** Senders that speak no protocol and are connected at once; more wait, as above. */
export const BARE_SENDERS_MAX = 256

/** Descriptors of such senders that wait for the program; then nothing more is read. The last message may go beyond. */
export const BARE_DESCRIPTORS_MAX = 512

/** Bytes of a connection within which it must be decided where to go, unless asked otherwise, and at most. */
export const HANDSHAKE_BYTES = 16 * 1024
export const HANDSHAKE_BYTES_MAX = 64 * 1024

/** Milliseconds a client has to say enough for that, unless asked otherwise. */
export const HANDSHAKE_TIME = 10_000

/** Connections that are undecided at a time, unless asked otherwise: each holds a descriptor and a small object. */
export const UNDECIDED_MAX = 4096

/** Times a connection is looked at, lest one that comes byte by byte costs more than its bytes. */
export const LOOKS_MAX = 256

/** Bytes that are looked at first of each connection of a batch; of one that sent more, the rest is looked at next. */
export const FIRST_LOOK_BYTES = 4096

/** Milliseconds that a client which was turned away with words has to hear them, and how many may be doing so. */
export const FAREWELL_TIME = 1_000
export const FAREWELLS_MAX = 256

/** Bytes that such a client may still send; they are thrown away, as to leave them would take the words from it. */
export const FAREWELL_BYTES_MAX = 256 * 1024

/** Connections of a port that wait for a target; beyond it nothing more is accepted. */
export const WAITING_MAX = 1024

/** Milliseconds that a connection waits for room in the group it is routed to. */
export const ROUTE_WAIT_MAX = 10_000

/** Milliseconds between two events that tell of the same kind of setback. */
export const SETBACK_INTERVAL = 1_000

/** Bytes of a TLS ClientHello, with the headers of its records. Browsers send about 2 KiB; with long tickets a few more. */
export const CLIENT_HELLO_BYTES_MAX = 64 * 1024

/** TLS records that one ClientHello may come in, so that looking at it again and again stays cheap. */
export const CLIENT_HELLO_RECORDS_MAX = 1024

/** Bytes of the head of an HTTP request, up to the empty line. Node's own default is 16 KiB; it can be raised. */
export const HTTP_HEAD_BYTES_MAX = 64 * 1024

/** Headers in it. From 1000 on Node drops the rest in silence: nothing is routed by what a worker does not see. */
export const HTTP_HEADERS_MAX = 256

/** Empty lines before a request line, which old clients send behind a body (RFC 9112, 2.2). */
export const HTTP_EMPTY_LINES_MAX = 4

/** Bytes of a PROXY header of version 1, with CR and LF; its specification's own bound. */
export const PROXY_LINE_BYTES_MAX = 107

/** Bytes of a PROXY header of version 2: its addresses take 232 at most, the rest is for fields. */
export const PROXY_HEADER_BYTES_MAX = 4096

/** Bytes of a first line with its end, unless asked otherwise, and at most. */
export const FIRST_LINE_DEFAULT = 1024
export const FIRST_LINE_MAX = 64 * 1024

/** Milliseconds a WebSocket has to send what it was told to, and to deliver what came, before it is moved. */
export const READY_TIMEOUT = 5_000

/** Milliseconds between looks whether it has. */
export const READY_INTERVAL = 5

/** Milliseconds before a WebSocket that was not at rest in time is asked to move again. */
export const READY_RETRY = 250

/** Bytes of an unfinished message that a WebSocket is moved with; of a longer one the end is waited for. Half an offer. */
export const UNREAD_FRAMES_MAX = OFFER_BYTES_MAX / 2

/** WebSockets of one server that are on their way at once when all are moved. */
export const WEBSOCKETS_MOVING_MAX = 64

// Replacing the supervisor.

/** Bytes of a line of a worker's output; a longer one is told in pieces. */
export const OUTPUT_LINE_MAX = 1024 * 1024

/** Milliseconds in which everything must come to rest before a supervisor can be replaced, unless asked otherwise. */
export const SUCCESSION_REST = 5_000

/** Milliseconds in which the successor must have made everything of what it was told, unless asked otherwise. */
export const SUCCESSION_READY = 20_000

/** Milliseconds between looks whether everything is at rest. */
export const SUCCESSION_INTERVAL = 2

/** Descriptors that go to the successor in one message; the kernel takes 253. */
export const SUCCESSION_BATCH = 200

/** Descriptors that a successor is told of at most. */
export const SUCCESSION_DESCRIPTORS_MAX = 1_000_000

/** Milliseconds a successor waits to see whether its predecessor is dead, when the channel ended and nothing was said. */
export const SUCCESSION_DEATH_WAIT = 2_000

/** Bytes of a successor's output that are kept until it takes over; beyond them the first half is forgotten. */
export const HEIR_WORDS_MAX = 65_536

/** Milliseconds after which ports that a service manager has passed and nobody asked for are closed. */
export const SERVICE_PORTS_WAIT = 10_000

/** Milliseconds between two looks whether the manager is to be told another status. */
export const SERVICE_STATUS_INTERVAL = 1_000

/** Milliseconds in which the manager must have read who its main process is. */
export const SERVICE_BARRIER = 5_000

/** Milliseconds that workers without a master serve what they have open before they drain, and between two questions. */
export const ORPHAN_WAIT = 30_000
export const ORPHAN_ASKS = 250
// The control socket

/** Bytes of a supervisor's name, so that its path fits; and entries of a folder that are looked at. */
export const CONTROL_NAME_MAX = 64
export const CONTROL_ENTRIES_MAX = 256

/** Clients of one control socket, and what each may ask before it is answered. More is a program gone wrong. */
export const CONTROL_CLIENTS_MAX = 64
export const CONTROL_REQUESTS_MAX = 16

/** Answers that wait for one client to take them; then it is left alone. Log lines are left out from half of it on. */
export const CONTROL_ANSWERS_MAX = 256

/** Milliseconds a supervisor that ends has to say its last answers, as every client is on this machine. */
export const CONTROL_LAST_WORDS = 1_000

/** Milliseconds a client waits for a supervisor to say hello; its event loop answers within one turn. */
export const CONTROL_REACH = 5_000

/** Lines of the new workers that a failed reload is told with. */
export const CONTROL_OUTPUT_LINES = 50

/** Lines of workers that are kept to be asked for, characters in all of them and in one, and lines told unless asked otherwise. */
export const LOG_LINES_KEPT = 2_000
export const LOG_BYTES_KEPT = 1024 * 1024
export const LOG_LINE_MAX = 8 * 1024
export const LOG_LINES_DEFAULT = 50

/** Milliseconds between two looks at the counters that rates are made of. */
export const RATE_INTERVAL = 1_000

// Log files of the command

/** Bytes of lines that wait for a log file that is slow or full; beyond it lines are dropped and counted. */
export const LOG_QUEUE_MAX = 1024 * 1024

/** Milliseconds until a log file that could not be written is tried again. */
export const LOG_RETRY = 5_000

/** Milliseconds that log files have for what waits when the command ends. */
export const LOG_CLOSE_TIME = 2_000

/** Milliseconds without a change of a file, after which workers are reloaded (`--watch`). */
export const WATCH_DELAY = 100

/** Milliseconds after a switch in which the command has the old workers stand by: mistakes of a release mostly show at once. */
export const HEALTH_WINDOW_DEFAULT = 2_000

/** Descriptors a worker or the master has beside its connections: its program, channels, files, a batch on its way. */
export const DESCRIPTORS_OF_PROCESS = 320

/** Descriptors without which a service whose connections are not limited is warned. 1,024 is what many systems start with. */
export const DESCRIPTORS_USUAL = 4_096

// Generations

/** Milliseconds between two questions whether a new worker is ready, or still healthy, unless asked otherwise. */
export const READINESS_INTERVAL = 250

/** Milliseconds that one such question may take, unless asked otherwise. */
export const READINESS_TIMEOUT = 5_000

/** Milliseconds between looks whether new workers hang while their health is watched. */
export const HANG_INTERVAL = 250

/** The last lines of a worker's output that are kept for whoever hears that it failed, and characters of each. */
export const LAST_LINES_MAX = 20
export const LAST_LINE_LENGTH = 1_000

// Workers: what is known of them, and what is done about it

/** Milliseconds between two beats of a worker, unless asked otherwise, and at most. */
export const HEARTBEAT_DEFAULT = 1_000
export const HEARTBEAT_MAX = 60_000

/** Milliseconds between samples of a worker's event loop: each is a timer of libuv's and nothing of JavaScript's. */
export const LAG_RESOLUTION = 20

/** Milliseconds without a beat after which a worker is hung, unless asked otherwise. */
export const HUNG_DEFAULT = 10_000

/** Beats that must have been missed, at least: fewer are the scheduler's doing. */
export const MISSED_BEATS_MIN = 3

/** Milliseconds a hung worker has to go on by itself once another has taken its place; then SIGKILL. */
export const HUNG_GRACE = 1_000

/** Milliseconds that a successor has until it listens. */
export const SUCCESSOR_READY = 60_000

/** Beats in a row that must tell of too much lag: one may be a large request. */
export const LAG_BEATS = 3

/**
 * Milliseconds between two workers that are replaced for a limit: the first wait, doubled up to the last where a worker
 * is over it again before it has lived so long. A leak in all of them does not take all down together.
 */
export const LIMIT_REST_FIRST = 5_000
export const LIMIT_REST_LAST = 300_000
export const LIMIT_LIFE_MIN = 60_000

/** Deaths at one place within so many milliseconds, after which it is given up, unless asked otherwise. */
export const CRASH_LOOP_DEATHS = 5
export const CRASH_LOOP_WITHIN = 30_000

/** Processors that an affinity can name; the kernel's own bound is 8192 on common systems. */
export const PROCESSORS_MAX = 8192

/** Messages for a program that does not listen to them yet; older ones are dropped. */
export const EARLY_MESSAGES_MAX = 256

/** Bytes of a channel's queue that programs' messages leave free: a drain must always get through. */
export const MESSAGES_LEAVE_FREE = OUTBOX_BYTES_MAX / 4

/** Bytes of a program's message as JSON: a frame's, less the words around it. */
export const MESSAGE_BYTES_MAX = FRAME_PAYLOAD_MAX - 256

// The admin address

/** Characters of its token: at 6 bits each, 96 bits. */
export const ADMIN_TOKEN_MIN = 16

/** Connections to it at a time, and pages that watch; more are closed, as it must not get in the way of dispatch. */
export const ADMIN_CONNECTIONS_MAX = 64
export const ADMIN_WATCHERS_MAX = 16

/** Milliseconds for the head of a request, for all of it, and between two on one connection. */
export const ADMIN_HEAD_TIME = 5_000
export const ADMIN_REQUEST_TIME = 10_000
export const ADMIN_IDLE_TIME = 5_000

/** Bytes of a request's head and body. */
export const ADMIN_HEAD_BYTES_MAX = 16 * 1024
export const ADMIN_BODY_BYTES_MAX = 4 * 1024

/** Milliseconds between what pages are told, how many of these are kept for new ones, and how many notes of events. */
export const ADMIN_INTERVAL = 1_000
export const ADMIN_HISTORY_MAX = 300
export const ADMIN_NOTES_MAX = 100

/** Bytes that may wait for a page which does not read; it is closed then, and comes back by itself. */
export const ADMIN_UNREAD_MAX = 256 * 1024

/** Milliseconds for which an agent says `ready` from its start on and after a drain: several rounds of a balancer's checks. */
export const AGENT_READY_TIME = 60_000

/** Milliseconds of a check's connection. */
export const AGENT_TIME = 2_000

/** Milliseconds by which an event loop is late that make its worker count for half. */
export const AGENT_LAG = 100

/** Milliseconds that a successor tries to bind the admin address of its predecessor, and between two tries. */
export const ADMIN_BIND_WAIT = 5_000
export const ADMIN_BIND_RETRY = 20
/** Milliseconds that a timer may be late before this process is taken to have stood still; and that others then get at most. */
export const STOOD_STILL = 200
export const STOOD_STILL_GRACE = 1_000

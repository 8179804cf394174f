/*
 * The lower bound for handover's master: the same work for the same unmodified workers, in plain C over epoll.
 *
 *   dispatcher <normal | batch> <workers> <node> <preload> <script>
 *
 * It starts the workers, opens the one port they ask for, accepts in batches, gives each connection to the least
 * loaded worker, sends one message per worker and batch, closes its copies when they are claimed, and counts what is
 * open. It neither redirects nor restarts: whatever is outside of that ends it, and its workers, with a line on
 * standard error. SIGTERM and SIGINT end it too.
 *
 * With `batch` it runs under SCHED_BATCH: on a busy machine it does not preempt a worker whenever a connection comes,
 * and finds several when its turn comes.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  WORKERS_MAX = 64,
  ACCEPT_BATCH_MAX = 64,
  UNCLAIMED_MAX = 128, /* per worker: also the size of the ring, so a power of two */
  INBOX_BYTES = 16 * 1024,
  HEADER_BYTES = 8,
  RETRY_MS = 10, /* before a send that was not accepted is tried again */
  CHANNEL = 3,   /* the number that a worker's end has in the worker */
  PORT = 1,      /* the number of the one port in frames */
};

enum { HELLO = 1, MESSAGE = 2, TRANSPORTS = 3, CLAIM = 4, REFUSE = 5, STATUS = 6 };

/*
 * Cursors are the sequence numbers of the wire, settled <= sent <= taken: our copies of what a worker has been sent
 * and not claimed lie in the ring from `settled` to `sent`, what is still to go from there to `taken`.
 */
typedef struct {
  pid_t pid;
  int channel;
  bool listens;
  uint64_t taken, sent, settled, finished;
  int held[UNCLAIMED_MAX];
  uint8_t inbox[INBOX_BYTES];
  size_t filled;
} worker;

static worker workers[WORKERS_MAX];
static int worker_count;
static int epoll;
static int listener = -1;
static bool polled;    /* whether the listener is watched */
static int unsent;     /* workers with something still to go */
static char place[80]; /* host and port of the request that opened the listener */

static _Noreturn void end(int code) {
  for (int i = 0; i < worker_count; i++) kill(workers[i].pid, SIGKILL);
  for (int i = 0; i < worker_count; i++) waitpid(workers[i].pid, NULL, 0);
  exit(code);
}

__attribute__((format(printf, 1, 2))) static _Noreturn void fail(const char *format, ...) {
  va_list values;
  va_start(values, format);
  vfprintf(stderr, format, values);
  va_end(values);
  fputc('\n', stderr);
  end(1);
}

static int checked(int outcome, const char *call) {
  if (outcome < 0) fail("%s: %s", call, strerror(errno));
  return outcome;
}

static void watch(int operation, int descriptor, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = descriptor};
  checked(epoll_ctl(epoll, operation, descriptor, &event), "epoll_ctl");
}

/* ---- frames out ---- */

static size_t put_header(uint8_t *frame, uint8_t type, uint32_t length, uint16_t descriptors) {
  length = htole32(length);
  descriptors = htole16(descriptors);
  memcpy(frame, &length, 4);
  frame[4] = type;
  frame[5] = 0;
  memcpy(frame + 6, &descriptors, 2);
  return HEADER_BYTES;
}

/* Only at a worker's start, when its channel is empty and takes everything. */
static void send_json(worker *to, uint8_t type, const char *json) {
  uint8_t frame[512];
  size_t length = strlen(json);
  if (length > sizeof frame - HEADER_BYTES) fail("a message is too long: %s", json);
  memcpy(frame + put_header(frame, type, (uint32_t)length, 0), json, length);
  length += HEADER_BYTES;
  ssize_t sent = send(to->channel, frame, length, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != (ssize_t)length) fail("send: %s", sent < 0 ? strerror(errno) : "a short count");
}

/* One message with everything that is to go. A frame this small goes as a whole or not at all. */
static void send_transports(worker *to) {
  uint32_t count = (uint32_t)(to->taken - to->sent);
  uint8_t frame[HEADER_BYTES + 12];
  uint64_t sequence = htole64(to->sent);
  uint32_t port = htole32(PORT);
  put_header(frame, TRANSPORTS, 12, (uint16_t)count);
  memcpy(frame + HEADER_BYTES, &sequence, 8);
  memcpy(frame + HEADER_BYTES + 8, &port, 4);

  union {
    char bytes[CMSG_SPACE(UNCLAIMED_MAX * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {.iov_base = frame, .iov_len = sizeof frame};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  int *descriptors = (int *)CMSG_DATA(header);
  for (uint32_t i = 0; i < count; i++) descriptors[i] = to->held[(to->sent + i) % UNCLAIMED_MAX];

  ssize_t sent = sendmsg(to->channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == (ssize_t)sizeof frame) {
    to->sent = to->taken;
  } else if (sent < 0 && (errno == EAGAIN || errno == ETOOMANYREFS)) {
    unsent++; /* claims will make room; the main loop comes back to it */
  } else {
    fail("sendmsg: %s", sent < 0 ? strerror(errno) : "a short count");
  }
}

static void send_all(void) {
  unsent = 0;
  for (int i = 0; i < worker_count; i++)
    if (workers[i].sent < workers[i].taken) send_transports(&workers[i]);
}

/* ---- connections ---- */

static uint64_t room_of(const worker *one) {
  return one->listens ? UNCLAIMED_MAX - (one->taken - one->settled) : 0;
}

/* The least loaded worker with room, equals in turn; NULL when all are full. */
static worker *choose(void) {
  static int turn;
  worker *best = NULL;
  int next = turn;
  for (int step = 0; step < worker_count; step++) {
    int at = (turn + step) % worker_count;
    worker *one = &workers[at];
    if (room_of(one) == 0 || (best != NULL && one->taken - one->finished >= best->taken - best->finished)) continue;
    best = one;
    next = at + 1;
  }
  turn = next;
  return best;
}

static void poll_listener(bool wanted) {
  if (listener < 0 || wanted == polled) return;
  polled = wanted;
  watch(EPOLL_CTL_MOD, listener, wanted ? EPOLLIN : 0);
}

static void accept_batch(void) {
  for (int count = 0; count < ACCEPT_BATCH_MAX; count++) {
    worker *one = choose();
    if (one == NULL) {
      poll_listener(false); /* clients wait in the kernel's queue until a claim makes room */
      break;
    }
    struct sockaddr_storage peer; /* asked for, as the master does: a policy may look at it */
    socklen_t length = sizeof peer;
    int connection = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection < 0) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno != EAGAIN) fail("accept4: %s", strerror(errno));
      break;
    }
    one->held[one->taken++ % UNCLAIMED_MAX] = connection;
  }
  send_all();
}

/* ---- what a worker asks ---- */

/* The text behind `"name":`. Enough for what workers write: JSON without blanks, no nested objects. */
static const char *field(const char *json, const char *name) {
  char quoted[32];
  int length = snprintf(quoted, sizeof quoted, "\"%s\":", name);
  const char *found = strstr(json, quoted);
  if (found == NULL) fail("a worker's message has no \"%s\": %s", name, json);
  return found + length;
}

static void open_port(const char *host, unsigned port, int backlog) {
  char service[8];
  snprintf(service, sizeof service, "%u", port);
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found;
  if (getaddrinfo(host, service, &hints, &found) != 0) fail("no numeric address: %s", host);
  listener = checked(socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  int on = 1;
  checked(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt");
  checked(bind(listener, found->ai_addr, found->ai_addrlen), "bind");
  checked(listen(listener, backlog), "listen");
  freeaddrinfo(found);
  polled = true;
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
}

/* Opens the port for the first worker that asks; the others share it. */
static void answer_listen(worker *from, const char *json) {
  char host[64] = "", asked[sizeof place], reply[256], address[64];
  sscanf(field(json, "host"), "\"%63[^\"]\"", host);
  const char *port = field(json, "port");
  if (strncmp(port, "null", 4) == 0 || strtol(field(json, "nth"), NULL, 10) != 0) fail("one TCP port only: %s", json);
  snprintf(asked, sizeof asked, "%s %ld", host, strtol(port, NULL, 10));
  bool first = listener < 0;
  if (first) {
    open_port(*host ? host : "::", (unsigned)strtol(port, NULL, 10), (int)strtol(field(json, "backlog"), NULL, 10));
    memcpy(place, asked, sizeof place);
  } else if (strcmp(asked, place) != 0) {
    fail("one TCP port only: %s", json);
  }
  char own_port[8];
  struct sockaddr_storage own;
  socklen_t length = sizeof own;
  checked(getsockname(listener, (struct sockaddr *)&own, &length), "getsockname");
  if (getnameinfo((struct sockaddr *)&own, length, address, sizeof address, own_port, sizeof own_port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    fail("getnameinfo: the listener has no address");
  snprintf(reply, sizeof reply,
           "{\"type\":\"listening\",\"reply\":%ld,\"ports\":[%d],\"statusDelay\":2,"
           "\"address\":{\"address\":\"%s\",\"family\":\"IPv%d\",\"port\":%s}}",
           strtol(field(json, "id"), NULL, 10), PORT, address, own.ss_family == AF_INET6 ? 6 : 4, own_port);
  send_json(from, MESSAGE, reply);
  from->listens = true;
  if (!first) return;
  printf("listening on port %s\n", own_port);
  fflush(stdout);
}

static void take_message(worker *from, const uint8_t *payload, size_t length) {
  char json[1024];
  if (length >= sizeof json) fail("a worker's message is too long");
  memcpy(json, payload, length);
  json[length] = '\0';
  if (strncmp(field(json, "type"), "\"listen\"", 8) == 0) answer_listen(from, json);
  else fail("no answer to %s", json);
}

/* ---- frames in ---- */

static uint64_t get_count(const uint8_t *payload, size_t length) {
  uint64_t count;
  if (length != sizeof count) fail("a count of %zu bytes", length);
  memcpy(&count, payload, sizeof count);
  return le64toh(count);
}

/* The worker holds these now: our copies have served. */
static void take_claim(worker *from, uint64_t claimed) {
  if (claimed < from->settled || claimed > from->sent) fail("a claim outside of what was sent");
  while (from->settled < claimed) close(from->held[from->settled++ % UNCLAIMED_MAX]);
  poll_listener(true);
}

static void take_frame(worker *from, uint8_t type, const uint8_t *payload, size_t length) {
  switch (type) {
    case HELLO: return;
    case MESSAGE: return take_message(from, payload, length);
    case CLAIM: return take_claim(from, get_count(payload, length));
    case STATUS: from->finished = get_count(payload, length); return;
    default: fail("a worker sent a frame of type %d", type);
  }
}

static void take_frames(worker *from) {
  size_t start = 0;
  while (from->filled - start >= HEADER_BYTES) {
    uint32_t length;
    memcpy(&length, from->inbox + start, 4);
    length = le32toh(length);
    if (length > INBOX_BYTES - HEADER_BYTES) fail("a worker's frame is too long");
    if (from->filled - start < HEADER_BYTES + length) break;
    take_frame(from, from->inbox[start + 4], from->inbox + start + HEADER_BYTES, length);
    start += HEADER_BYTES + length;
  }
  from->filled -= start;
  memmove(from->inbox, from->inbox + start, from->filled);
}

/* One read a turn: it takes more than a worker can have written, and epoll reports the rest. */
static void read_worker(worker *from) {
  ssize_t got = recv(from->channel, from->inbox + from->filled, INBOX_BYTES - from->filled, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) fail("worker %d is gone", (int)from->pid);
  from->filled += (size_t)got;
  take_frames(from);
}

/* ---- processes ---- */

/* As the supervisor starts them: the channel as descriptor 3, in a session of their own. */
static void start_worker(int number, char *node, char *preload, char *script) {
  worker *one = &workers[number - 1];
  int pair[2];
  checked(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), "socketpair");
  pid_t pid = checked(fork(), "fork");
  if (pid == 0) {
    char channel[16], own_number[16];
    sigset_t none;
    snprintf(channel, sizeof channel, "%d", CHANNEL);
    snprintf(own_number, sizeof own_number, "%d", number);
    setenv("HANDOVER_CHANNEL", channel, 1);
    setenv("HANDOVER_WORKER", own_number, 1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    /* dup2 also takes off close-on-exec, but not where it has nothing to do. */
    bool placed = pair[1] == CHANNEL ? fcntl(CHANNEL, F_SETFD, 0) == 0 : dup2(pair[1], CHANNEL) == CHANNEL;
    if (placed) execlp(node, node, "--import", preload, script, NULL);
    perror(node);
    _exit(127);
  }
  close(pair[1]);
  one->pid = pid;
  one->channel = pair[0];
  worker_count = number;
  watch(EPOLL_CTL_ADD, one->channel, EPOLLIN);
  char hello[160];
  snprintf(hello, sizeof hello,
           "{\"protocol\":\"handover\",\"version\":1,\"oldest\":1,"
           "\"capabilities\":[\"transports\",\"claims\",\"status\"],\"pid\":%d}",
           (int)getpid());
  send_json(one, HELLO, hello);
}

/* SIGTERM and SIGINT as a descriptor; workers start with none blocked. */
static int open_signals(void) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  checked(sigprocmask(SIG_BLOCK, &mask, NULL), "sigprocmask");
  int signals = checked(signalfd(-1, &mask, SFD_CLOEXEC), "signalfd");
  watch(EPOLL_CTL_ADD, signals, EPOLLIN);
  return signals;
}

int main(int argc, char **argv) {
  int wanted = argc == 6 ? atoi(argv[2]) : 0;
  if (wanted < 1 || wanted > WORKERS_MAX) {
    fprintf(stderr, "usage: dispatcher <normal | batch> <1 to %d workers> <node> <preload> <script>\n", WORKERS_MAX);
    return 2;
  }
  epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  int signals = open_signals();
  for (int number = 1; number <= wanted; number++) start_worker(number, argv[3], argv[4], argv[5]);
  if (strcmp(argv[1], "batch") == 0) { /* only now, as workers would inherit it */
    struct sched_param none = {0};
    checked(sched_setscheduler(0, SCHED_BATCH, &none), "sched_setscheduler");
  }

  for (;;) {
    struct epoll_event events[WORKERS_MAX + 2];
    int count = epoll_wait(epoll, events, WORKERS_MAX + 2, unsent > 0 ? RETRY_MS : -1);
    if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    if (unsent > 0) send_all();
    for (int i = 0; i < count; i++) {
      int ready = events[i].data.fd;
      if (ready == listener) accept_batch();
      else if (ready == signals) end(0);
      else
        for (int at = 0; at < worker_count; at++)
          if (workers[at].channel == ready) read_worker(&workers[at]);
    }
  }
}

/* Sockets and plain descriptors: made, named, asked, duplicated, closed. */
#include "handover.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

int close_on_exec_nonblocking(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
  return fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

/* socket(family, type) -> descriptor, non-blocking and close-on-exec */
napi_value handover_socket(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
  int family = int_argument(env, argv[0]);
  int type = int_argument(env, argv[1]);
#ifdef SOCK_CLOEXEC
  int descriptor = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return result(env, descriptor < 0 ? -errno : descriptor);
#else
  int descriptor = socket(family, type, 0);
  if (descriptor < 0) return result(env, -errno);
  int error = close_on_exec_nonblocking(descriptor);
  if (error < 0) close(descriptor);
  return result(env, error < 0 ? error : descriptor);
#endif
}

/* socketpair(Int32Array of 2) -> 0: two connected UNIX stream ends, non-blocking and close-on-exec */
napi_value handover_socketpair(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  view ends = {0};
  if (arguments(env, info, 1, argv) < 0 || !view_argument(env, argv[0], napi_int32_array, &ends) || ends.length < 2)
    return result(env, -EINVAL);
  int pair[2];
#ifdef SOCK_CLOEXEC
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) return result(env, -errno);
#else
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return result(env, -errno);
  int error = close_on_exec_nonblocking(pair[0]);
  if (error == 0) error = close_on_exec_nonblocking(pair[1]);
  if (error < 0) {
    close(pair[0]);
    close(pair[1]);
    return result(env, error);
  }
#endif
  ((int32_t *)ends.data)[0] = pair[0];
  ((int32_t *)ends.data)[1] = pair[1];
  return result(env, 0);
}

/* bind(descriptor, numeric host, port) -> 0; a scope id is part of the host ("fe80::1%eth0") */
napi_value handover_bind(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  char host[128], port[8];
  size_t length = 0;
  if (arguments(env, info, 3, argv) < 0) return result(env, -EINVAL);
  if (napi_get_value_string_utf8(env, argv[1], host, sizeof host, &length) != napi_ok) return result(env, -EINVAL);
  snprintf(port, sizeof port, "%u", (unsigned)int_argument(env, argv[2]) & 0xffff);
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  if (getaddrinfo(host, port, &hints, &found) != 0) return result(env, -EINVAL);
  int done = bind(int_argument(env, argv[0]), found->ai_addr, found->ai_addrlen) < 0 ? -errno : 0;
  freeaddrinfo(found);
  return result(env, done);
}

static int path_address(napi_env env, napi_value value, struct sockaddr_un *address, socklen_t *length) {
  view path = {0};
  if (!view_argument(env, value, napi_uint8_array, &path)) return -EINVAL;
  /* An abstract name starts with a zero byte and has no terminator: its length is its end. */
  bool abstract = path.length > 0 && *(const char *)path.data == '\0';
  if (path.length == 0 || path.length + (abstract ? 0 : 1) > sizeof address->sun_path) return -ENAMETOOLONG;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path.data, path.length);
  *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.length + (abstract ? 0 : 1));
  return 0;
}

/* bindPath(descriptor, bytes of the path) -> 0 */
napi_value handover_bind_path(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  struct sockaddr_un address;
  socklen_t length;
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
  int error = path_address(env, argv[1], &address, &length);
  if (error < 0) return result(env, error);
  return result(env, bind(int_argument(env, argv[0]), (struct sockaddr *)&address, length) < 0 ? -errno : 0);
}

/* connectPath(descriptor, bytes of the path) -> 0 */
napi_value handover_connect_path(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  struct sockaddr_un address;
  socklen_t length;
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
  int error = path_address(env, argv[1], &address, &length);
  if (error < 0) return result(env, error);
  int done;
  do done = connect(int_argument(env, argv[0]), (struct sockaddr *)&address, length);
  while (done < 0 && errno == EINTR);
  return result(env, done < 0 ? -errno : 0);
}

/* listen(descriptor, backlog) -> 0 */
napi_value handover_listen(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
  return result(env, listen(int_argument(env, argv[0]), int_argument(env, argv[1])) < 0 ? -errno : 0);
}

static napi_value socket_name(napi_env env, napi_callback_info info, int (*call)(int, struct sockaddr *, socklen_t *)) {
  napi_value argv[2];
  view record = {0};
  if (arguments(env, info, 2, argv) < 0 || !view_argument(env, argv[1], napi_uint8_array, &record)) return result(env, -EINVAL);
  if (record.length < ADDRESS_BYTES) return result(env, -EINVAL);
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (call(int_argument(env, argv[0]), (struct sockaddr *)&address, &length) < 0) return result(env, -errno);
  encode_address(&address, length, record.data);
  return result(env, 0);
}

static int own_name(int descriptor, struct sockaddr *address, socklen_t *length) {
  return getsockname(descriptor, address, length);
}

static int peer_name(int descriptor, struct sockaddr *address, socklen_t *length) {
  return getpeername(descriptor, address, length);
}

/* getsockname(descriptor, record) -> 0 */
napi_value handover_getsockname(napi_env env, napi_callback_info info) { return socket_name(env, info, own_name); }

/* getpeername(descriptor, record) -> 0 */
napi_value handover_getpeername(napi_env env, napi_callback_info info) { return socket_name(env, info, peer_name); }

/* getsockopt(descriptor, level, name) -> the option's integer, which must not be negative */
napi_value handover_getsockopt(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  if (arguments(env, info, 3, argv) < 0) return result(env, -EINVAL);
  int value = 0;
  socklen_t length = sizeof value;
  int done = getsockopt(int_argument(env, argv[0]), int_argument(env, argv[1]), int_argument(env, argv[2]), &value, &length);
  return result(env, done < 0 ? -errno : value);
}

/* setsockopt(descriptor, level, name, integer) -> 0 */
napi_value handover_setsockopt(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  if (arguments(env, info, 4, argv) < 0) return result(env, -EINVAL);
  int value = int_argument(env, argv[3]);
  int done = setsockopt(int_argument(env, argv[0]), int_argument(env, argv[1]), int_argument(env, argv[2]), &value, sizeof value);
  return result(env, done < 0 ? -errno : 0);
}

/* On Linux a close() that reports EINTR has closed all the same: trying again could close another's descriptor. */
static int close_once(int descriptor) {
  if (close(descriptor) == 0 || errno == EINTR) return 0;
  return -errno;
}

/* close(descriptor) -> 0 */
napi_value handover_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (arguments(env, info, 1, argv) < 0) return result(env, -EINVAL);
  return result(env, close_once(int_argument(env, argv[0])));
}

/* closeMany(descriptors, first, count) -> 0, or the last error after all were tried */
napi_value handover_close_many(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  view descriptors = {0};
  if (arguments(env, info, 3, argv) < 0 || !view_argument(env, argv[0], napi_int32_array, &descriptors))
    return result(env, -EINVAL);
  int32_t first = int_argument(env, argv[1]);
  int32_t count = int_argument(env, argv[2]);
  if (!within(first, count, descriptors.length)) return result(env, -EINVAL);
  int done = 0;
  for (int32_t i = 0; i < count; i++) {
    int error = close_once(((int32_t *)descriptors.data)[first + i]);
    if (error < 0) done = error;
  }
  return result(env, done);
}

/* dup(descriptor) -> a close-on-exec duplicate */
napi_value handover_dup(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (arguments(env, info, 1, argv) < 0) return result(env, -EINVAL);
  int copy = fcntl(int_argument(env, argv[0]), F_DUPFD_CLOEXEC, 0);
  return result(env, copy < 0 ? -errno : copy);
}

/* setCloseOnExec(descriptor) -> 0; also makes it non-blocking */
napi_value handover_set_close_on_exec(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (arguments(env, info, 1, argv) < 0) return result(env, -EINVAL);
  return result(env, close_on_exec_nonblocking(int_argument(env, argv[0])));
}

/* poll(descriptor, events, milliseconds) -> the events that hold, 0 after the time; blocks the thread */
napi_value handover_poll(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  if (arguments(env, info, 3, argv) < 0) return result(env, -EINVAL);
  struct pollfd entry = {.fd = int_argument(env, argv[0]), .events = (short)int_argument(env, argv[1])};
  int done = poll(&entry, 1, int_argument(env, argv[2]));
  /* A signal ends the wait early and looks like its time is up: the caller holds the deadline and asks again. */
  if (done < 0) return result(env, errno == EINTR ? 0 : -errno);
  return result(env, done == 0 ? 0 : entry.revents);
}

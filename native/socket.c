/* Sockets: made, named, connected, asked. Addresses are the kernel's own bytes. */
#define _GNU_SOURCE
#include "handover.h"

#include <fcntl.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* Linux had it before the C library's headers did. */
#if defined(__linux__) && !defined(SO_PEERPIDFD)
#define SO_PEERPIDFD 77
#endif

bool listens(int descriptor) {
  int listening = 0;
  socklen_t length = sizeof listening;
  return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening != 0;
}

/* socket(family, type, protocol) -> descriptor, non-blocking and close-on-exec */
napi_value handover_socket(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  if (arguments(env, info, 3, argv) < 0) return result(env, -EINVAL);
  int family = int_argument(env, argv[0]), type = int_argument(env, argv[1]), protocol = int_argument(env, argv[2]);
#ifdef SOCK_CLOEXEC
  int descriptor = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  return result(env, descriptor < 0 ? -errno : descriptor);
#else
  int descriptor = socket(family, type, protocol);
  if (descriptor < 0) return result(env, -errno);
  int error = close_on_exec_nonblocking(descriptor);
  if (error < 0) close(descriptor);
  return result(env, error < 0 ? error : descriptor);
#endif
}

/* socketpair(Int32Array of 2, family, type, protocol) -> 0: two connected ends, non-blocking and close-on-exec */
napi_value handover_socketpair(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  view ends = {0};
  if (arguments(env, info, 4, argv) < 0 || !view_argument(env, argv[0], napi_int32_array, &ends) || ends.length < 2)
    return result(env, -EINVAL);
  int family = int_argument(env, argv[1]), type = int_argument(env, argv[2]), protocol = int_argument(env, argv[3]);
  int pair[2];
#ifdef SOCK_CLOEXEC
  if (socketpair(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol, pair) < 0) return result(env, -errno);
#else
  if (socketpair(family, type, protocol, pair) < 0) return result(env, -errno);
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

/* What bind and connect have in common: (descriptor, address bytes in the exchange) -> 0 */
static napi_value with_address(napi_env env, napi_callback_info info, int (*call)(int, const struct sockaddr *, socklen_t)) {
  napi_value argv[2];
  exchange *shared = NULL;
  if (arguments_and_exchange(env, info, 2, argv, &shared) < 0) return result(env, -EINVAL);
  int32_t length = int_argument(env, argv[1]);
  if (!within(0, length, sizeof shared->address)) return result(env, -EINVAL);
  int done = call(int_argument(env, argv[0]), (struct sockaddr *)shared->address, (socklen_t)length);
  return result(env, done < 0 ? -errno : 0);
}

static int bind_to(int descriptor, const struct sockaddr *address, socklen_t length) {
  return bind(descriptor, address, length);
}

/* A connect that a signal interrupts goes on by itself: calling again would only say EALREADY. */
static int connect_to(int descriptor, const struct sockaddr *address, socklen_t length) {
  int done = connect(descriptor, address, length);
  if (done < 0 && errno == EINTR) errno = EINPROGRESS;
  return done;
}

/* bind(descriptor, bytes of the exchange's address) -> 0 */
napi_value handover_bind(napi_env env, napi_callback_info info) { return with_address(env, info, bind_to); }

/* connect(descriptor, bytes of the exchange's address) -> 0; -EINPROGRESS: writable once it is decided */
napi_value handover_connect(napi_env env, napi_callback_info info) { return with_address(env, info, connect_to); }

/* listen(descriptor, backlog) -> 0 */
napi_value handover_listen(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
  return result(env, listen(int_argument(env, argv[0]), int_argument(env, argv[1])) < 0 ? -errno : 0);
}

/* shutdown(descriptor, how) -> 0 */
napi_value handover_shutdown(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
  return result(env, shutdown(int_argument(env, argv[0]), int_argument(env, argv[1])) < 0 ? -errno : 0);
}

static napi_value socket_name(napi_env env, napi_callback_info info, int (*call)(int, struct sockaddr *, socklen_t *)) {
  napi_value argv[1];
  exchange *shared = NULL;
  if (arguments_and_exchange(env, info, 1, argv, &shared) < 0) return result(env, -EINVAL);
  socklen_t length = sizeof shared->address;
  if (call(int_argument(env, argv[0]), (struct sockaddr *)shared->address, &length) < 0) return result(env, -errno);
  return result(env, length < sizeof shared->address ? length : sizeof shared->address);
}

static int own_name(int descriptor, struct sockaddr *address, socklen_t *length) {
  return getsockname(descriptor, address, length);
}

static int peer_name(int descriptor, struct sockaddr *address, socklen_t *length) {
  return getpeername(descriptor, address, length);
}

/* getsockname(descriptor) -> bytes of the address, which is in the exchange */
napi_value handover_getsockname(napi_env env, napi_callback_info info) { return socket_name(env, info, own_name); }

/* getpeername(descriptor) -> bytes of the address, which is in the exchange */
napi_value handover_getpeername(napi_env env, napi_callback_info info) { return socket_name(env, info, peer_name); }

/* getsockopt(descriptor, level, name, bytes) -> how many bytes the option has */
napi_value handover_getsockopt(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  view bytes = {0};
  if (arguments(env, info, 4, argv) < 0 || !view_argument(env, argv[3], napi_uint8_array, &bytes)) return result(env, -EINVAL);
  socklen_t length = (socklen_t)bytes.length;
  int done = getsockopt(int_argument(env, argv[0]), int_argument(env, argv[1]), int_argument(env, argv[2]), bytes.data, &length);
  return result(env, done < 0 ? -errno : (int64_t)length);
}

/* setsockopt(descriptor, level, name, bytes) -> 0 */
napi_value handover_setsockopt(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  view bytes = {0};
  if (arguments(env, info, 4, argv) < 0 || !view_argument(env, argv[3], napi_uint8_array, &bytes)) return result(env, -EINVAL);
  int done = setsockopt(int_argument(env, argv[0]), int_argument(env, argv[1]), int_argument(env, argv[2]), bytes.data,
                        (socklen_t)bytes.length);
  return result(env, done < 0 ? -errno : 0);
}

/* peerCredentials(descriptor, Int32Array of 3) -> 0: pid, uid, gid; 0 for a pid that the system does not tell */
napi_value handover_peer_credentials(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  view out = {0};
  if (arguments(env, info, 2, argv) < 0 || !view_argument(env, argv[1], napi_int32_array, &out) || out.length < 3)
    return result(env, -EINVAL);
  int descriptor = int_argument(env, argv[0]);
  int32_t *row = out.data;
#ifdef SO_PEERCRED
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return result(env, -errno);
  /* Nobody would pass for a user of that number, and a listener for this process. */
  if (peer.uid == (uid_t)-1 || listens(descriptor)) return result(env, -ENOTCONN);
  row[0] = peer.pid;
  row[1] = (int32_t)peer.uid;
  row[2] = (int32_t)peer.gid;
#else
  uid_t user;
  gid_t group;
  pid_t process = 0;
  if (getpeereid(descriptor, &user, &group) < 0) return result(env, -errno);
#ifdef LOCAL_PEERPID
  socklen_t length = sizeof process;
  if (getsockopt(descriptor, SOL_LOCAL, LOCAL_PEERPID, &process, &length) < 0) process = 0;
#endif
  row[0] = process;
  row[1] = (int32_t)user;
  row[2] = (int32_t)group;
#endif
  return result(env, 0);
}

/*
 * peerPidfd(descriptor) -> a close-on-exec descriptor of the peer's process; -ENOPROTOOPT: this kernel has no such thing,
 * -ENODATA: there is no peer, -ESRCH: it has ended
 */
napi_value handover_peer_pidfd(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (arguments(env, info, 1, argv) < 0) return result(env, -EINVAL);
#ifdef SO_PEERPIDFD
  int descriptor = int_argument(env, argv[0]), process = -1;
  socklen_t length = sizeof process;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERPIDFD, &process, &length) < 0)
    /* Kernels before 6.16 say of a process that is gone that the argument is wrong. */
    return result(env, errno == EINVAL ? -ESRCH : -errno);
  /* The kernel vouches for whoever listens, too: for this process, say. */
  if (listens(descriptor)) {
    close(process);
    return result(env, -ENODATA);
  }
  if (fcntl(process, F_SETFD, FD_CLOEXEC) < 0) {
    int error = -errno;
    close(process);
    return result(env, error);
  }
  return result(env, process);
#else
  return result(env, -ENOPROTOOPT);
#endif
}

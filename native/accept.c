/* Many connections in one call: accept until the queue is empty or the caller's arrays are full. */
#define _GNU_SOURCE
#include "handover.h"

#include <unistd.h>

/* Errors that accept(2) passes on from the new connection: that connection is gone, the queue goes on. */
static bool belongs_to_the_connection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
#ifdef ENONET
    case ENONET:
#endif
      return true;
    default:
      return false;
  }
}

static int accept_one(int listener, struct sockaddr_storage *peer, socklen_t *length) {
#ifdef SOCK_CLOEXEC
  int descriptor = accept4(listener, (struct sockaddr *)peer, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return descriptor < 0 ? -errno : descriptor;
#else
  int descriptor = accept(listener, (struct sockaddr *)peer, length);
  if (descriptor < 0) return -errno;
  int error = close_on_exec_nonblocking(descriptor);
  if (error < 0) close(descriptor);
  return error < 0 ? error : descriptor;
#endif
}

/*
 * accept(listener, descriptors, peers, most) -> how many came, 0 when none waits.
 * An error is returned only when no connection came before it; the next call meets it again.
 */
napi_value handover_accept(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  view descriptors = {0}, peers = {0};
  if (arguments(env, info, 4, argv) < 0 || !view_argument(env, argv[1], napi_int32_array, &descriptors) ||
      !view_argument(env, argv[2], napi_uint8_array, &peers))
    return result(env, -EINVAL);
  int listener = int_argument(env, argv[0]);
  int32_t most = int_argument(env, argv[3]);
  if (!within(0, most, descriptors.length) || (size_t)most * ADDRESS_BYTES > peers.length) return result(env, -EINVAL);
  int32_t count = 0;
  while (count < most) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int descriptor = accept_one(listener, &peer, &length);
    if (descriptor < 0) {
      if (belongs_to_the_connection(-descriptor)) continue;
      if (descriptor == -EAGAIN || descriptor == -EWOULDBLOCK || count > 0) break;
      return result(env, descriptor);
    }
    ((int32_t *)descriptors.data)[count] = descriptor;
    encode_address(&peer, length, (uint8_t *)peers.data + (size_t)count * ADDRESS_BYTES);
    count++;
  }
  return result(env, count);
}

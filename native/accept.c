/* Many connections in one call: accept until the queue is empty or the caller's arrays are full. */
#define _GNU_SOURCE
#include "handover.h"

#include <string.h>
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
 * accept(listener, descriptors, peers, slot, most) -> how many came, 0 when none waits.
 * Each peer's address stands in a slot of `slot` bytes, cut off or filled up with zeros; the exchange has the length of
 * the last one. An error is returned only when no connection came before it; the next call meets it again.
 */
napi_value handover_accept(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  view descriptors = {0}, peers = {0};
  exchange *shared = NULL;
  if (arguments_and_exchange(env, info, 5, argv, &shared) < 0 ||
      !view_argument(env, argv[1], napi_int32_array, &descriptors) || !view_argument(env, argv[2], napi_uint8_array, &peers))
    return result(env, -EINVAL);
  int listener = int_argument(env, argv[0]);
  int32_t slot = int_argument(env, argv[3]), most = int_argument(env, argv[4]);
  if (!within(0, most, descriptors.length) || slot < 0 || (size_t)most * (size_t)slot > peers.length)
    return result(env, -EINVAL);
  int32_t count = 0;
  while (count < most) {
    struct sockaddr_storage peer;
    memset(&peer, 0, sizeof peer);
    socklen_t length = sizeof peer;
    int descriptor = accept_one(listener, &peer, &length);
    if (descriptor < 0) {
      /* A socket that does not listen gives errors that look as if a connection had brought them. */
      if (belongs_to_the_connection(-descriptor) && listens(listener)) continue;
      if (descriptor == -EAGAIN || descriptor == -EWOULDBLOCK || count > 0) break;
      return result(env, descriptor);
    }
    size_t size = (size_t)slot < sizeof peer ? (size_t)slot : sizeof peer;
    memcpy((uint8_t *)peers.data + (size_t)count * (size_t)slot, &peer, size);
    ((int32_t *)descriptors.data)[count] = descriptor;
    shared->address_length = (int32_t)(length < sizeof peer ? length : sizeof peer);
    count++;
  }
  return result(env, count);
}

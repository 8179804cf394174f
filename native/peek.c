/* The first bytes of many connections in one call: read, and left where they are. */
#include "handover.h"

#include <sys/types.h>

static int peek_one(int descriptor, uint8_t *bytes, size_t size) {
  ssize_t count;
  do count = recv(descriptor, bytes, size, MSG_PEEK | MSG_DONTWAIT);
  while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : (int)count;
}

/*
 * peek(descriptors, count, bytes, slot, lengths) -> 0: what has come on each of the first `count` sockets stands in a
 * slot of `slot` bytes, and how much that is in `lengths`: 0 at the end of the stream, or -errno (-EAGAIN: nothing yet).
 */
napi_value handover_peek(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  view descriptors = {0}, bytes = {0}, lengths = {0};
  if (arguments(env, info, 5, argv) < 0 || !view_argument(env, argv[0], napi_int32_array, &descriptors) ||
      !view_argument(env, argv[2], napi_uint8_array, &bytes) || !view_argument(env, argv[4], napi_int32_array, &lengths))
    return result(env, -EINVAL);
  int32_t count = int_argument(env, argv[1]), slot = int_argument(env, argv[3]);
  if (!within(0, count, descriptors.length) || !within(0, count, lengths.length) || slot < 1 ||
      (size_t)count * (size_t)slot > bytes.length)
    return result(env, -EINVAL);
  for (int32_t i = 0; i < count; i++)
    ((int32_t *)lengths.data)[i] =
        peek_one(((int32_t *)descriptors.data)[i], (uint8_t *)bytes.data + (size_t)i * (size_t)slot, (size_t)slot);
  return result(env, 0);
}

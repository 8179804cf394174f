/* The processors that this thread may run on; processes and threads that it starts inherit them. */
#define _GNU_SOURCE
#include "handover.h"

#include <sched.h>

/* affinity(bits Uint8Array of whole words, set 1 | get 0) -> 0; bit n of the bytes is processor n */
napi_value handover_affinity(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  view bits;
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
  if (!view_argument(env, argv[0], napi_uint8_array, &bits)) return result(env, -EINVAL);
#if defined(__linux__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  cpu_set_t *set = bits.data;
  if (int_argument(env, argv[1]) != 0) return result(env, sched_setaffinity(0, bits.length, set) < 0 ? -errno : 0);
  return result(env, sched_getaffinity(0, bits.length, set) < 0 ? -errno : 0);
#else
  return result(env, -ENOSYS);
#endif
}

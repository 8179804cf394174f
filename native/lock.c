/* Locks between processes. */
#include "handover.h"

#include <sys/file.h>

/* lock(descriptor) -> 0; -EAGAIN: another holds it. Held until the last copy of the descriptor is closed. */
napi_value handover_lock(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (arguments(env, info, 1, argv) < 0) return result(env, -EINVAL);
  return result(env, flock(int_argument(env, argv[0]), LOCK_EX | LOCK_NB) < 0 ? -errno : 0);
}

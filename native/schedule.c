/* How the kernel schedules this thread: as a batch job it is not woken in the middle of another's time slice. */
#define _GNU_SOURCE
#include "handover.h"

#include <sched.h>

/* schedule(1 batch | 0 normal) -> 0 */
napi_value handover_schedule(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (arguments(env, info, 1, argv) < 0) return result(env, -EINVAL);
#ifdef SCHED_BATCH
  struct sched_param parameters = {0};
  int policy = int_argument(env, argv[0]) != 0 ? SCHED_BATCH : SCHED_OTHER;
  return result(env, sched_setscheduler(0, policy, &parameters) < 0 ? -errno : 0);
#else
  return result(env, -ENOSYS);
#endif
}

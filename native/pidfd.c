/* Other processes: one held by a descriptor, and copies of its descriptors. Linux alone has either. */
#define _GNU_SOURCE
#include "handover.h"

#include <sys/syscall.h>
#include <unistd.h>

/* Linux had these before the C library's headers did; the numbers are the same on every architecture but Alpha. */
#ifdef __linux__
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#endif

/* pidfdOpen(pid) -> a close-on-exec descriptor of the process */
napi_value handover_pidfd_open(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (arguments(env, info, 1, argv) < 0) return result(env, -EINVAL);
#ifdef __linux__
  long descriptor = syscall(SYS_pidfd_open, int_argument(env, argv[0]), 0);
  return result(env, descriptor < 0 ? -errno : descriptor);
#else
  return result(env, -ENOSYS);
#endif
}

/* pidfdGetfd(pidfd, number) -> a close-on-exec copy of what the process has under this number */
napi_value handover_pidfd_getfd(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
#ifdef __linux__
  long copy = syscall(SYS_pidfd_getfd, int_argument(env, argv[0]), int_argument(env, argv[1]), 0);
  return result(env, copy < 0 ? -errno : copy);
#else
  return result(env, -ENOSYS);
#endif
}

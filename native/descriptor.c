/* Plain descriptors: closed, duplicated, asked whether they are ready. */
#define _GNU_SOURCE
#include "handover.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

int close_on_exec_nonblocking(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
  return fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
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

/* KCMP_FILE of <linux/kcmp.h>, which not every C library brings along. */
#define COMPARE_FILES 0

/* kcmp(one, other) -> 0: one open file description; 1: two; -ENOSYS where the system cannot tell */
napi_value handover_kcmp(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
#ifdef SYS_kcmp
  long self = getpid();
  long order =
      syscall(SYS_kcmp, self, self, (long)COMPARE_FILES, (long)int_argument(env, argv[0]), (long)int_argument(env, argv[1]));
  return result(env, order < 0 ? -errno : order != 0);
#else
  return result(env, -ENOSYS);
#endif
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

/* What a worker thread owns when it ends: bit n of the words stands for descriptor n. */
typedef struct {
  const uint32_t *words;
  size_t count;
} owned;

static void close_owned(void *data) {
  owned *self = data;
  for (size_t i = 0; i < self->count; i++)
    for (uint32_t bits = self->words[i], n = 0; bits != 0; bits >>= 1, n++)
      if ((bits & 1) != 0) close((int)(i * 32 + n));
  free(self);
}

/* closeAtEnd(Uint32Array) -> 0: closes the descriptors whose bits are set when this environment ends. Once. */
napi_value handover_close_at_end(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  view bits = {0};
  napi_ref held;
  if (arguments(env, info, 1, argv) < 0 || !view_argument(env, argv[0], napi_uint32_array, &bits)) return result(env, -EINVAL);
  owned *self = malloc(sizeof *self);
  if (self == NULL) return result(env, -ENOMEM);
  *self = (owned){.words = bits.data, .count = bits.length};
  /* The reference holds the memory until after the hook. */
  if (napi_create_reference(env, argv[0], 1, &held) != napi_ok ||
      napi_add_env_cleanup_hook(env, close_owned, self) != napi_ok) {
    free(self);
    return result(env, -ENOMEM);
  }
  return result(env, 0);
}

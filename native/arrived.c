/* Descriptors among received control messages: marked close-on-exec, or closed when nobody can be given them. */
#define _GNU_SOURCE
#include "message.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A control message that brings descriptors; each stands as an int in its data. */
static bool brings_descriptors(const control_entry *entry) {
#ifdef __linux__
  if (entry->level == SOL_SOCKET && entry->type == SCM_PIDFD) return true;
#endif
  return entry->level == SOL_SOCKET && entry->type == SCM_RIGHTS;
}

static void each_descriptor(const uint8_t *control, const control_entry *entries, int32_t count, void (*act)(int)) {
  for (int32_t i = 0; i < count; i++) {
    if (!brings_descriptors(&entries[i])) continue;
    for (size_t at = 0; at + sizeof(int) <= (size_t)entries[i].length; at += sizeof(int)) {
      int descriptor;
      memcpy(&descriptor, control + entries[i].offset + at, sizeof descriptor);
      if (descriptor >= 0) act(descriptor);
    }
  }
}

static void set_close_on_exec(int descriptor) { fcntl(descriptor, F_SETFD, FD_CLOEXEC); }

static void close_quietly(int descriptor) { close(descriptor); }

void mark_close_on_exec(const uint8_t *control, const control_entry *entries, int32_t count) {
  if (MSG_CMSG_CLOEXEC == 0) each_descriptor(control, entries, count, set_close_on_exec);
}

/*
 * closeListed(control, index, count) -> 0: closes every descriptor in the first `count` control messages of the index.
 * It needs no more stack of JavaScript's than the receive did, so that it works where that overflowed.
 */
napi_value handover_close_listed(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  view control = {0}, index = {0};
  if (arguments(env, info, 3, argv) < 0 || !view_argument(env, argv[0], napi_uint8_array, &control) ||
      !view_argument(env, argv[1], napi_int32_array, &index))
    return result(env, -EINVAL);
  int32_t count = int_argument(env, argv[2]);
  if (!within(0, count, index.length / 4)) return result(env, -EINVAL);
  const control_entry *entries = index.data;
  for (int32_t i = 0; i < count; i++)
    if (!within(entries[i].offset, entries[i].length, control.length)) return result(env, -EINVAL);
  each_descriptor(control.data, entries, count, close_quietly);
  return result(env, 0);
}

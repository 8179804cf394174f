/*
 * handover's native floor: the system calls and nothing else.
 *
 * Every function that JavaScript sees returns >= 0, or -errno. No exception is thrown for a
 * system error, EINTR never escapes, and no argument is checked here beyond what memory safety
 * needs: src/syscalls/ is the only caller and has already checked the rest.
 */
#ifndef HANDOVER_H
#define HANDOVER_H

#include "control.h"

#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Linux had it before the C library's headers did. */
#if defined(__linux__) && !defined(SCM_PIDFD)
#define SCM_PIDFD 4
#endif

/* Buffers in one message (UIO_MAXIOV, IOV_MAX). */
#define PARTS_PER_MESSAGE_MAX 1024

/* Bytes of control messages in one call; the kernel's own bound on sending is net.core.optmem_max. */
#define CONTROL_BYTES_MAX 65536
#define CONTROL_MESSAGES_MAX (CONTROL_BYTES_MAX / CMSG_SPACE(0) + 1)

/* A slot for any socket address, as the kernel writes it. */
#define ADDRESS_BYTES sizeof(struct sockaddr_storage)

/*
 * Memory that both sides see, one an environment: what a call takes and returns beside its result goes through here
 * and costs no allocation. Valid from one call to the next.
 */
typedef struct {
  int32_t flags;          /* of the message received last */
  int32_t address_length; /* of the address below */
  int32_t controls;       /* control messages listed in `index` */
  int32_t unused;
  uint8_t address[ADDRESS_BYTES];
  control_entry index[CONTROL_MESSAGES_MAX];
  uint8_t control[CONTROL_BYTES_MAX];
} exchange;

/* A view into the memory of a typed array. Valid until the call into JavaScript returns. */
typedef struct {
  void *data;
  size_t length; /* in elements */
} view;

/* What every function does first and last */
static inline int arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *out) {
  size_t count = wanted;
  if (napi_get_cb_info(env, info, &count, out, NULL, NULL) != napi_ok || count < wanted) return -EINVAL;
  return 0;
}

static inline int arguments_and_exchange(napi_env env, napi_callback_info info, size_t wanted, napi_value *out, exchange **shared) {
  size_t count = wanted;
  if (napi_get_cb_info(env, info, &count, out, NULL, (void **)shared) != napi_ok || count < wanted) return -EINVAL;
  return 0;
}

static inline int32_t int_argument(napi_env env, napi_value value) {
  int32_t number = -1;
  if (napi_get_value_int32(env, value, &number) != napi_ok) return -1;
  return number;
}

static inline bool view_argument(napi_env env, napi_value value, napi_typedarray_type type, view *out) {
  napi_typedarray_type actual;
  bool typed = false;
  if (napi_is_typedarray(env, value, &typed) != napi_ok || !typed) return false;
  if (napi_get_typedarray_info(env, value, &actual, &out->length, &out->data, NULL, NULL) != napi_ok) return false;
  return actual == type;
}

static inline napi_value result(napi_env env, int64_t number) {
  napi_value value = NULL;
  if (number == (int32_t)number) {
    napi_create_int32(env, (int32_t)number, &value);
  } else {
    napi_create_int64(env, number, &value);
  }
  return value;
}

/* True when [offset, offset + count) lies inside a view of `length` elements. */
static inline bool within(int32_t offset, int32_t count, size_t length) {
  return offset >= 0 && count >= 0 && (size_t)offset + (size_t)count <= length;
}

int close_on_exec_nonblocking(int descriptor);
bool listens(int descriptor);

napi_value handover_address_text(napi_env, napi_callback_info);
napi_value handover_address_bytes(napi_env, napi_callback_info);
napi_value handover_interface_index(napi_env, napi_callback_info);
napi_value handover_socket(napi_env, napi_callback_info);
napi_value handover_socketpair(napi_env, napi_callback_info);
napi_value handover_bind(napi_env, napi_callback_info);
napi_value handover_connect(napi_env, napi_callback_info);
napi_value handover_listen(napi_env, napi_callback_info);
napi_value handover_shutdown(napi_env, napi_callback_info);
napi_value handover_getsockname(napi_env, napi_callback_info);
napi_value handover_getpeername(napi_env, napi_callback_info);
napi_value handover_getsockopt(napi_env, napi_callback_info);
napi_value handover_setsockopt(napi_env, napi_callback_info);
napi_value handover_peer_credentials(napi_env, napi_callback_info);
napi_value handover_peer_pidfd(napi_env, napi_callback_info);
napi_value handover_identify(napi_env, napi_callback_info);
napi_value handover_pidfd_open(napi_env, napi_callback_info);
napi_value handover_pidfd_getfd(napi_env, napi_callback_info);
napi_value handover_lock(napi_env, napi_callback_info);
napi_value handover_forget_pipe_path(napi_env, napi_callback_info);
napi_value handover_close(napi_env, napi_callback_info);
napi_value handover_close_many(napi_env, napi_callback_info);
napi_value handover_dup(napi_env, napi_callback_info);
napi_value handover_set_close_on_exec(napi_env, napi_callback_info);
napi_value handover_kcmp(napi_env, napi_callback_info);
napi_value handover_poll(napi_env, napi_callback_info);
napi_value handover_schedule(napi_env, napi_callback_info);
napi_value handover_affinity(napi_env, napi_callback_info);
napi_value handover_accept(napi_env, napi_callback_info);
napi_value handover_peek(napi_env, napi_callback_info);
napi_value handover_sendmsg(napi_env, napi_callback_info);
napi_value handover_recvmsg(napi_env, napi_callback_info);
napi_value handover_sendmmsg(napi_env, napi_callback_info);
napi_value handover_recvmmsg(napi_env, napi_callback_info);
napi_value handover_ready_open(napi_env, napi_callback_info);
napi_value handover_ready_arm(napi_env, napi_callback_info);
napi_value handover_ready_take(napi_env, napi_callback_info);
napi_value handover_close_at_end(napi_env, napi_callback_info);
napi_value handover_close_listed(napi_env, napi_callback_info);
napi_value handover_watch_open(napi_env, napi_callback_info);
napi_value handover_watch_update(napi_env, napi_callback_info);
napi_value handover_watch_ref(napi_env, napi_callback_info);
napi_value handover_watch_close(napi_env, napi_callback_info);
void handover_constants(napi_env env, napi_value constants);

#endif

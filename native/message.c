/* sendmsg(2) and recvmsg(2) on buffers of JavaScript's. No call here blocks. */
#define _GNU_SOURCE
#include "message.h"

static bool bytes_of(napi_env env, napi_value value, struct iovec *part) {
  /* Only Uint8Arrays come. Of any other typed array this would be too few bytes, never too many. */
  return napi_get_typedarray_info(env, value, NULL, &part->iov_len, &part->iov_base, NULL, NULL) == napi_ok;
}

int64_t parts_of(napi_env env, napi_value value, struct iovec *parts, uint32_t most) {
  if (bytes_of(env, value, &parts[0])) return 1;
  uint32_t count;
  if (napi_get_array_length(env, value, &count) != napi_ok || count > most) return -EINVAL;
  for (uint32_t i = 0; i < count; i++) {
    napi_value part;
    if (napi_get_element(env, value, i, &part) != napi_ok || !bytes_of(env, part, &parts[i])) return -EINVAL;
  }
  return count;
}

/*
 * sendmsg(socket, bytes | [bytes …], flags, control messages, address bytes) -> bytes taken.
 * The exchange holds the control messages (index without offsets, data in place) and the address.
 */
napi_value handover_sendmsg(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  exchange *shared = NULL;
  if (arguments_and_exchange(env, info, 5, argv, &shared) < 0) return result(env, -EINVAL);
  int32_t controls = int_argument(env, argv[3]), address = int_argument(env, argv[4]);
  struct iovec parts[PARTS_PER_MESSAGE_MAX];
  int64_t count = parts_of(env, argv[1], parts, PARTS_PER_MESSAGE_MAX);
  if (count < 0 || !within(0, controls, CONTROL_MESSAGES_MAX) || !within(0, address, sizeof shared->address))
    return result(env, -EINVAL);
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
  if (controls > 0) {
    int64_t length = control_write(shared->control, sizeof shared->control, shared->index, controls);
    if (length < 0) return result(env, length);
    message.msg_control = shared->control;
    message.msg_controllen = (size_t)length;
  }
  if (address > 0) {
    message.msg_name = shared->address;
    message.msg_namelen = (socklen_t)address;
  }
  int socket = int_argument(env, argv[0]), flags = int_argument(env, argv[2]) | MSG_NOSIGNAL | MSG_DONTWAIT;
  ssize_t sent;
  do sent = sendmsg(socket, &message, flags);
  while (sent < 0 && errno == EINTR);
  return result(env, sent < 0 ? -errno : sent);
}

/*
 * recvmsg(socket, bytes | [bytes …], flags, control bytes) -> bytes received.
 * The exchange then holds the message flags, the sender's address, and the control messages. Their descriptors, all
 * close-on-exec, are the caller's, whatever the flags say.
 */
napi_value handover_recvmsg(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  exchange *shared = NULL;
  if (arguments_and_exchange(env, info, 4, argv, &shared) < 0) return result(env, -EINVAL);
  int32_t capacity = int_argument(env, argv[3]);
  struct iovec parts[PARTS_PER_MESSAGE_MAX];
  int64_t count = parts_of(env, argv[1], parts, PARTS_PER_MESSAGE_MAX);
  if (count < 0 || !within(0, capacity, sizeof shared->control)) return result(env, -EINVAL);
  struct msghdr message = {
      .msg_name = shared->address,
      .msg_iov = parts,
      .msg_iovlen = (size_t)count,
      .msg_control = capacity > 0 ? shared->control : NULL,
  };
  int socket = int_argument(env, argv[0]), flags = int_argument(env, argv[2]) | MSG_CMSG_CLOEXEC | MSG_DONTWAIT;
  ssize_t received;
  do {
    message.msg_namelen = sizeof shared->address;
    message.msg_controllen = (size_t)capacity;
    received = recvmsg(socket, &message, flags);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return result(env, -errno);
  shared->flags = message.msg_flags;
  shared->address_length = (int32_t)message.msg_namelen;
  shared->controls = control_index(shared->control, message.msg_controllen, shared->index, CONTROL_MESSAGES_MAX);
  mark_close_on_exec(shared->control, shared->index, shared->controls);
  return result(env, received);
}

/* sendmsg(2) and recvmsg(2) with one buffer and SCM_RIGHTS: what a channel needs, at the least cost. */
#define _GNU_SOURCE
#include "handover.h"

#include <string.h>
#include <unistd.h>

#define CONTROL_BYTES CMSG_SPACE(DESCRIPTORS_PER_MESSAGE_MAX * sizeof(int))

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

/*
 * sendRights(socket, bytes, offset, length, descriptors, first, count) -> bytes taken.
 * A short count means that all descriptors went with the first byte; after -EAGAIN nothing went.
 */
napi_value handover_send_rights(napi_env env, napi_callback_info info) {
  napi_value argv[7];
  view bytes = {0}, descriptors = {0};
  if (arguments(env, info, 7, argv) < 0 || !view_argument(env, argv[1], napi_uint8_array, &bytes) ||
      !view_argument(env, argv[4], napi_int32_array, &descriptors))
    return result(env, -EINVAL);
  int32_t offset = int_argument(env, argv[2]), length = int_argument(env, argv[3]);
  int32_t first = int_argument(env, argv[5]), count = int_argument(env, argv[6]);
  if (!within(offset, length, bytes.length) || !within(first, count, descriptors.length) ||
      count > DESCRIPTORS_PER_MESSAGE_MAX)
    return result(env, -EINVAL);

  union {
    char bytes[CONTROL_BYTES];
    struct cmsghdr align;
  } control;
  struct iovec part = {.iov_base = (uint8_t *)bytes.data + offset, .iov_len = (size_t)length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    size_t size = (size_t)count * sizeof(int);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), (int32_t *)descriptors.data + first, size);
  }
  ssize_t sent;
  do sent = sendmsg(int_argument(env, argv[0]), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  return result(env, sent < 0 ? -errno : sent);
}

/*
 * recvRights(socket, bytes, offset, length, descriptors, arrived) -> bytes received, 0 at the end of the stream.
 * arrived[0] is the number of descriptors written to `descriptors` from its start, arrived[1] the message flags.
 * The caller owns every one of them from here on, whatever the flags say.
 */
napi_value handover_recv_rights(napi_env env, napi_callback_info info) {
  napi_value argv[6];
  view bytes = {0}, descriptors = {0}, arrived = {0};
  if (arguments(env, info, 6, argv) < 0 || !view_argument(env, argv[1], napi_uint8_array, &bytes) ||
      !view_argument(env, argv[4], napi_int32_array, &descriptors) ||
      !view_argument(env, argv[5], napi_int32_array, &arrived) || arrived.length < 2 ||
      descriptors.length < DESCRIPTORS_PER_MESSAGE_MAX)
    return result(env, -EINVAL);
  int32_t offset = int_argument(env, argv[2]), length = int_argument(env, argv[3]);
  if (!within(offset, length, bytes.length)) return result(env, -EINVAL);

  union {
    char bytes[CONTROL_BYTES];
    struct cmsghdr align;
  } control;
  struct iovec part = {.iov_base = (uint8_t *)bytes.data + offset, .iov_len = (size_t)length};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t received;
  do received = recvmsg(int_argument(env, argv[0]), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (received < 0 && errno == EINTR);
  int32_t *out = arrived.data;
  out[0] = 0;
  out[1] = received < 0 ? 0 : message.msg_flags;
  if (received < 0) return result(env, -errno);
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    /* macOS keeps cmsg_len as sent when it truncates: no further than the control bytes that came. */
    size_t held = (size_t)(message.msg_control ? (char *)message.msg_control + message.msg_controllen - (char *)CMSG_DATA(header) : 0);
    size_t size = header->cmsg_len - CMSG_LEN(0);
    size_t count = (size < held ? size : held) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof descriptor);
      if (MSG_CMSG_CLOEXEC == 0) close_on_exec_nonblocking(descriptor);
      if (out[0] < DESCRIPTORS_PER_MESSAGE_MAX) {
        ((int32_t *)descriptors.data)[out[0]++] = descriptor;
      } else {
        close(descriptor); /* cannot come from a kernel that keeps its own bound */
        out[1] |= MSG_CTRUNC;
      }
    }
  }
  return result(env, received);
}

/* sendmmsg(2) and recvmmsg(2): many messages in one call, or one call each where the system has no more. */
#define _GNU_SOURCE
#include "message.h"

#include <stdlib.h>

#ifdef __GLIBC__
typedef struct mmsghdr many_header;
static int send_many(int socket, many_header *messages, unsigned count, int flags) {
  return sendmmsg(socket, messages, count, flags);
}
static int receive_many(int socket, many_header *messages, unsigned count, int flags) {
  return recvmmsg(socket, messages, count, flags, NULL);
}
#else
/*
 * One by one, also where the C library does no more: an error or a short count ends the row, and the error is met again
 * by the next call if it came after the first message.
 */
typedef struct {
  struct msghdr msg_hdr;
  unsigned msg_len;
} many_header;
static int send_many(int socket, many_header *messages, unsigned count, int flags) {
  for (unsigned i = 0; i < count; i++) {
    ssize_t sent = sendmsg(socket, &messages[i].msg_hdr, flags);
    if (sent < 0) return i > 0 ? (int)i : -1;
    messages[i].msg_len = (unsigned)sent;
    size_t wanted = 0;
    for (size_t part = 0; part < (size_t)messages[i].msg_hdr.msg_iovlen; part++)
      wanted += messages[i].msg_hdr.msg_iov[part].iov_len;
    if ((size_t)sent < wanted) return (int)i + 1;
  }
  return (int)count;
}
static int receive_many(int socket, many_header *messages, unsigned count, int flags) {
  for (unsigned i = 0; i < count; i++) {
    ssize_t received = recvmsg(socket, &messages[i].msg_hdr, flags);
    if (received < 0) return i > 0 ? (int)i : -1;
    messages[i].msg_len = (unsigned)received;
  }
  return (int)count;
}
#endif

/*
 * sendmmsg(socket, [bytes …], rows, count, control, index, addresses, flags) -> messages sent.
 * A row is [parts, control messages, address bytes] and becomes [bytes taken, …]. Parts, control messages and their
 * data follow each other in the order of the messages; addresses stand in slots of ADDRESS_BYTES.
 */
napi_value handover_sendmmsg(napi_env env, napi_callback_info info) {
  napi_value argv[8];
  view rows = {0}, control = {0}, index = {0}, addresses = {0};
  uint32_t parts_count;
  if (arguments(env, info, 8, argv) < 0 || napi_get_array_length(env, argv[1], &parts_count) != napi_ok ||
      !view_argument(env, argv[2], napi_int32_array, &rows) || !view_argument(env, argv[4], napi_uint8_array, &control) ||
      !view_argument(env, argv[5], napi_int32_array, &index) || !view_argument(env, argv[6], napi_uint8_array, &addresses))
    return result(env, -EINVAL);
  int32_t count = int_argument(env, argv[3]);
  if (!within(0, count, rows.length / 3) || (size_t)count * ADDRESS_BYTES > addresses.length) return result(env, -EINVAL);
  many_header *messages = calloc((size_t)count + 1, sizeof *messages);
  struct iovec *parts = calloc((size_t)parts_count + 1, sizeof *parts);
  int64_t done = messages == NULL || parts == NULL ? -ENOMEM : parts_of(env, argv[1], parts, parts_count);
  if (done >= 0) done = 0;
  size_t part = 0, at = 0, entry = 0;
  for (int32_t i = 0; i < count && done >= 0; i++) {
    const int32_t *row = (int32_t *)rows.data + (size_t)i * 3;
    struct msghdr *message = &messages[i].msg_hdr;
    if (!within((int32_t)part, row[0], parts_count) || !within((int32_t)entry, row[1], index.length / 4) ||
        !within(0, row[2], ADDRESS_BYTES)) {
      done = -EINVAL;
      break;
    }
    message->msg_iov = parts + part;
    message->msg_iovlen = (size_t)row[0];
    part += (size_t)row[0];
    if (row[2] > 0) {
      message->msg_name = (uint8_t *)addresses.data + (size_t)i * ADDRESS_BYTES;
      message->msg_namelen = (socklen_t)row[2];
    }
    if (row[1] == 0) continue;
    message->msg_control = (uint8_t *)control.data + at;
    done = control_write(message->msg_control, control.length - at, (control_entry *)index.data + entry, row[1]);
    if (done < 0) break;
    message->msg_controllen = (size_t)done;
    at += (size_t)done;
    entry += (size_t)row[1];
  }
  if (done >= 0) {
    int socket = int_argument(env, argv[0]), flags = int_argument(env, argv[7]) | MSG_NOSIGNAL | MSG_DONTWAIT;
    do done = send_many(socket, messages, (unsigned)count, flags);
    while (done < 0 && errno == EINTR);
    if (done < 0) done = -errno;
    for (int64_t i = 0; i < done; i++) ((int32_t *)rows.data)[i * 3] = (int32_t)messages[i].msg_len;
  }
  free(messages);
  free(parts);
  return result(env, done);
}

/*
 * recvmmsg(socket, bytes, count, size of each, control, control bytes of each, index, addresses, rows, flags)
 * -> messages received. A row becomes [bytes, flags, address bytes, control messages]; index entries follow each other
 * in the order of the messages, each offset counted from the start of `control`.
 */
napi_value handover_recvmmsg(napi_env env, napi_callback_info info) {
  napi_value argv[10];
  view bytes = {0}, control = {0}, index = {0}, addresses = {0}, rows = {0};
  if (arguments(env, info, 10, argv) < 0 || !view_argument(env, argv[1], napi_uint8_array, &bytes) ||
      !view_argument(env, argv[4], napi_uint8_array, &control) || !view_argument(env, argv[6], napi_int32_array, &index) ||
      !view_argument(env, argv[7], napi_uint8_array, &addresses) || !view_argument(env, argv[8], napi_int32_array, &rows))
    return result(env, -EINVAL);
  int32_t count = int_argument(env, argv[2]), size = int_argument(env, argv[3]), capacity = int_argument(env, argv[5]);
  size_t listed = capacity < 0 ? 0 : (size_t)capacity / CMSG_SPACE(0) + 1;
  if (count < 0 || size < 0 || capacity < 0 || (uint64_t)count * (uint64_t)size > bytes.length ||
      (uint64_t)count * (uint64_t)capacity > control.length || (size_t)count * ADDRESS_BYTES > addresses.length ||
      (size_t)count * 4 > rows.length || (size_t)count * listed > index.length / 4)
    return result(env, -EINVAL);
  many_header *messages = calloc((size_t)count + 1, sizeof *messages);
  struct iovec *parts = calloc((size_t)count + 1, sizeof *parts);
  if (messages == NULL || parts == NULL) {
    free(messages);
    free(parts);
    return result(env, -ENOMEM);
  }
  for (int32_t i = 0; i < count; i++) {
    struct msghdr *message = &messages[i].msg_hdr;
    parts[i] = (struct iovec){.iov_base = (uint8_t *)bytes.data + (size_t)i * size, .iov_len = (size_t)size};
    message->msg_iov = &parts[i];
    message->msg_iovlen = 1;
    message->msg_name = (uint8_t *)addresses.data + (size_t)i * ADDRESS_BYTES;
    message->msg_namelen = ADDRESS_BYTES;
    message->msg_control = capacity > 0 ? (uint8_t *)control.data + (size_t)i * capacity : NULL;
    message->msg_controllen = (size_t)capacity;
  }
  int socket = int_argument(env, argv[0]), flags = int_argument(env, argv[9]) | MSG_CMSG_CLOEXEC | MSG_DONTWAIT;
  int64_t done;
  do done = receive_many(socket, messages, (unsigned)count, flags);
  while (done < 0 && errno == EINTR);
  if (done < 0) done = -errno;
  control_entry *next = index.data;
  for (int64_t i = 0; i < done; i++) {
    struct msghdr *message = &messages[i].msg_hdr;
    int32_t *row = (int32_t *)rows.data + i * 4;
    row[0] = (int32_t)messages[i].msg_len;
    row[1] = message->msg_flags;
    row[2] = (int32_t)message->msg_namelen;
    row[3] = capacity > 0 ? control_index(message->msg_control, message->msg_controllen, next, (int32_t)listed) : 0;
    if (row[3] > 0) mark_close_on_exec(message->msg_control, next, row[3]);
    for (int32_t k = 0; k < row[3]; k++) next[k].offset += (int32_t)(i * capacity);
    next += row[3];
  }
  free(messages);
  free(parts);
  return result(env, done);
}

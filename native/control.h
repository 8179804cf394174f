/*
 * Control messages as bytes. Knows no Node and makes no call, so that a fuzzer can drive it alone (fuzz/).
 */
#ifndef HANDOVER_CONTROL_H
#define HANDOVER_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* One control message: where its data lies in the control bytes, and how long it is. */
typedef struct {
  int32_t level;
  int32_t type;
  int32_t offset;
  int32_t length;
} control_entry;

/*
 * Writes the headers of `count` messages whose data the caller has already put where it belongs: each message takes
 * CMSG_SPACE(length) bytes and its data starts CMSG_LEN(0) into them. Padding is zeroed. `offset` is not read.
 * Returns the bytes of all messages, or -EINVAL if they do not fit.
 */
int64_t control_write(uint8_t *control, size_t capacity, const control_entry *entries, int32_t count);

/*
 * Lists the messages of `length` received bytes, at most `most` of them. Data that a header announces and the bytes do
 * not hold is cut off: no entry reaches past `length`, whatever the bytes say. Returns how many there are.
 */
int32_t control_index(const uint8_t *control, size_t length, control_entry *entries, int32_t most);

#endif

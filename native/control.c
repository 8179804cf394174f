/* Control messages: headers written in place, received ones listed. The layout is that of CMSG_LEN and CMSG_SPACE. */
#include "control.h"

#include <errno.h>
#include <string.h>

int64_t control_write(uint8_t *control, size_t capacity, const control_entry *entries, int32_t count) {
  size_t at = 0;
  for (int32_t i = 0; i < count; i++) {
    if (entries[i].length < 0 || (size_t)entries[i].length > capacity) return -EINVAL;
    size_t length = (size_t)entries[i].length;
    size_t space = CMSG_SPACE(length), used = CMSG_LEN(length);
    if (space > capacity - at) return -EINVAL;
    struct cmsghdr header;
    memset(&header, 0, sizeof header);
    header.cmsg_len = used;
    header.cmsg_level = entries[i].level;
    header.cmsg_type = entries[i].type;
    memcpy(control + at, &header, sizeof header);
    memset(control + at + sizeof header, 0, CMSG_LEN(0) - sizeof header);
    memset(control + at + used, 0, space - used);
    at += space;
  }
  return (int64_t)at;
}

int32_t control_index(const uint8_t *control, size_t length, control_entry *entries, int32_t most) {
  size_t at = 0;
  int32_t count = 0;
  while (count < most && length - at >= CMSG_LEN(0)) {
    struct cmsghdr header;
    memcpy(&header, control + at, sizeof header);
    if (header.cmsg_len < CMSG_LEN(0)) break;
    size_t announced = header.cmsg_len - CMSG_LEN(0), held = length - at - CMSG_LEN(0);
    /* macOS keeps the length as sent when it truncates. */
    size_t size = announced < held ? announced : held;
    entries[count++] = (control_entry){
        .level = header.cmsg_level,
        .type = header.cmsg_type,
        .offset = (int32_t)(at + CMSG_LEN(0)),
        .length = (int32_t)size,
    };
    if (CMSG_SPACE(size) > length - at) break;
    at += CMSG_SPACE(size);
  }
  return count;
}

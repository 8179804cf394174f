/* What sending and receiving have in common, whether one message or many. */
#ifndef HANDOVER_MESSAGE_H
#define HANDOVER_MESSAGE_H

#include "handover.h"

#include <sys/uio.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

/* A Uint8Array, or an array of them: at most `most`. Returns how many, or -EINVAL. */
int64_t parts_of(napi_env env, napi_value value, struct iovec *parts, uint32_t most);

/* Where the kernel has no MSG_CMSG_CLOEXEC, received descriptors are marked one by one. */
void mark_close_on_exec(const uint8_t *control, const control_entry *entries, int32_t count);

#endif

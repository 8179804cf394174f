/*
 * The floor for bench/sendmsg.mjs: one thread sends a message over a pair of UNIX stream sockets and receives it.
 *
 *   sendmsg <bytes> <descriptors> <reused | fresh> <milliseconds>
 *
 * Memory to receive into is `reused`, or allocated and freed for each message. Prints nanoseconds a message.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 253, BYTES_MAX = 1 << 20, LAP = 64 };

typedef union {
  char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
  struct cmsghdr align;
} control_space;

static int ends[2], passed;
static size_t bytes, descriptors;
static int fresh;
static char *outgoing, *incoming;

static _Noreturn void fail(const char *call) {
  perror(call);
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void send_one(void) {
  control_space control;
  struct iovec part = {.iov_base = outgoing, .iov_len = bytes};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptors > 0) {
    size_t length = descriptors * sizeof(int);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(length);
    memset(control.bytes, 0, message.msg_controllen);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(length);
    for (size_t i = 0; i < descriptors; i++) ((int *)CMSG_DATA(header))[i] = passed;
  }
  if (sendmsg(ends[0], &message, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)bytes) fail("a short sendmsg");
}

/* Closes what came. Returns how many. */
static size_t close_received(struct msghdr *message) {
  size_t count = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t many = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < many; i++) close(((int *)CMSG_DATA(header))[i]);
    count += many;
  }
  return count;
}

/* A long message with descriptors takes two calls: the kernel ends a read behind the part that carries them. */
static void receive_one(void) {
  size_t received = 0, came = 0;
  do {
    control_space control;
    char *room = fresh ? malloc(bytes) : incoming;
    struct iovec part = {.iov_base = room, .iov_len = bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptors > 0) {
      message.msg_control = control.bytes;
      message.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
    }
    ssize_t got = recvmsg(ends[1], &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got <= 0) fail("recvmsg");
    received += (size_t)got;
    came += close_received(&message);
    __asm__ volatile("" : : "r"(room) : "memory"); /* or the allocation could be left out */
    if (fresh) free(room);
  } while (received < bytes);
  if (came != descriptors) fail("descriptors are missing: recvmsg");
}

/* Nanoseconds a message. */
static double run(int64_t nanoseconds) {
  int64_t count = 0, start = now(), elapsed;
  do {
    for (int i = 0; i < LAP; i++) {
      send_one();
      receive_one();
    }
    count += LAP;
    elapsed = now() - start;
  } while (elapsed < nanoseconds);
  return (double)elapsed / (double)count;
}

int main(int argc, char **argv) {
  double milliseconds = argc == 5 ? atof(argv[4]) : 0;
  if (argc == 5) {
    bytes = strtoul(argv[1], NULL, 10);
    descriptors = strtoul(argv[2], NULL, 10);
    fresh = strcmp(argv[3], "fresh") == 0;
  }
  if (bytes < 1 || bytes > BYTES_MAX || descriptors > DESCRIPTORS_MAX || milliseconds <= 0) {
    fprintf(stderr, "usage: sendmsg <1 to %d bytes> <0 to %d descriptors> <reused | fresh> <milliseconds>\n", BYTES_MAX,
            DESCRIPTORS_MAX);
    return 2;
  }
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) fail("socketpair");
  passed = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (passed < 0) fail("socket");
  outgoing = malloc(bytes);
  incoming = malloc(bytes);
  if (outgoing == NULL || incoming == NULL) fail("malloc");
  memset(outgoing, 'x', bytes);
  memset(incoming, 0, bytes);
  run((int64_t)(milliseconds * 5e5)); /* half the time to warm up, as in every contender */
  printf("%.1f\n", run((int64_t)(milliseconds * 1e6)));
  return 0;
}

/*
 * The floor for passing descriptors: one process sends, another receives and closes, and nobody claims anything.
 *
 *   passing <descriptors per message> <milliseconds>
 *
 * Prints descriptors per second.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 253 };

typedef union {
  char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
  struct cmsghdr align;
} control_space;

static _Noreturn void fail(const char *call) {
  perror(call);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The same descriptor again and again: what is measured is the passing. Ends with its parent's end of the pair. */
static _Noreturn void send_forever(int channel, int passed, int count) {
  control_space control;
  char byte = 0;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
  for (int i = 0; i < count; i++) ((int *)CMSG_DATA(header))[i] = passed;
  for (;;) {
    if (sendmsg(channel, &message, MSG_NOSIGNAL) == 1) continue;
    if (errno != ETOOMANYREFS) _exit(0);
    sched_yield(); /* without privileges no more may be in flight than a process may have open */
  }
}

/* @returns how many came with one message */
static int receive(int channel) {
  control_space control;
  char byte;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1) fail("recvmsg");
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL || (message.msg_flags & MSG_CTRUNC) != 0) fail("descriptors were cut off: recvmsg");
  int count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
  for (int i = 0; i < count; i++) close(((int *)CMSG_DATA(header))[i]);
  return count;
}

int main(int argc, char **argv) {
  int count = argc == 3 ? atoi(argv[1]) : 0;
  double seconds = argc == 3 ? atof(argv[2]) / 1000 : 0;
  if (count < 1 || count > DESCRIPTORS_MAX || seconds <= 0) {
    fprintf(stderr, "usage: passing <1 to %d descriptors per message> <milliseconds>\n", DESCRIPTORS_MAX);
    return 2;
  }
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) fail("socketpair");
  int passed = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (passed < 0) fail("socket");
  pid_t sender = fork();
  if (sender < 0) fail("fork");
  if (sender == 0) {
    close(pair[0]);
    send_forever(pair[1], passed, count);
  }
  close(pair[1]);
  int64_t received = 0;
  receive(pair[0]); /* the sender runs */
  double start = now(), elapsed;
  do {
    for (int i = 0; i < 64; i++) received += receive(pair[0]);
    elapsed = now() - start;
  } while (elapsed < seconds);
  close(pair[0]);
  waitpid(sender, NULL, 0);
  printf("%.0f\n", (double)received / elapsed);
  return 0;
}

/*
 * An ordinary client: a request over HTTP every few milliseconds, each on a connection of its own, and how long each
 * took from connect(2) to the last byte of the answer. One that had to wait for the one before counts from when it was
 * due, as its user would.
 *
 * usage: probe <port> <milliseconds between> <requests>
 * Prints one line of JSON: requests, errors, and p50, p99 and max in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define MICROSECOND 1000LL
/* Seconds after which an answer is an error */
#define PATIENCE 10

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * SECOND + time.tv_nsec;
}

static void sleep_until(int64_t when) {
  struct timespec time = {.tv_sec = when / SECOND, .tv_nsec = when % SECOND};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0);
}

/* A request to one of the two names in turn: 0, or -1 if it was not answered with 200. */
static int request(struct sockaddr_in *to, int number) {
  int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (client < 0) return -1;
  struct timeval patience = {.tv_sec = PATIENCE};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  char text[4096];
  int length = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %c.example\r\nConnection: close\r\n\r\n", 'a' + number % 2);
  int result = -1;
  size_t total = 0;
  if (connect(client, (struct sockaddr *)to, sizeof *to) == 0 && send(client, text, length, MSG_NOSIGNAL) == length) {
    ssize_t count;
    while (total < sizeof text && (count = recv(client, text + total, sizeof text - total, 0)) > 0) total += count;
    if (count == 0 && total > 12 && memcmp(text, "HTTP/1.1 200", 12) == 0) result = 0;
  }
  close(client);
  return result;
}

static int by_size(const void *a, const void *b) {
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return (left > right) - (left < right);
}

int main(int argc, char **argv) {
  if (argc != 4) return 100;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int64_t between = atoi(argv[2]) * 1000 * MICROSECOND;
  int requests = atoi(argv[3]), errors = 0;
  if (between <= 0 || requests <= 0) return 100;
  int64_t *times = calloc(requests, sizeof *times);
  if (times == NULL) return 111;
  int64_t due = now();
  for (int i = 0; i < requests; i++, due += between) {
    int64_t start = due;
    if (now() < due) {
      sleep_until(due);
      start = now();
    }
    errors += request(&to, i) < 0;
    times[i] = now() - start;
  }
  qsort(times, requests, sizeof *times, by_size);
  double p50 = times[requests / 2], p99 = times[requests * 99LL / 100], max = times[requests - 1];
  printf("{\"requests\":%d,\"errors\":%d,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}\n", requests, errors, p50 / MICROSECOND,
         p99 / MICROSECOND, max / MICROSECOND);
  free(times);
  return 0;
}

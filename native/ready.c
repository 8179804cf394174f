/*
 * Readiness of many descriptors behind one: an epoll or kqueue of our own, which the event loop then watches.
 *
 * libuv itself allows one watcher a descriptor, takes it up only at its next turn, and aborts the process when the
 * descriptor was closed by then. Here it is taken up at once, so that what is wrong with it is an error; and each wait
 * ends with its first event, unless every one is asked for: a file that lives on elsewhere when its number was closed here, which ends no watch, is
 * heard of once more at the most.
 */
#define _GNU_SOURCE
#include "handover.h"

#include <fcntl.h>
#include <unistd.h>

/* Events as JavaScript sees them */
#define READABLE 1
#define WRITABLE 2
#define URGENT 4
/* Asked for with others: each time more comes, until it is disarmed, and not again for what was there before */
#define EVERY_TIME 8

/* Events taken by one call */
#define EVENTS_MAX 64

#ifdef __linux__
#include <sys/epoll.h>

static int open_queue(void) {
  int queue = epoll_create1(EPOLL_CLOEXEC);
  return queue < 0 ? -errno : queue;
}

static int arm(int queue, int descriptor, int events) {
  struct epoll_event event = {.events = events & EVERY_TIME ? EPOLLET : EPOLLONESHOT, .data = {.fd = descriptor}};
  if (events & READABLE) event.events |= EPOLLIN | EPOLLRDHUP;
  if (events & WRITABLE) event.events |= EPOLLOUT;
  if (events & URGENT) event.events |= EPOLLPRI | EPOLLRDHUP;
  if ((events & ~EVERY_TIME) == 0) return epoll_ctl(queue, EPOLL_CTL_DEL, descriptor, &event) < 0 ? -errno : 0;
  /* What is reported every time is mostly armed once and then disarmed, the other again and again. */
  bool likely_new = (events & EVERY_TIME) != 0;
  if (epoll_ctl(queue, likely_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event) == 0) return 0;
  if (errno != (likely_new ? EEXIST : ENOENT)) return -errno;
  return epoll_ctl(queue, likely_new ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor, &event) < 0 ? -errno : 0;
}

static int take(int queue, int32_t *rows, int most) {
  struct epoll_event ready[EVENTS_MAX];
  int count = epoll_wait(queue, ready, most, 0);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < count; i++) {
    uint32_t came = ready[i].events;
    int events = 0;
    if (came & (EPOLLIN | EPOLLRDHUP)) events |= READABLE;
    if (came & EPOLLOUT) events |= WRITABLE;
    if (came & (EPOLLPRI | EPOLLRDHUP)) events |= URGENT;
    /* The next call on the descriptor meets the error, whichever it is. */
    if (came & (EPOLLERR | EPOLLHUP)) events |= READABLE | WRITABLE | URGENT;
    rows[2 * i] = ready[i].data.fd;
    rows[2 * i + 1] = events;
  }
  return count;
}
#else
#include <sys/event.h>
#include <sys/time.h>

#ifndef EVFILT_EXCEPT
#define EVFILT_EXCEPT EVFILT_READ
#define NOTE_OOB 0
#endif

static int open_queue(void) {
  int queue = kqueue();
  if (queue < 0) return -errno;
  fcntl(queue, F_SETFD, FD_CLOEXEC);
  return queue;
}

static int set_filter(int queue, int descriptor, int filter, unsigned notes, bool wanted, bool every_time) {
  struct kevent change;
  unsigned short wish = EV_ADD | (every_time ? EV_CLEAR : EV_ONESHOT);
  EV_SET(&change, descriptor, filter, wanted ? wish : EV_DELETE, notes, 0, NULL);
  if (kevent(queue, &change, 1, NULL, 0, NULL) == 0) return 0;
  return !wanted && errno == ENOENT ? 0 : -errno;
}

static int arm(int queue, int descriptor, int events) {
  bool every_time = (events & EVERY_TIME) != 0;
  int done = set_filter(queue, descriptor, EVFILT_READ, 0, (events & READABLE) != 0, every_time);
  if (done == 0) done = set_filter(queue, descriptor, EVFILT_WRITE, 0, (events & WRITABLE) != 0, every_time);
  if (done == 0 && EVFILT_EXCEPT != EVFILT_READ)
    done = set_filter(queue, descriptor, EVFILT_EXCEPT, NOTE_OOB, (events & URGENT) != 0, every_time);
  return done;
}

static int take(int queue, int32_t *rows, int most) {
  struct kevent ready[EVENTS_MAX];
  struct timespec now = {0};
  int count = kevent(queue, NULL, 0, ready, most, &now);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < count; i++) {
    rows[2 * i] = (int32_t)ready[i].ident;
    rows[2 * i + 1] = ready[i].filter == EVFILT_WRITE ? WRITABLE : ready[i].filter == EVFILT_READ ? READABLE : URGENT;
    if (ready[i].filter == EVFILT_READ && (ready[i].flags & EV_EOF)) rows[2 * i + 1] |= URGENT;
  }
  return count;
}
#endif

/* readyOpen() -> a descriptor that is readable whenever one of those armed at it is ready */
napi_value handover_ready_open(napi_env env, napi_callback_info info) {
  (void)info;
  return result(env, open_queue());
}

/* readyArm(queue, descriptor, events) -> 0: reports these events once; none: not any more */
napi_value handover_ready_arm(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  if (arguments(env, info, 3, argv) < 0) return result(env, -EINVAL);
  return result(env, arm(int_argument(env, argv[0]), int_argument(env, argv[1]), int_argument(env, argv[2])));
}

/* readyTake(queue, Int32Array) -> how many descriptors are ready: two numbers each, descriptor and events */
napi_value handover_ready_take(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  view rows = {0};
  if (arguments(env, info, 2, argv) < 0 || !view_argument(env, argv[1], napi_int32_array, &rows)) return result(env, -EINVAL);
  size_t most = rows.length / 2 < EVENTS_MAX ? rows.length / 2 : EVENTS_MAX;
  return result(env, take(int_argument(env, argv[0]), rows.data, (int)most));
}

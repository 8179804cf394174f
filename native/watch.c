/*
 * One readiness watcher a descriptor, in the event loop of whoever made it (uv_poll, level-triggered).
 *
 * A watcher borrows its descriptor: close the watcher first, then the descriptor, or epoll goes on reporting a
 * file that was passed on. When the environment ends (a worker thread, say) open watchers are closed by the hook
 * below; their descriptors are closed too, as nobody is left who could.
 */
#include "handover.h"

#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

typedef struct {
  uv_poll_t poll; /* first: libuv hands this pointer back */
  napi_env env;
  napi_ref callback;
  napi_async_context context;
  int descriptor;
  bool closing;
} watcher;

static void freed(uv_handle_t *handle) { free(handle); }

static void stop(watcher *self) {
  if (self->closing) return;
  self->closing = true;
  uv_poll_stop(&self->poll);
  uv_close((uv_handle_t *)&self->poll, freed);
}

static void environment_ends(void *data) {
  watcher *self = data;
  int descriptor = self->descriptor;
  stop(self);
  close(descriptor);
}

static void ready(uv_poll_t *poll, int status, int events) {
  watcher *self = (watcher *)poll;
  napi_handle_scope scope;
  napi_value callback, receiver, argv[2];
  if (self->closing || napi_open_handle_scope(self->env, &scope) != napi_ok) return;
  /* libuv says EBADF for a socket error (EPOLLERR) and stops: the reader will meet the true error. */
  napi_create_int32(self->env, status, &argv[0]);
  napi_create_int32(self->env, events, &argv[1]);
  napi_get_global(self->env, &receiver);
  if (napi_get_reference_value(self->env, self->callback, &callback) == napi_ok)
    napi_make_callback(self->env, self->context, receiver, callback, 2, argv, NULL);
  bool pending = false;
  if (napi_is_exception_pending(self->env, &pending) == napi_ok && pending) {
    napi_value error;
    if (napi_get_and_clear_last_exception(self->env, &error) == napi_ok) napi_fatal_exception(self->env, error);
  }
  napi_close_handle_scope(self->env, scope);
}

static watcher *watcher_argument(napi_env env, napi_value value) {
  void *data = NULL;
  return napi_get_value_external(env, value, &data) == napi_ok ? data : NULL;
}

/* watchOpen(descriptor, callback(status, events)) -> an opaque watcher that watches nothing yet, or -errno */
napi_value handover_watch_open(napi_env env, napi_callback_info info) {
  napi_value argv[2], name, external;
  uv_loop_t *loop = NULL;
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return result(env, -ENOSYS);
  watcher *self = calloc(1, sizeof *self);
  if (self == NULL) return result(env, -ENOMEM);
  self->env = env;
  self->descriptor = int_argument(env, argv[0]);
  int error = uv_poll_init(loop, &self->poll, self->descriptor);
  if (error < 0) {
    free(self);
    return result(env, error);
  }
  napi_create_string_utf8(env, "handover:watch", NAPI_AUTO_LENGTH, &name);
  if (napi_create_reference(env, argv[1], 1, &self->callback) != napi_ok ||
      napi_async_init(env, NULL, name, &self->context) != napi_ok ||
      napi_create_external(env, self, NULL, NULL, &external) != napi_ok) {
    if (self->callback != NULL) napi_delete_reference(env, self->callback);
    if (self->context != NULL) napi_async_destroy(env, self->context);
    stop(self);
    return result(env, -ENOMEM);
  }
  napi_add_env_cleanup_hook(env, environment_ends, self);
  return external;
}

/* watchUpdate(watcher, events) -> 0; no events: it stops, and the loop no longer waits for it */
napi_value handover_watch_update(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
  watcher *self = watcher_argument(env, argv[0]);
  if (self == NULL || self->closing) return result(env, -EINVAL);
  int events = int_argument(env, argv[1]);
  return result(env, events == 0 ? uv_poll_stop(&self->poll) : uv_poll_start(&self->poll, events, ready));
}

/* watchRef(watcher, 0 | 1) -> 0; 1: an active watcher keeps the process alive */
napi_value handover_watch_ref(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (arguments(env, info, 2, argv) < 0) return result(env, -EINVAL);
  watcher *self = watcher_argument(env, argv[0]);
  if (self == NULL || self->closing) return result(env, -EINVAL);
  if (int_argument(env, argv[1]) != 0) {
    uv_ref((uv_handle_t *)&self->poll);
  } else {
    uv_unref((uv_handle_t *)&self->poll);
  }
  return result(env, 0);
}

/* watchClose(watcher) -> 0; the descriptor stays open. Call once: the watcher is gone afterwards. */
napi_value handover_watch_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (arguments(env, info, 1, argv) < 0) return result(env, -EINVAL);
  watcher *self = watcher_argument(env, argv[0]);
  if (self == NULL || self->closing) return result(env, -EINVAL);
  napi_remove_env_cleanup_hook(env, environment_ends, self);
  napi_delete_reference(env, self->callback);
  napi_async_destroy(env, self->context);
  stop(self);
  return result(env, 0);
}

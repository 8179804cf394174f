/*
 * Makes libuv forget the path of a listening UNIX socket, which it would unlink when the handle is closed.
 *
 * libuv has no call for that, but the path is a field of uv_pipe_t (`pipe_fname`), part of the ABI that version 1 keeps;
 * NULL there means that there is nothing to unlink. The bytes are lost: libuv's allocator made them, Node can have
 * replaced that, and there is no call to free them with. A few bytes a port that is handed away.
 */
#include "handover.h"

#include <uv.h>

typedef struct {
  uv_os_fd_t descriptor;
  bool found;
} search;

static void forget(uv_handle_t *handle, void *data) {
  search *self = data;
  uv_os_fd_t descriptor;
  if (handle->type != UV_NAMED_PIPE || uv_fileno(handle, &descriptor) < 0 || descriptor != self->descriptor) return;
  uv_pipe_t *pipe = (uv_pipe_t *)handle;
  /* Of an abstract name there is no file. */
  if (pipe->pipe_fname == NULL || pipe->pipe_fname[0] == 0) return;
  pipe->pipe_fname = NULL;
  self->found = true;
}

/* forgetPipePath(descriptor) -> 1, or 0 when no handle of this event loop has it and a path */
napi_value handover_forget_pipe_path(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  uv_loop_t *loop = NULL;
  if (arguments(env, info, 1, argv) < 0) return result(env, -EINVAL);
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return result(env, -ENOSYS);
  search for_it = {.descriptor = int_argument(env, argv[0])};
  uv_walk(loop, forget, &for_it);
  return result(env, for_it.found);
}

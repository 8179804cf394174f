/* What JavaScript sees of the native floor: one function a system call, the exchange, and the constants. */
#include "handover.h"

#include <string.h>

static void add_function(napi_env env, napi_value exports, const char *name, napi_callback call, exchange *shared) {
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, call, shared, &function) == napi_ok)
    napi_set_named_property(env, exports, name, function);
}

/* The reference holds the memory for as long as the environment lives. */
static exchange *add_exchange(napi_env env, napi_value exports) {
  napi_value buffer;
  napi_ref held;
  void *memory = NULL;
  if (napi_create_arraybuffer(env, sizeof(exchange), &memory, &buffer) != napi_ok ||
      napi_create_reference(env, buffer, 1, &held) != napi_ok)
    return NULL;
  memset(memory, 0, sizeof(exchange));
  napi_set_named_property(env, exports, "exchange", buffer);
  return memory;
}

NAPI_MODULE_INIT() {
  exchange *shared = add_exchange(env, exports);
  if (shared == NULL) {
    napi_throw_error(env, NULL, "no memory for the exchange");
    return NULL;
  }
  add_function(env, exports, "addressText", handover_address_text, shared);
  add_function(env, exports, "addressBytes", handover_address_bytes, shared);
  add_function(env, exports, "interfaceIndex", handover_interface_index, shared);
  add_function(env, exports, "socket", handover_socket, shared);
  add_function(env, exports, "socketpair", handover_socketpair, shared);
  add_function(env, exports, "bind", handover_bind, shared);
  add_function(env, exports, "connect", handover_connect, shared);
  add_function(env, exports, "listen", handover_listen, shared);
  add_function(env, exports, "shutdown", handover_shutdown, shared);
  add_function(env, exports, "getsockname", handover_getsockname, shared);
  add_function(env, exports, "getpeername", handover_getpeername, shared);
  add_function(env, exports, "getsockopt", handover_getsockopt, shared);
  add_function(env, exports, "setsockopt", handover_setsockopt, shared);
  add_function(env, exports, "peerCredentials", handover_peer_credentials, shared);
  add_function(env, exports, "peerPidfd", handover_peer_pidfd, shared);
  add_function(env, exports, "identify", handover_identify, shared);
  add_function(env, exports, "pidfdOpen", handover_pidfd_open, shared);
  add_function(env, exports, "pidfdGetfd", handover_pidfd_getfd, shared);
  add_function(env, exports, "lock", handover_lock, shared);
  add_function(env, exports, "forgetPipePath", handover_forget_pipe_path, shared);
  add_function(env, exports, "close", handover_close, shared);
  add_function(env, exports, "closeMany", handover_close_many, shared);
  add_function(env, exports, "dup", handover_dup, shared);
  add_function(env, exports, "setCloseOnExec", handover_set_close_on_exec, shared);
  add_function(env, exports, "kcmp", handover_kcmp, shared);
  add_function(env, exports, "poll", handover_poll, shared);
  add_function(env, exports, "schedule", handover_schedule, shared);
  add_function(env, exports, "affinity", handover_affinity, shared);
  add_function(env, exports, "accept", handover_accept, shared);
  add_function(env, exports, "peek", handover_peek, shared);
  add_function(env, exports, "sendmsg", handover_sendmsg, shared);
  add_function(env, exports, "recvmsg", handover_recvmsg, shared);
  add_function(env, exports, "sendmmsg", handover_sendmmsg, shared);
  add_function(env, exports, "recvmmsg", handover_recvmmsg, shared);
  add_function(env, exports, "readyOpen", handover_ready_open, shared);
  add_function(env, exports, "readyArm", handover_ready_arm, shared);
  add_function(env, exports, "readyTake", handover_ready_take, shared);
  add_function(env, exports, "closeAtEnd", handover_close_at_end, shared);
  add_function(env, exports, "closeListed", handover_close_listed, shared);
  add_function(env, exports, "watchOpen", handover_watch_open, shared);
  add_function(env, exports, "watchUpdate", handover_watch_update, shared);
  add_function(env, exports, "watchRef", handover_watch_ref, shared);
  add_function(env, exports, "watchClose", handover_watch_close, shared);

  napi_value constants;
  if (napi_create_object(env, &constants) == napi_ok) {
    handover_constants(env, constants);
    napi_set_named_property(env, exports, "constants", constants);
  }
  return exports;
}

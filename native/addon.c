/* What JavaScript sees of the native floor: one function a system call, and the constants they take. */
#include "handover.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <uv.h>

static void add_function(napi_env env, napi_value exports, const char *name, napi_callback call) {
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, call, NULL, &function) == napi_ok)
    napi_set_named_property(env, exports, name, function);
}

static void add_constant(napi_env env, napi_value constants, const char *name, int64_t number) {
  napi_value value;
  if (napi_create_int64(env, number, &value) == napi_ok) napi_set_named_property(env, constants, name, value);
}

static void add_constants(napi_env env, napi_value exports) {
  napi_value constants;
  if (napi_create_object(env, &constants) != napi_ok) return;
#define CONSTANT(name) add_constant(env, constants, #name, name)
  CONSTANT(AF_INET);
  CONSTANT(AF_INET6);
  CONSTANT(AF_UNIX);
  CONSTANT(SOCK_STREAM);
  CONSTANT(SOL_SOCKET);
  CONSTANT(SO_REUSEADDR);
#ifdef SO_REUSEPORT
  CONSTANT(SO_REUSEPORT);
#endif
  CONSTANT(SO_TYPE);
#ifdef SO_DOMAIN
  CONSTANT(SO_DOMAIN);
#endif
  CONSTANT(IPPROTO_IPV6);
  CONSTANT(IPV6_V6ONLY);
  CONSTANT(MSG_CTRUNC);
  CONSTANT(POLLIN);
  CONSTANT(POLLOUT);
  CONSTANT(UV_READABLE);
  CONSTANT(UV_WRITABLE);
  CONSTANT(ADDRESS_BYTES);
  CONSTANT(DESCRIPTORS_PER_MESSAGE_MAX);
#undef CONSTANT
  napi_set_named_property(env, exports, "constants", constants);
}

NAPI_MODULE_INIT() {
  add_function(env, exports, "addressText", handover_address_text);
  add_function(env, exports, "socket", handover_socket);
  add_function(env, exports, "socketpair", handover_socketpair);
  add_function(env, exports, "bind", handover_bind);
  add_function(env, exports, "bindPath", handover_bind_path);
  add_function(env, exports, "connectPath", handover_connect_path);
  add_function(env, exports, "listen", handover_listen);
  add_function(env, exports, "getsockname", handover_getsockname);
  add_function(env, exports, "getpeername", handover_getpeername);
  add_function(env, exports, "getsockopt", handover_getsockopt);
  add_function(env, exports, "setsockopt", handover_setsockopt);
  add_function(env, exports, "close", handover_close);
  add_function(env, exports, "closeMany", handover_close_many);
  add_function(env, exports, "dup", handover_dup);
  add_function(env, exports, "setCloseOnExec", handover_set_close_on_exec);
  add_function(env, exports, "poll", handover_poll);
  add_function(env, exports, "schedule", handover_schedule);
  add_function(env, exports, "accept", handover_accept);
  add_function(env, exports, "sendRights", handover_send_rights);
  add_function(env, exports, "recvRights", handover_recv_rights);
  add_function(env, exports, "watchOpen", handover_watch_open);
  add_function(env, exports, "watchUpdate", handover_watch_update);
  add_function(env, exports, "watchRef", handover_watch_ref);
  add_function(env, exports, "watchClose", handover_watch_close);
  add_constants(env, exports);
  return exports;
}

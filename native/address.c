/* Addresses between bytes and text. The socket addresses around them are put together in TypeScript. */
#include "handover.h"

#include <arpa/inet.h>
#include <net/if.h>

static size_t address_size(int family) { return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0; }

/* addressText(family, bytes, offset) -> the numeric address as text, "" for an unknown family */
napi_value handover_address_text(napi_env env, napi_callback_info info) {
  napi_value argv[3], text = NULL;
  view bytes = {0};
  char buffer[INET6_ADDRSTRLEN] = "";
  if (arguments(env, info, 3, argv) == 0 && view_argument(env, argv[1], napi_uint8_array, &bytes)) {
    int family = int_argument(env, argv[0]);
    int32_t offset = int_argument(env, argv[2]);
    size_t size = address_size(family);
    if (size > 0 && within(offset, (int32_t)size, bytes.length))
      inet_ntop(family, (uint8_t *)bytes.data + offset, buffer, sizeof buffer);
  }
  napi_create_string_latin1(env, buffer, NAPI_AUTO_LENGTH, &text);
  return text;
}

/* addressBytes(family, text, bytes, offset) -> 1, or 0 when the text is no numeric address of this family */
napi_value handover_address_bytes(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  view bytes = {0};
  char text[INET6_ADDRSTRLEN + 1];
  size_t length = 0;
  if (arguments(env, info, 4, argv) < 0 || !view_argument(env, argv[2], napi_uint8_array, &bytes) ||
      napi_get_value_string_utf8(env, argv[1], text, sizeof text, &length) != napi_ok)
    return result(env, -EINVAL);
  int family = int_argument(env, argv[0]);
  int32_t offset = int_argument(env, argv[3]);
  size_t size = address_size(family);
  if (size == 0 || !within(offset, (int32_t)size, bytes.length)) return result(env, -EINVAL);
  return result(env, inet_pton(family, text, (uint8_t *)bytes.data + offset));
}

/* interfaceIndex(name) -> its index, 0 when this machine has none of that name */
napi_value handover_interface_index(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  char name[IF_NAMESIZE + 1];
  size_t length = 0;
  if (arguments(env, info, 1, argv) < 0 ||
      napi_get_value_string_utf8(env, argv[0], name, sizeof name, &length) != napi_ok)
    return result(env, -EINVAL);
  return result(env, length < IF_NAMESIZE ? if_nametoindex(name) : 0);
}

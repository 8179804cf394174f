/* Addresses: sockaddr to the 24-byte record of handover.h, and the record to text. */
#include "handover.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

void encode_address(const struct sockaddr_storage *from, socklen_t length, uint8_t *record) {
  memset(record, 0, ADDRESS_BYTES);
  if (length < sizeof(from->ss_family)) return;
  if (from->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
    uint16_t port = ntohs(v4->sin_port);
    record[0] = 4;
    memcpy(record + 2, &port, sizeof port);
    memcpy(record + 8, &v4->sin_addr, 4);
  } else if (from->ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
    uint16_t port = ntohs(v6->sin6_port);
    uint32_t scope = v6->sin6_scope_id;
    record[0] = 6;
    memcpy(record + 2, &port, sizeof port);
    memcpy(record + 4, &scope, sizeof scope);
    memcpy(record + 8, &v6->sin6_addr, 16);
  } else if (from->ss_family == AF_UNIX) {
    record[0] = 1;
  }
}

/* addressText(records, offset) -> string: the numeric address of one IP record, "" for any other. */
napi_value handover_address_text(napi_env env, napi_callback_info info) {
  napi_value argv[2], text = NULL;
  view records = {0};
  char buffer[INET6_ADDRSTRLEN] = "";
  if (arguments(env, info, 2, argv) == 0 && view_argument(env, argv[0], napi_uint8_array, &records)) {
    int32_t offset = int_argument(env, argv[1]);
    if (within(offset, ADDRESS_BYTES, records.length)) {
      const uint8_t *record = (const uint8_t *)records.data + offset;
      if (record[0] == 4) inet_ntop(AF_INET, record + 8, buffer, sizeof buffer);
      if (record[0] == 6) inet_ntop(AF_INET6, record + 8, buffer, sizeof buffer);
    }
  }
  napi_create_string_latin1(env, buffer, NAPI_AUTO_LENGTH, &text);
  return text;
}

/* Who a descriptor is: one line of text that every process of this machine composes alike. */
#define _GNU_SOURCE
#include "handover.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

/* The longest: two addresses in hexadecimal digits, and six numbers. Composed by hand, as printf costs more than the calls. */
typedef struct {
  char text[4 * ADDRESS_BYTES + 256];
  size_t length;
} line;

static void put(line *to, const char *text) {
  size_t length = strlen(text);
  memcpy(to->text + to->length, text, length);
  to->length += length;
}

static void put_number(line *to, uint64_t number) {
  char digits[20];
  size_t count = 0;
  do digits[count++] = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  while (count > 0) to->text[to->length++] = digits[--count];
}

static void put_word(line *to, uint64_t number) {
  put(to, " ");
  put_number(to, number);
}

static void put_hex(line *to, const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    to->text[to->length++] = "0123456789abcdef"[bytes[i] >> 4];
    to->text[to->length++] = "0123456789abcdef"[bytes[i] & 15];
  }
}

static void put_ipv4(line *to, const uint8_t *bytes) {
  for (int i = 0; i < 4; i++) {
    if (i > 0) put(to, ".");
    put_number(to, bytes[i]);
  }
}

/* No scope: the interface is part of where a socket is, not of who it is. */
static void put_ipv6(line *to, const struct in6_addr *address) {
  put(to, "[");
  if (IN6_IS_ADDR_V4MAPPED(address)) {
    put(to, "::ffff:");
    put_ipv4(to, address->s6_addr + 12);
  } else {
    char text[INET6_ADDRSTRLEN] = "";
    put(to, inet_ntop(AF_INET6, address, text, sizeof text));
  }
  put(to, "]");
}

/* A path without its terminator, or a whole abstract name; true when there is either. */
static bool put_unix(line *to, const struct sockaddr_un *address, socklen_t length) {
  const uint8_t *name = (const uint8_t *)address->sun_path;
  if (length <= offsetof(struct sockaddr_un, sun_path)) return false;
  size_t count = length - offsetof(struct sockaddr_un, sun_path);
#ifdef __linux__
  if (name[0] != 0) count = strnlen((const char *)name, count);
#else
  count = strnlen((const char *)name, count); /* no abstract names: zeros are no name */
#endif
  if (count == 0) return false;
  put(to, "unix:");
  put_hex(to, name, count);
  return true;
}

typedef union {
  struct sockaddr any;
  struct sockaddr_in ipv4;
  struct sockaddr_in6 ipv6;
  struct sockaddr_un path;
  struct sockaddr_storage room;
} address;

static void put_address(line *to, const address *of, socklen_t length) {
  put(to, " ");
  if (length < sizeof of->any.sa_family) {
    put(to, "-");
  } else if (of->any.sa_family == AF_INET && length >= sizeof of->ipv4) {
    put_ipv4(to, (const uint8_t *)&of->ipv4.sin_addr);
    put(to, ":");
    put_number(to, ntohs(of->ipv4.sin_port));
  } else if (of->any.sa_family == AF_INET6 && length >= sizeof of->ipv6) {
    put_ipv6(to, &of->ipv6.sin6_addr);
    put(to, ":");
    put_number(to, ntohs(of->ipv6.sin6_port));
  } else if (of->any.sa_family == AF_UNIX) {
    if (!put_unix(to, &of->path, length)) put(to, "-");
  } else {
    put(to, "raw:");
    put_hex(to, (const uint8_t *)of, length);
  }
}

/* Bytes of the address, 0 for none. */
static socklen_t name_of(int descriptor, int (*call)(int, struct sockaddr *, socklen_t *), address *of) {
  socklen_t length = sizeof *of;
  if (call(descriptor, &of->any, &length) < 0) return 0;
  return length < sizeof *of ? length : sizeof *of;
}

static int own_name(int descriptor, struct sockaddr *of, socklen_t *length) { return getsockname(descriptor, of, length); }
static int peer_name(int descriptor, struct sockaddr *of, socklen_t *length) { return getpeername(descriptor, of, length); }

/* An option that is a number; `otherwise` where this system has none of the kind. */
static int option(int descriptor, int name, int otherwise) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) < 0 ? otherwise : value;
}

/* What no other socket has: Linux counts them, elsewhere the inode number has to do. */
static uint64_t cookie_of(int descriptor) {
#ifdef SO_COOKIE
  uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0) return cookie;
#endif
  struct stat status;
  return fstat(descriptor, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

static void put_socket(line *to, int descriptor, int type) {
  address local, peer;
  socklen_t local_length = name_of(descriptor, own_name, &local);
  socklen_t peer_length = name_of(descriptor, peer_name, &peer);
  /* What has a peer does not listen: one call less for every connection. */
  bool listening = peer_length == 0 && listens(descriptor);
  int domain = local_length >= sizeof local.any.sa_family ? local.any.sa_family : AF_UNSPEC;
  int protocol = 0;
#ifdef SO_DOMAIN
  if (domain == AF_UNSPEC) domain = option(descriptor, SO_DOMAIN, AF_UNSPEC);
#endif
#ifdef SO_PROTOCOL
  protocol = option(descriptor, SO_PROTOCOL, 0);
#endif
  put(to, "socket");
  put_word(to, (uint64_t)domain);
  put_word(to, (uint64_t)type);
  put_word(to, (uint64_t)protocol);
  put_word(to, listening);
  put_word(to, cookie_of(descriptor));
  put_address(to, &local, local_length);
  put_address(to, &peer, peer_length);
}

static const char *type_of(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG: return "regular";
  case S_IFDIR: return "directory";
  case S_IFIFO: return "fifo";
  case S_IFCHR: return "character";
  case S_IFBLK: return "block";
  case S_IFLNK: return "link";
  default: return "other";
  }
}

/* identify(descriptor) -> the line, or -errno of fstat */
napi_value handover_identify(napi_env env, napi_callback_info info) {
  napi_value argv[1], text = NULL;
  line who;
  who.length = 0;
  if (arguments(env, info, 1, argv) < 0) return result(env, -EINVAL);
  int descriptor = int_argument(env, argv[0]);
  int type = option(descriptor, SO_TYPE, -1);
  if (type >= 0) {
    put_socket(&who, descriptor, type);
  } else {
    struct stat status;
    if (fstat(descriptor, &status) < 0) return result(env, -errno);
    put(&who, "file");
    put_word(&who, (uint64_t)status.st_dev);
    put_word(&who, (uint64_t)status.st_ino);
    put(&who, " ");
    put(&who, type_of(status.st_mode));
  }
  napi_create_string_latin1(env, who.text, who.length, &text);
  return text;
}

/*
 * A fuzzer for native/control.c: libFuzzer calls it with bytes, AddressSanitizer watches every access outside memory
 * that is allocated to the byte, and `hold` states what must be so. `npm run check:fuzz` builds and runs it.
 *
 * The first byte of an input says what the rest is. Even: control bytes as received. Odd: a table of control messages
 * to write, which are then listed again, whole and cut off anywhere.
 */
#include "control.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER CMSG_LEN(0)
#define WRITTEN_MAX 64 /* messages in a table */

static void hold(bool true_, const char *rule) {
  if (true_) return;
  fprintf(stderr, "control.c breaks a rule: %s\n", rule);
  abort();
}

/* Input as numbers; behind its end come zeros. */
typedef struct {
  const uint8_t *next;
  size_t left;
} input;

static uint32_t taken(input *from, size_t bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < bytes && from->left > 0; i++, from->left--) number = number << 8 | *from->next++;
  return number;
}

/* Never NULL, and not a byte longer than asked for, so that the first byte behind it is an error. */
static void *allocated(size_t size) {
  void *memory = malloc(size > 0 ? size : 1);
  if (memory == NULL) abort();
  return memory;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t length) {
  uint8_t *copy = allocated(length);
  if (length > 0) memcpy(copy, bytes, length);
  return copy;
}

/* What holds for any bytes. The list is the caller's to free. */
static control_entry *listed(const uint8_t *control, size_t length, int32_t most, int32_t *count) {
  control_entry *entries = allocated((size_t)most * sizeof *entries);
  memset(entries, 0xaa, (size_t)most * sizeof *entries);
  *count = control_index(control, length, entries, most);
  hold(*count >= 0 && *count <= most, "no more entries than there is room for");
  hold((size_t)*count <= length / CMSG_SPACE(0) + 1, "no more entries than headers fit into the bytes");
  size_t end = 0;
  for (int32_t i = 0; i < *count; i++) {
    hold(entries[i].offset >= 0 && entries[i].length >= 0, "an entry's numbers are not negative");
    size_t offset = (size_t)entries[i].offset, size = (size_t)entries[i].length;
    hold(offset >= end + HEADER, "an entry's header and data overlap no earlier ones");
    hold(offset <= length && size <= length - offset, "an entry ends within the bytes");
    struct cmsghdr header;
    memcpy(&header, control + offset - HEADER, sizeof header);
    hold(header.cmsg_level == entries[i].level && header.cmsg_type == entries[i].type, "level and type are the header's");
    hold(header.cmsg_len >= HEADER + size, "no entry is longer than its header says");
    hold(header.cmsg_len == HEADER + size || offset + size == length, "data is cut off only by the end of the bytes");
    end = offset + size;
  }
  return entries;
}

static void received(const uint8_t *bytes, size_t length, int32_t few) {
  uint8_t *control = copy_of(bytes, length);
  int32_t count, first;
  control_entry *all = listed(control, length, (int32_t)(length / CMSG_SPACE(0) + 2), &count);
  control_entry *some = listed(control, length, few, &first);
  hold(first == (count < few ? count : few), "with room for fewer the list has as many as fit");
  hold(memcmp(all, some, (size_t)first * sizeof *all) == 0, "with room for fewer the list starts the same");
  free(all);
  free(some);
  free(control);
}

/* A length as it may come: mostly short, at times long, at times no length at all. */
static int32_t length_from(input *from) {
  uint32_t kind = taken(from, 1);
  if (kind < 0xe0) return (int32_t)(kind & 0x3f);
  return (int32_t)taken(from, kind < 0xf8 ? 2 : 4);
}

/* Whether control_write has to take the table, reckoned on its own. Gives the bytes that it then takes. */
static bool fits(const control_entry *entries, int32_t count, size_t capacity, size_t *total) {
  uint64_t sum = 0;
  for (int32_t i = 0; i < count; i++) {
    if (entries[i].length < 0) return false;
    sum += (uint64_t)CMSG_SPACE((size_t)entries[i].length);
  }
  *total = (size_t)sum;
  return sum <= capacity;
}

static uint8_t data_byte(int32_t entry, size_t at) { return (uint8_t)(0x11 + (size_t)entry * 7 + at); }

static void put_data(uint8_t *control, const control_entry *entries, int32_t count) {
  size_t at = 0;
  for (int32_t i = 0; i < count; i++) {
    size_t size = (size_t)entries[i].length;
    for (size_t k = 0; k < size; k++) control[at + HEADER + k] = data_byte(i, k);
    at += CMSG_SPACE(size);
  }
}

/* The C library's own walk over what was written, against the list. */
static void walk(uint8_t *control, size_t total, const control_entry *entries, int32_t count) {
  struct msghdr message = {.msg_control = total > 0 ? control : NULL, .msg_controllen = total};
  int32_t i = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header), i++) {
    hold(i < count, "the C library finds no more messages");
    hold(header->cmsg_level == entries[i].level && header->cmsg_type == entries[i].type, "the C library reads the kind");
    hold(header->cmsg_len == CMSG_LEN((size_t)entries[i].length), "the C library reads the length");
    hold((uint8_t *)CMSG_DATA(header) == control + entries[i].offset, "the C library finds the data in the same place");
  }
  hold(i == count, "the C library finds as many messages");
}

static void written_whole(uint8_t *control, size_t total, const control_entry *entries, int32_t count) {
  int32_t found;
  control_entry *list = listed(control, total, WRITTEN_MAX + 1, &found);
  hold(found == count, "as many messages are listed as were written");
  size_t end = 0;
  for (int32_t i = 0; i < count; i++) {
    hold(list[i].level == entries[i].level && list[i].type == entries[i].type, "kinds are listed as they were written");
    hold(list[i].length == entries[i].length, "lengths are listed as they were written");
    hold((size_t)list[i].offset == end + HEADER, "data is listed where the caller put it");
    size_t size = (size_t)list[i].length, offset = (size_t)list[i].offset;
    for (size_t k = 0; k < size; k++) hold(control[offset + k] == data_byte(i, k), "data stays as the caller put it");
    end += CMSG_SPACE(size);
    for (size_t k = offset + size; k < end; k++) hold(control[k] == 0, "padding is zeroed");
  }
  walk(control, total, list, found);
  free(list);
}

static void write_table(input *from) {
  size_t capacity = taken(from, 2), cut = taken(from, 2);
  int32_t count = (int32_t)(taken(from, 1) % (WRITTEN_MAX + 1));
  control_entry *entries = allocated((size_t)count * sizeof *entries);
  for (int32_t i = 0; i < count; i++) {
    entries[i].level = (int32_t)taken(from, 4);
    entries[i].type = (int32_t)taken(from, 4);
    entries[i].offset = (int32_t)0xdeadbeef;
    entries[i].length = length_from(from);
  }
  size_t total = 0;
  bool accepted = fits(entries, count, capacity, &total);
  uint8_t *control = allocated(capacity);
  if (capacity > 0) memset(control, 0xee, capacity);
  if (accepted) put_data(control, entries, count);
  int64_t done = control_write(control, capacity, entries, count);
  hold(accepted ? done == (int64_t)total : done < 0, "a table is written exactly when it fits");
  if (accepted) {
    for (size_t i = total; i < capacity; i++) hold(control[i] == 0xee, "bytes behind the messages stay as they are");
    written_whole(control, total, entries, count);
    received(control, cut < total ? cut : total, count);
  }
  free(control);
  free(entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  input from = {.next = bytes, .left = length};
  uint32_t kind = taken(&from, 1);
  if (kind % 2 == 1) write_table(&from);
  else received(from.next, from.left, (int32_t)(kind / 2));
  return 0;
}

/* The file, console and exit functions of trecx/board.h through semihosting. */
#include "semihosting.h"

#include <stddef.h>
#include <string.h>

#include "trecx/board.h"

/* Mode numbers of SYS_OPEN: "rb" and "wb". */
#define OPEN_READ_BINARY 1u
#define OPEN_WRITE_BINARY 5u

#define STOPPED_APPLICATION_EXIT 0x20026u

int board_command_line(char *buffer, uint32_t size) {
  uint32_t block[2] = {(uint32_t)buffer, size};
  return semihosting_call(SYS_GET_CMDLINE, block) == 0 ? 0 : -1;
}

int board_open(const char *name, enum board_open_mode mode) {
  const uint32_t block[3] = {
      (uint32_t)name,
      mode == BOARD_READ ? OPEN_READ_BINARY : OPEN_WRITE_BINARY,
      (uint32_t)strlen(name),
  };
  return (int)semihosting_call(SYS_OPEN, block);
}

int board_seek(int handle, uint32_t position) {
  const uint32_t block[2] = {(uint32_t)handle, position};
  return semihosting_call(SYS_SEEK, block) == 0 ? 0 : -1;
}

/* SYS_READ and SYS_WRITE return the number of bytes that were NOT transferred. A host may move
 * fewer bytes than asked, so go on while there is progress. */
static int transfer(enum semihosting_operation operation, int handle, uint32_t data,
                    uint32_t count) {
  while (count > 0) {
    const uint32_t block[3] = {(uint32_t)handle, data, count};
    const uint32_t left = (uint32_t)semihosting_call(operation, block);
    if (left >= count) return -1;
    data += count - left;
    count = left;
  }
  return 0;
}

int board_read(int handle, void *data, uint32_t count) {
  return transfer(SYS_READ, handle, (uint32_t)data, count);
}

int board_write(int handle, const void *data, uint32_t count) {
  return transfer(SYS_WRITE, handle, (uint32_t)data, count);
}

int board_close(int handle) {
  const uint32_t block[1] = {(uint32_t)handle};
  return semihosting_call(SYS_CLOSE, block) == 0 ? 0 : -1;
}

void board_print(const char *text) {
  semihosting_call(SYS_WRITE0, text);
}

void board_exit(int code) {
  const uint32_t block[2] = {STOPPED_APPLICATION_EXIT, (uint32_t)code};
  semihosting_call(SYS_EXIT_EXTENDED, block);
  for (;;) {
  }
}

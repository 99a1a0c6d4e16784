/* The development machine as a board: the same applications with files, console and exit code
 * through the C library. It has no instruction counter and no stack of known size. */
#include "trecx/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILES 8

static FILE *files[MAX_FILES];
static int argument_count;
static char **arguments;

const uint32_t board_counter_hz = 0;

uint32_t board_counter(void) {
  return 0;
}

uint32_t board_stack_size(void) {
  return 0;
}

uint32_t board_stack_used(void) {
  return 0;
}

int board_command_line(char *buffer, uint32_t size) {
  uint32_t used = 0;
  for (int i = 0; i < argument_count; i++) {
    const uint32_t length = (uint32_t)strlen(arguments[i]);
    if (length + 1 > size - used) return -1;
    memcpy(buffer + used, arguments[i], length);
    used += length;
    buffer[used++] = ' ';
  }
  buffer[used > 0 ? used - 1 : 0] = '\0';
  return 0;
}

int board_open(const char *name, enum board_open_mode mode) {
  for (int i = 0; i < MAX_FILES; i++) {
    if (files[i] != NULL) continue;
    files[i] = fopen(name, mode == BOARD_READ ? "rb" : "wb");
    return files[i] != NULL ? i : -1;
  }
  return -1;
}

int board_seek(int handle, uint32_t position) {
  return fseek(files[handle], (long)position, SEEK_SET) == 0 ? 0 : -1;
}

int board_read(int handle, void *data, uint32_t count) {
  return fread(data, 1, count, files[handle]) == count ? 0 : -1;
}

int board_write(int handle, const void *data, uint32_t count) {
  /* Flush, so that whoever watches the file sees every finished record. */
  const int complete = fwrite(data, 1, count, files[handle]) == count;
  return complete && fflush(files[handle]) == 0 ? 0 : -1;
}

int board_close(int handle) {
  FILE *const file = files[handle];
  files[handle] = NULL;
  return fclose(file) == 0 ? 0 : -1;
}

void board_print(const char *text) {
  fputs(text, stderr);
}

void board_exit(int code) {
  exit(code);
}

/* The UART is standard input and output; the rate has no meaning. */
void board_uart_open(uint32_t baud) {
  (void)baud;
  setvbuf(stdin, NULL, _IONBF, 0);
  setvbuf(stdout, NULL, _IONBF, 0);
}

int board_uart_read(void) {
  const int byte = getchar();
  if (byte == EOF) exit(BOARD_EXIT_OK);
  return byte;
}

void board_uart_wait(void) {}

void board_uart_write(uint8_t byte) {
  putchar(byte);
}

int main(int argc, char **argv) {
  argument_count = argc;
  arguments = argv;
  return trecx_app();
}

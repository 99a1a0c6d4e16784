#include <stddef.h>

#include "mlperf.h"

#define END_OF_COMMAND '%'

enum line_event line_receive(line_buffer *line, uint8_t byte) {
  if (byte == END_OF_COMMAND) {
    const int is_too_long = line->is_too_long;
    line->text[line->length] = '\0';
    line->length = 0;
    line->is_too_long = 0;
    return is_too_long ? LINE_TOO_LONG : LINE_COMMAND;
  }
  if (byte < ' ') return LINE_INCOMPLETE;
  if (line->length < LINE_BYTES) {
    line->text[line->length++] = (char)byte;
  } else {
    line->is_too_long = 1;
  }
  return LINE_INCOMPLETE;
}

char *line_word(char **text) {
  char *word = *text;
  while (*word == ' ') word++;
  if (*word == '\0') return NULL;
  char *end = word;
  while (*end != ' ' && *end != '\0') end++;
  *text = *end == ' ' ? end + 1 : end;
  *end = '\0';
  return word;
}

int line_number(const char *word, uint32_t *value) {
  uint32_t sum = 0;
  if (*word == '\0') return -1;
  for (; *word != '\0'; word++) {
    const uint32_t digit = (uint32_t)(*word - '0');
    if (digit > 9 || sum > (UINT32_MAX - digit) / 10) return -1;
    sum = sum * 10 + digit;
  }
  *value = sum;
  return 0;
}

static int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int line_hexadecimal(const char *digits, uint8_t *bytes, const char **bad) {
  int count = 0;
  for (; digits[0] != '\0'; digits += 2) {
    if (digits[1] == '\0') return -1;
    const int high = digit_value(digits[0]), low = digit_value(digits[1]);
    if (high < 0 || low < 0) {
      *bad = digits;
      return -2;
    }
    bytes[count++] = (uint8_t)(high * 16 + low);
  }
  return count;
}

#include "mlperf.h"
#include "trecx/board.h"

void out_text(const char *text) {
  for (; *text != '\0'; text++) board_uart_write((uint8_t)*text);
}

void out_printable(const char *text) {
  for (; *text != '\0'; text++) {
    board_uart_write((uint8_t)*text < 0x7f ? (uint8_t)*text : (uint8_t)'?');
  }
}

void out_number(uint64_t value) {
  char digits[21];
  char *p = digits + sizeof digits - 1;
  *p = '\0';
  do {
    *--p = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  out_text(p);
}

void out_hexadecimal(uint8_t byte) {
  const char digits[3] = {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15], '\0'};
  out_text(digits);
}

void out_decimal(float value) {
  if (value < 0) {
    out_text("-");
    value = -value;
  }
  const float scaled = value * 1000.0f;
  if (!(scaled < 4.0e9f)) { /* not a number, or beyond what any score is */
    out_text("9999999.999");
    return;
  }
  uint32_t thousandths = (uint32_t)scaled;
  const float rest = scaled - (float)thousandths;
  if (rest > 0.5f || (rest == 0.5f && thousandths % 2 != 0)) thousandths++;
  out_number(thousandths / 1000);
  const char digits[5] = {'.', (char)('0' + thousandths / 100 % 10),
                          (char)('0' + thousandths / 10 % 10), (char)('0' + thousandths % 10),
                          '\0'};
  out_text(digits);
}

void out_end_line(void) {
  out_text("\r\n");
}

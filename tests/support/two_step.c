/* An application that decides itself, on the host: runs every sample of standard input through
 * kws_stem and kws_tail, and writes what a caller sees. Misuse is answered with error codes. */
#include <stdio.h>
#include <string.h>

#include "kws.h"

/* segment, class and outputs, as the test reads them */
static void write_result(const trecx_result *result) {
  const int32_t head[2] = {result->exit_index, result->class_index};
  fwrite(head, sizeof head, 1, stdout);
  fwrite(result->output, 1, KWS_OUTPUT_COUNT, stdout);
}

/* The number of the first misuse that is not answered as kws.h says; 0 when all are. */
static int misuse(void) {
  static const int8_t zeros[KWS_INPUT_BYTES];
  trecx_result result;
  if (kws_invoke(NULL, &result) != TRECX_ERR_ARGUMENT) return 1;
  if (kws_invoke(zeros, NULL) != TRECX_ERR_ARGUMENT) return 2;
  if (kws_stem(NULL, &result) != TRECX_ERR_ARGUMENT) return 3;
  if (kws_stem(zeros, NULL) != TRECX_ERR_ARGUMENT) return 4;
  if (kws_tail(NULL) != TRECX_ERR_ARGUMENT) return 5;
  if (kws_tail(&result) != TRECX_ERR_ORDER) return 6; /* nothing has run yet */
  if (kws_segment(KWS_SEGMENTS, zeros, &result) != TRECX_ERR_ARGUMENT) return 7;
  if (kws_segment(1, NULL, &result) != TRECX_ERR_ORDER) return 8;
  if (kws_stem(zeros, &result) < 0 || kws_tail(&result) != TRECX_OK) return 9;
  if (kws_tail(&result) != TRECX_ERR_ORDER) return 10; /* the hand-off is used up */
  return 0;
}

int main(void) {
  int8_t input[KWS_INPUT_BYTES];
  const int wrong = misuse();
  if (wrong != 0) return wrong;
  while (fread(input, 1, sizeof input, stdin) == sizeof input) {
    trecx_result stem, full, whole;
    const int stop = kws_stem(input, &stem);
    if (stop < 0) return 20;
    write_result(&stem);
    if (kws_tail(&full) != TRECX_OK) return 21;
    write_result(&full);
    /* The input's own place saves the copy and must give the same. */
    memcpy(kws_input(), input, sizeof input);
    if (kws_invoke(kws_input(), &whole) != TRECX_OK) return 22;
    if (whole.exit_index != (stop ? 0 : 1)) return 23;
    write_result(&whole);
  }
  return 0;
}

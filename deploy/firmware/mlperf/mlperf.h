/* The MLPerf Tiny device under test: what its files share. */
#ifndef TRECX_MLPERF_H
#define TRECX_MLPERF_H

#include <stdint.h>

#include "trecx/model.h"

/* What the benchmark knows of a model; generated with the firmware.
 *
 * The input arrives as raw bytes: int8 values of the model (raw == input), uint8 pixels (table
 * gives the int8 value of each), or float32 (little-endian; table is NULL; quantised with
 * input_scale and input_zero_point). Scores are the dequantised outputs, or for an anomaly detector
 * the mean square of their difference to the float32 input. */
typedef struct {
  const char *id; /* ic01, kws01, vww01 or ad01 */
  uint8_t *raw;
  uint32_t raw_bytes;
  int8_t *input;
  uint32_t input_values;
  const int8_t *table;
  float input_scale;
  int32_t input_zero_point;
  const float *output_scales; /* of each segment's exit */
  const int32_t *output_zero_points;
  int is_anomaly_detector;
  /* Clock cycles = ticks of board_counter * tick_cycles / cycle_ticks, rounded.
   * Microseconds = cycles * cycle_microseconds / microsecond_cycles, rounded down. */
  uint32_t tick_cycles, cycle_ticks;
  uint32_t cycle_microseconds, microsecond_cycles;
} mlperf_model;

extern const mlperf_model mlperf_config;

/* --- line.c: from bytes to commands ----------------------------------------------------------- */

#define LINE_BYTES 96 /* "db " and 31 bytes as hexadecimal digits are 65 */

typedef struct {
  char text[LINE_BYTES + 1];
  uint32_t length;
  int is_too_long;
} line_buffer;

enum line_event { LINE_INCOMPLETE, LINE_COMMAND, LINE_TOO_LONG };

/* Takes one received byte. At LINE_COMMAND, text holds the command without its end mark; the next
 * byte begins a new one. Control characters are skipped. */
enum line_event line_receive(line_buffer *line, uint8_t byte);

/* Cuts the next word off *text; NULL when there is none. */
char *line_word(char **text);

/* A decimal number. 0, or -1 for anything else, above UINT32_MAX included. */
int line_number(const char *word, uint32_t *value);

/* Bytes from hexadecimal digits. Returns how many, -1 for an odd number of digits, or -2 for
 * another character; then *bad points to the pair. Writes nothing but complete bytes. */
int line_hexadecimal(const char *digits, uint8_t *bytes, const char **bad);

/* --- out.c: text to the UART --------------------------------------------------------------------
 */

void out_text(const char *text);
/* Text that was received: '?' for every byte that is not ASCII. */
void out_printable(const char *text);
void out_number(uint64_t value);
void out_hexadecimal(uint8_t byte);
/* Three digits after the point, nearest, ties to even: as printf's %.3f. */
void out_decimal(float value);
void out_end_line(void);

/* --- tensor.c: between the benchmark's bytes and the model's ------------------------------------
 */

/* Fills config->input from config->raw. */
void tensor_load(const mlperf_model *config);

/* Prints the scores of a result, comma-separated. */
void tensor_print_scores(const mlperf_model *config, const trecx_result *result, uint32_t count);

#endif

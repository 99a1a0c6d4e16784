/* Batch runner: runs a model over the samples of a file and writes a record for each.
 *
 *   batch INPUT OUTPUT FIRST COUNT
 *
 * INPUT holds samples of input_bytes each; those from FIRST on are run, COUNT of them. OUTPUT is a
 * batch_header, then for each sample a batch_record and output_count bytes, then a batch_trailer.
 * All fields are little-endian. The model is the symbol that TRECX_MODEL names at build time. */
#include <stddef.h>
#include <string.h>

#include "trecx/board.h"
#include "trecx/model.h"

extern const trecx_model TRECX_MODEL;

#define COMMAND_LINE_BYTES 160
#define BATCH_MAGIC 0x31425254u /* "TRB1" */

typedef struct {
  uint32_t magic;
  uint32_t input_bytes;
  uint32_t output_count;
  uint32_t segment_count;
  uint32_t arena_bytes;
  uint32_t counter_hz;
  uint32_t empty_ticks; /* measured around a function that only returns */
} batch_header;

typedef struct {
  int32_t exit_index;
  int32_t class_index;
  uint32_t ticks; /* of board_counter, around the inference */
} batch_record;

typedef struct {
  uint32_t stack_size;
  uint32_t stack_used;
} batch_trailer;

typedef int invoke_function(const int8_t *input, trecx_result *result);

__attribute__((noipa)) int trecx_batch_empty(const int8_t *input, trecx_result *result) {
  (void)input;
  (void)result;
  return TRECX_OK;
}

/* The only place where an inference is called: a profiler finds its begin and end by this name. */
__attribute__((noipa)) uint32_t trecx_batch_measure(invoke_function *invoke, const int8_t *input,
                                                    trecx_result *result, int *status) {
  const uint32_t start = board_counter();
  *status = invoke(input, result);
  return board_counter() - start;
}

static uint8_t *guard(int after) {
  return TRECX_MODEL.guarded_arena + (after ? TRECX_CANARY_BYTES + TRECX_MODEL.arena_bytes : 0);
}

static void write_guards(void) {
  memset(guard(0), TRECX_CANARY, TRECX_CANARY_BYTES);
  memset(guard(1), TRECX_CANARY, TRECX_CANARY_BYTES);
}

static int guards_are_intact(void) {
  for (uint32_t i = 0; i < TRECX_CANARY_BYTES; i++) {
    if (guard(0)[i] != TRECX_CANARY || guard(1)[i] != TRECX_CANARY) return 0;
  }
  return 1;
}

static int write_header(int output) {
  batch_header header = {
      .magic = BATCH_MAGIC,
      .input_bytes = TRECX_MODEL.input_bytes,
      .output_count = TRECX_MODEL.output_count,
      .segment_count = TRECX_MODEL.segment_count,
      .arena_bytes = TRECX_MODEL.arena_bytes,
      .counter_hz = board_counter_hz,
  };
  trecx_result result;
  int status;
  header.empty_ticks = trecx_batch_measure(trecx_batch_empty, NULL, &result, &status);
  return board_write(output, &header, sizeof header);
}

static int run_sample(int input, int output) {
  int8_t *const buffer = TRECX_MODEL.input();
  trecx_result result = {0};
  batch_record record;
  int status;

  if (board_read(input, buffer, TRECX_MODEL.input_bytes) != 0) return BOARD_EXIT_IO;
  record.ticks = trecx_batch_measure(TRECX_MODEL.invoke, buffer, &result, &status);
  if (status < 0) return BOARD_EXIT_MODEL;
  if (!guards_are_intact()) return BOARD_EXIT_ARENA;
  record.exit_index = result.exit_index;
  record.class_index = result.class_index;
  if (board_write(output, &record, sizeof record) != 0 ||
      board_write(output, result.output, TRECX_MODEL.output_count) != 0) {
    return BOARD_EXIT_IO;
  }
  return BOARD_EXIT_OK;
}

static int run_batch(int input, int output, uint32_t first, uint32_t count) {
  if (write_header(output) != 0) return BOARD_EXIT_IO;
  if (board_seek(input, first * TRECX_MODEL.input_bytes) != 0) return BOARD_EXIT_IO;
  write_guards();
  for (uint32_t i = 0; i < count; i++) {
    const int code = run_sample(input, output);
    if (code != BOARD_EXIT_OK) return code;
  }
  const batch_trailer trailer = {board_stack_size(), board_stack_used()};
  return board_write(output, &trailer, sizeof trailer) == 0 ? BOARD_EXIT_OK : BOARD_EXIT_IO;
}

/* Cuts the next word off a line; NULL at its end. */
static char *next_word(char **line) {
  char *const word = *line;
  if (word == NULL || *word == '\0') return NULL;
  char *const space = strchr(word, ' ');
  if (space != NULL) *space = '\0';
  *line = space != NULL ? space + 1 : NULL;
  return word;
}

/* The number that a word of decimal digits stands for. 0, or -1 for anything else. */
static int parse_number(const char *word, uint32_t *value) {
  uint32_t sum = 0;
  if (word == NULL || *word == '\0') return -1;
  for (; *word != '\0'; word++) {
    const uint32_t digit = (uint32_t)(*word - '0');
    if (digit > 9 || sum > (UINT32_MAX - digit) / 10) return -1;
    sum = sum * 10 + digit;
  }
  *value = sum;
  return 0;
}

int trecx_app(void) {
  char text[COMMAND_LINE_BYTES];
  char *line = text;
  uint32_t first, count;

  if (board_command_line(text, sizeof text) != 0) return BOARD_EXIT_USAGE;
  next_word(&line); /* the program's name */
  const char *const input_name = next_word(&line);
  const char *const output_name = next_word(&line);
  if (input_name == NULL || output_name == NULL) return BOARD_EXIT_USAGE;
  if (parse_number(next_word(&line), &first) != 0) return BOARD_EXIT_USAGE;
  if (parse_number(next_word(&line), &count) != 0) return BOARD_EXIT_USAGE;

  const int input = board_open(input_name, BOARD_READ);
  if (input < 0) return BOARD_EXIT_USAGE;
  const int output = board_open(output_name, BOARD_WRITE);
  if (output < 0) return BOARD_EXIT_USAGE;
  const int code = run_batch(input, output, first, count);
  if (board_close(output) != 0 && code == BOARD_EXIT_OK) return BOARD_EXIT_IO;
  board_close(input);
  return code;
}

/* Batch runner: runs a model over the samples of a file and writes a record for each.
 *
 *   batch INPUT OUTPUT FIRST COUNT
 *
 * INPUT holds samples of input_bytes each; those from FIRST on are run, COUNT of them. OUTPUT is a
 * batch_header, then for each sample a batch_record and output_count bytes, then a batch_trailer.
 * All fields are little-endian. The model is the symbol that TRECX_MODEL names at build time. */
#include <stddef.h>

#include "common/samples.h"
#include "trecx/board.h"
#include "trecx/model.h"

extern const trecx_model TRECX_MODEL;

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

static int run_sample(const samples_job *job) {
  int8_t *const buffer = TRECX_MODEL.input();
  trecx_result result = {0};
  batch_record record;
  int status;

  if (board_read(job->input, buffer, TRECX_MODEL.input_bytes) != 0) return BOARD_EXIT_IO;
  record.ticks = trecx_batch_measure(TRECX_MODEL.invoke, buffer, &result, &status);
  if (status < 0) return BOARD_EXIT_MODEL;
  if (!guards_are_intact(&TRECX_MODEL)) return BOARD_EXIT_ARENA;
  record.exit_index = result.exit_index;
  record.class_index = result.class_index;
  if (board_write(job->output, &record, sizeof record) != 0 ||
      board_write(job->output, result.output, TRECX_MODEL.output_count) != 0) {
    return BOARD_EXIT_IO;
  }
  return BOARD_EXIT_OK;
}

static int run_samples(const samples_job *job) {
  if (write_header(job->output) != 0) return BOARD_EXIT_IO;
  guards_write(&TRECX_MODEL);
  for (uint32_t i = 0; i < job->count; i++) {
    const int code = run_sample(job);
    if (code != BOARD_EXIT_OK) return code;
  }
  const batch_trailer trailer = {board_stack_size(), board_stack_used()};
  return board_write(job->output, &trailer, sizeof trailer) == 0 ? BOARD_EXIT_OK : BOARD_EXIT_IO;
}

int trecx_app(void) {
  samples_job job;
  const int code = samples_open(&job, TRECX_MODEL.input_bytes);
  return code == BOARD_EXIT_OK ? samples_close(&job, run_samples(&job)) : code;
}

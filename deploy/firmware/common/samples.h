/* What the applications that run a file of samples share: their command line, and the guard words
 * beside the model's arena. */
#ifndef TRECX_SAMPLES_H
#define TRECX_SAMPLES_H

#include <stdint.h>

#include "trecx/model.h"

typedef struct {
  int input, output; /* open files */
  uint32_t first, count;
} samples_job;

/* Parses "PROGRAM INPUT OUTPUT FIRST COUNT", opens both files and moves the input to sample FIRST.
 * Returns BOARD_EXIT_OK or the code to exit with. */
int samples_open(samples_job *job, uint32_t sample_bytes);

/* Closes both files; `code`, or BOARD_EXIT_IO when that was BOARD_EXIT_OK and closing failed. */
int samples_close(const samples_job *job, int code);

void guards_write(const trecx_model *model);
int guards_are_intact(const trecx_model *model);

#endif

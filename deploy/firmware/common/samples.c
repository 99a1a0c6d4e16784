#include "samples.h"

#include <stddef.h>
#include <string.h>

#include "trecx/board.h"

#define COMMAND_LINE_BYTES 160

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

int samples_open(samples_job *job, uint32_t sample_bytes) {
  char text[COMMAND_LINE_BYTES];
  char *line = text;

  if (board_command_line(text, sizeof text) != 0) return BOARD_EXIT_USAGE;
  next_word(&line); /* the program's name */
  const char *const input_name = next_word(&line);
  const char *const output_name = next_word(&line);
  if (input_name == NULL || output_name == NULL) return BOARD_EXIT_USAGE;
  if (parse_number(next_word(&line), &job->first) != 0) return BOARD_EXIT_USAGE;
  if (parse_number(next_word(&line), &job->count) != 0) return BOARD_EXIT_USAGE;

  job->input = board_open(input_name, BOARD_READ);
  if (job->input < 0) return BOARD_EXIT_USAGE;
  job->output = board_open(output_name, BOARD_WRITE);
  if (job->output < 0) return BOARD_EXIT_USAGE;
  return board_seek(job->input, job->first * sample_bytes) == 0 ? BOARD_EXIT_OK : BOARD_EXIT_IO;
}

int samples_close(const samples_job *job, int code) {
  if (board_close(job->output) != 0 && code == BOARD_EXIT_OK) code = BOARD_EXIT_IO;
  board_close(job->input);
  return code;
}

static uint8_t *guard(const trecx_model *model, int after) {
  return model->guarded_arena + (after ? TRECX_CANARY_BYTES + model->arena_bytes : 0);
}

void guards_write(const trecx_model *model) {
  memset(guard(model, 0), TRECX_CANARY, TRECX_CANARY_BYTES);
  memset(guard(model, 1), TRECX_CANARY, TRECX_CANARY_BYTES);
}

int guards_are_intact(const trecx_model *model) {
  for (uint32_t i = 0; i < TRECX_CANARY_BYTES; i++) {
    if (guard(model, 0)[i] != TRECX_CANARY || guard(model, 1)[i] != TRECX_CANARY) return 0;
  }
  return 1;
}

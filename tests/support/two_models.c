/* Two models in one program, taking turns in one arena: for every pair of samples of the file "in"
 * (ic, then kws) writes segment, class and outputs of both to "out". */
#include <string.h>

#include "ic.h"
#include "kws.h"
#include "trecx/board.h"

static void paint_guards(const trecx_model *model) {
  memset(model->guarded_arena, TRECX_CANARY, TRECX_CANARY_BYTES);
  memset(model->guarded_arena + TRECX_CANARY_BYTES + model->arena_bytes, TRECX_CANARY,
         TRECX_CANARY_BYTES);
}

static int guards_are_painted(const trecx_model *model) {
  const uint8_t *const end = model->guarded_arena + TRECX_CANARY_BYTES + model->arena_bytes;
  for (uint32_t i = 0; i < TRECX_CANARY_BYTES; i++) {
    if (model->guarded_arena[i] != TRECX_CANARY || end[i] != TRECX_CANARY) return 0;
  }
  return 1;
}

static int run(const trecx_model *model, int input, int output) {
  trecx_result result;
  if (board_read(input, model->input(), model->input_bytes) != 0) return BOARD_EXIT_IO;
  paint_guards(model);
  if (model->invoke(model->input(), &result) != TRECX_OK) return BOARD_EXIT_MODEL;
  if (!guards_are_painted(model)) return BOARD_EXIT_ARENA;
  const int32_t head[2] = {result.exit_index, result.class_index};
  if (board_write(output, head, sizeof head) != 0 ||
      board_write(output, result.output, model->output_count) != 0) {
    return BOARD_EXIT_IO;
  }
  return BOARD_EXIT_OK;
}

/* A model whose hand-off another one has overwritten must refuse to go on. */
static int turns_are_kept(void) {
  static const int8_t zeros[IC_INPUT_BYTES + KWS_INPUT_BYTES];
  trecx_result result;
  if (ic_stem(zeros, &result) < 0 || kws_invoke(zeros, &result) != TRECX_OK) return 0;
  return ic_tail(&result) == TRECX_ERR_ORDER;
}

int trecx_app(void) {
  uint32_t pairs = 0;
  const int input = board_open("in", BOARD_READ), output = board_open("out", BOARD_WRITE);
  if (input < 0 || output < 0) return BOARD_EXIT_USAGE;
  if (!turns_are_kept()) return 1;
  if (board_read(input, &pairs, sizeof pairs) != 0) return BOARD_EXIT_IO;
  for (uint32_t i = 0; i < pairs; i++) {
    int code = run(&ic_model, input, output);
    if (code == BOARD_EXIT_OK) code = run(&kws_model, input, output);
    if (code != BOARD_EXIT_OK) return code;
  }
  return board_close(output) == 0 ? BOARD_EXIT_OK : BOARD_EXIT_IO;
}

/* Times every function of a model whose sources were built with -finstrument-functions: the
 * profiler's method when it has no plugin.
 *
 *   layers INPUT OUTPUT FIRST COUNT
 *
 * OUTPUT is a layers_header; then for each sample the number of events and the events. Each event
 * is a function's address, with bit 0 set at its begin and clear at its end, and the counter. */
#include "common/samples.h"
#include "trecx/board.h"
#include "trecx/model.h"

extern const trecx_model TRECX_MODEL;

#define LAYERS_MAGIC 0x314c5254u /* "TRL1" */
#define MOST_EVENTS 512u

typedef struct {
  uint32_t magic;
  uint32_t counter_hz;
  uint32_t empty_ticks;  /* between the events of a function without a body */
  uint32_t nested_ticks; /* the same with the events of another empty function between them */
} layers_header;

typedef struct {
  uint32_t function;
  uint32_t ticks;
} layers_event;

static layers_event events[MOST_EVENTS];
static uint32_t event_count;

void __cyg_profile_func_enter(void *function, void *call_site);
void __cyg_profile_func_exit(void *function, void *call_site);

/* Both read the counter at the same distance from their call, so that the cost between the two
 * readings is the same for every function. */
__attribute__((noipa)) void __cyg_profile_func_enter(void *function, void *call_site) {
  (void)call_site;
  const uint32_t ticks = board_counter();
  if (event_count < MOST_EVENTS) {
    events[event_count++] = (layers_event){(uint32_t)(uintptr_t)function | 1u, ticks};
  }
}

__attribute__((noipa)) void __cyg_profile_func_exit(void *function, void *call_site) {
  (void)call_site;
  const uint32_t ticks = board_counter();
  if (event_count < MOST_EVENTS) {
    events[event_count++] = (layers_event){(uint32_t)(uintptr_t)function & ~1u, ticks};
  }
}

static int write_header(int output) {
  __cyg_profile_func_enter(0, 0);
  __cyg_profile_func_exit(0, 0);
  __cyg_profile_func_enter(0, 0);
  __cyg_profile_func_enter(0, 0);
  __cyg_profile_func_exit(0, 0);
  __cyg_profile_func_exit(0, 0);
  const layers_header header = {
      .magic = LAYERS_MAGIC,
      .counter_hz = board_counter_hz,
      .empty_ticks = events[1].ticks - events[0].ticks,
      .nested_ticks = events[5].ticks - events[2].ticks,
  };
  return board_write(output, &header, sizeof header);
}

static int run_samples(const samples_job *job) {
  if (write_header(job->output) != 0) return BOARD_EXIT_IO;
  for (uint32_t i = 0; i < job->count; i++) {
    int8_t *const buffer = TRECX_MODEL.input();
    trecx_result result;
    if (board_read(job->input, buffer, TRECX_MODEL.input_bytes) != 0) return BOARD_EXIT_IO;
    event_count = 0;
    if (TRECX_MODEL.invoke(buffer, &result) < 0) return BOARD_EXIT_MODEL;
    if (event_count == MOST_EVENTS) return BOARD_EXIT_IO;
    if (board_write(job->output, &event_count, sizeof event_count) != 0 ||
        board_write(job->output, events, event_count * sizeof *events) != 0) {
      return BOARD_EXIT_IO;
    }
  }
  return BOARD_EXIT_OK;
}

int trecx_app(void) {
  samples_job job;
  const int code = samples_open(&job, TRECX_MODEL.input_bytes);
  return code == BOARD_EXIT_OK ? samples_close(&job, run_samples(&job)) : code;
}

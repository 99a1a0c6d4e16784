/* MLPerf Tiny device under test: the benchmark's serial protocol on the board's UART.
 *
 * A command ends with '%' and is answered by lines that end in CR LF, the last of them "m-ready".
 * Errors begin with "e-" and change nothing: a load that was going on goes on, results stay. */
#include "mlperf/mlperf.h"

#include <stddef.h>
#include <string.h>

#include "trecx/board.h"

extern const trecx_model TRECX_MODEL;

#define BAUD 115200
#define VENDOR "trecx"
#define PROFILE "ULPMark for tinyML Firmware V0.0.1"
#define BYTES_A_LINE 8

static line_buffer line;
static uint32_t expected; /* bytes of the current load, 0 before the first */
static uint32_t loaded;   /* of them, have come */
static trecx_result result;
static int has_result;

/* --- Time --------------------------------------------------------------------------------------
 */

static uint64_t elapsed_cycles; /* since the start, up to the reading in last_ticks */
static uint32_t last_ticks;

/* To be called twice as often as the counter wraps, at least. Each difference is converted on its
 * own, so that the time between two calls does not depend on what happened before. */
static void advance_time(void) {
  const uint32_t ticks = board_counter();
  const uint32_t passed = ticks - last_ticks;
  /* An emulator's clock may step back a little when the processor wakes from its sleep. */
  if (passed < UINT32_C(0x80000000)) {
    const uint64_t cycles = (uint64_t)passed * mlperf_config.tick_cycles;
    elapsed_cycles += (cycles + mlperf_config.cycle_ticks / 2) / mlperf_config.cycle_ticks;
  }
  last_ticks = ticks;
}

static uint64_t microseconds(uint64_t cycles) {
  return cycles * mlperf_config.cycle_microseconds / mlperf_config.microsecond_cycles;
}

static void print_lap(uint64_t us) {
  out_text("m-lap-us-");
  out_number(us);
  out_end_line();
}

/* --- Answers -----------------------------------------------------------------------------------
 */

static void print_error(const char *text) {
  out_text("e-[");
  out_text(text);
  out_text("]\r\n");
}

static void print_count(const char *before, uint32_t count, const char *after) {
  out_text(before);
  out_number(count);
  out_text(after);
  out_end_line();
}

static void on_name(char *arguments) {
  (void)arguments;
  out_text("m-name-dut-[" VENDOR "]\r\n");
}

static void on_profile(char *arguments) {
  (void)arguments;
  out_text("m-profile-[" PROFILE "]\r\nm-model-[");
  out_text(mlperf_config.id);
  out_text("]\r\n");
}

static void on_timestamp(char *arguments) {
  (void)arguments;
  advance_time();
  print_lap(microseconds(elapsed_cycles));
}

/* --- The input buffer --------------------------------------------------------------------------
 */

static void on_load(const char *word) {
  uint32_t count;
  if (word == NULL || line_number(word, &count) != 0 || count == 0) {
    print_error("Command 'db load' requires the number of bytes, above 0");
  } else if (count > mlperf_config.raw_bytes) {
    print_count("e-[Command 'db load' takes at most ", mlperf_config.raw_bytes, " bytes]");
  } else {
    expected = count;
    loaded = 0;
    print_count("m-[Expecting ", count, " bytes]");
  }
}

static void on_print(void) {
  for (uint32_t i = 0; i < loaded; i++) {
    out_text(i % BYTES_A_LINE == 0 ? "m-buffer-" : "-");
    out_hexadecimal(mlperf_config.raw[i]);
    if (i % BYTES_A_LINE == BYTES_A_LINE - 1 || i == loaded - 1) out_end_line();
  }
}

static void on_bytes(const char *digits) {
  uint8_t bytes[LINE_BYTES / 2];
  const char *bad = NULL;
  const int count = line_hexadecimal(digits, bytes, &bad);
  if (count == -1) {
    print_error("Insufficient number of hex digits");
  } else if (count < 0) {
    const char pair[3] = {bad[0], bad[1], '\0'};
    out_text("e-[Invalid hex digit '");
    out_printable(pair);
    out_text("']\r\n");
  } else if (loaded == expected) {
    print_error("No load is going on: begin with 'db load'");
  } else {
    const uint32_t room = expected - loaded;
    const uint32_t taken = (uint32_t)count < room ? (uint32_t)count : room;
    memcpy(mlperf_config.raw + loaded, bytes, taken);
    loaded += taken;
    if (loaded == expected) out_text("m-load-done\r\n");
  }
}

static void on_db(char *arguments) {
  const char *const word = line_word(&arguments);
  if (word == NULL) {
    print_error("Command 'db' requires a subcommand");
  } else if (strcmp(word, "load") == 0) {
    on_load(line_word(&arguments));
  } else if (strcmp(word, "print") == 0) {
    on_print();
  } else {
    on_bytes(word);
  }
}

/* --- Inference ---------------------------------------------------------------------------------
 */

static void print_results(void) {
  out_text("m-results-[");
  tensor_print_scores(&mlperf_config, &result, TRECX_MODEL.output_count);
  out_text("]\r\n");
}

static void on_results(char *arguments) {
  (void)arguments;
  if (has_result) {
    print_results();
  } else {
    print_error("There are no results: run 'infer' first");
  }
}

/* 0, or the model's negative error. */
static int run(uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const int status = TRECX_MODEL.invoke(mlperf_config.input, &result);
    if (status < 0) return status;
    advance_time();
  }
  return 0;
}

static int measure(uint32_t count, uint32_t warmups) {
  print_count("m-warmup-start-", warmups, "");
  int status = run(warmups);
  if (status < 0) return status;
  out_text("m-warmup-done\r\n");
  print_count("m-infer-start-", count, "");
  advance_time();
  const uint64_t start = elapsed_cycles;
  print_lap(microseconds(start));
  last_ticks = board_counter(); /* the inferences alone are timed */
  status = run(count);
  if (status < 0) return status;
  /* A whole number of microseconds after the start, whatever the start was. */
  print_lap(microseconds(start) + microseconds(elapsed_cycles - start));
  out_text("m-infer-done\r\n");
  return 0;
}

static void on_infer(char *arguments) {
  const char *const count_word = line_word(&arguments);
  const char *const warmup_word = count_word != NULL ? line_word(&arguments) : NULL;
  uint32_t count = 1, warmups = 10;
  if (count_word != NULL && (line_number(count_word, &count) != 0 || count == 0)) {
    print_error("Inference iterations must be >0");
  } else if (warmup_word != NULL && line_number(warmup_word, &warmups) != 0) {
    print_error("Inference warmup must be >=0");
  } else if (loaded != expected || loaded != mlperf_config.raw_bytes) {
    out_text("e-[Input has ");
    out_number(loaded);
    print_count(" bytes, the model takes ", mlperf_config.raw_bytes, "]");
  } else {
    tensor_load(&mlperf_config);
    has_result = measure(count, warmups) == 0;
    if (has_result) {
      print_results();
    } else {
      print_error("The model returned an error");
    }
  }
}

/* --- Commands ----------------------------------------------------------------------------------
 */

static const struct {
  const char *name;
  void (*handle)(char *arguments);
} commands[] = {
    {"name", on_name}, {"profile", on_profile}, {"timestamp", on_timestamp},
    {"db", on_db},     {"infer", on_infer},     {"results", on_results},
};

static void print_unknown(const char *name) {
  out_text("e-[Unknown command: ");
  out_printable(name);
  out_text("]\r\n");
}

static void dispatch(char *text) {
  const char *const name = line_word(&text);
  for (uint32_t i = 0; name != NULL && i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(name, commands[i].name) == 0) {
      commands[i].handle(text);
      return;
    }
  }
  print_unknown(name != NULL ? name : "");
}

static void receive(uint8_t byte) {
  switch (line_receive(&line, byte)) {
    case LINE_INCOMPLETE:
      return;
    case LINE_TOO_LONG:
      print_count("e-[Command is longer than ", LINE_BYTES, " characters]");
      break;
    case LINE_COMMAND:
      dispatch(line.text);
      break;
  }
  out_text("m-ready\r\n");
}

int trecx_app(void) {
  board_uart_open(BAUD);
  last_ticks = board_counter();
  out_text("m-init-done\r\nm-ready\r\n");
  for (;;) {
    advance_time();
    const int byte = board_uart_read();
    if (byte >= 0) {
      receive((uint8_t)byte);
    } else {
      board_uart_wait();
    }
  }
}

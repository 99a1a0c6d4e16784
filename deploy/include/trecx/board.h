/* What an application may ask of a board. Every board under deploy/boards implements it; an
 * application implements trecx_app and knows nothing else of the board. */
#ifndef TRECX_BOARD_H
#define TRECX_BOARD_H

#include <stdint.h>

/* Exit codes that the start-up code and the applications share. */
#define BOARD_EXIT_OK 0
#define BOARD_EXIT_USAGE 64 /* wrong command line, or a file that cannot be opened */
#define BOARD_EXIT_IO 65    /* a read or write failed, or a file ended early */
#define BOARD_EXIT_MODEL 66 /* the model returned a negative error */
#define BOARD_EXIT_ARENA 67 /* a guard word beside the arena was overwritten */
#define BOARD_EXIT_FAULT 70 /* processor fault; the registers are on the console */
#define BOARD_EXIT_STACK 71 /* the stack left its region */

/* The application's entry point; its result is the exit code. */
int trecx_app(void);

/* --- Time ---------------------------------------------------------------------------------- */

/* A free-running 32-bit counter that wraps. Under QEMU's -icount its ticks convert exactly to
 * executed instructions (see trecx/targets/qemu.py). */
uint32_t board_counter(void);
extern const uint32_t board_counter_hz;

/* --- Memory -------------------------------------------------------------------------------- */

/* Bytes of the stack region, and the most that was ever in use (found by its paint). */
uint32_t board_stack_size(void);
uint32_t board_stack_used(void);

/* --- Files and console of the machine that runs the emulator ------------------------------- */

/* Copies the command line's words, separated by single spaces. 0, or -1 when it does not fit. */
int board_command_line(char *buffer, uint32_t size);

enum board_open_mode { BOARD_READ, BOARD_WRITE };

/* A handle of 0 or more, or -1. */
int board_open(const char *name, enum board_open_mode mode);
/* Moves to an absolute position in bytes. 0 on success. */
int board_seek(int handle, uint32_t position);
/* 0 when all `count` bytes were transferred, -1 otherwise. */
int board_read(int handle, void *data, uint32_t count);
int board_write(int handle, const void *data, uint32_t count);
int board_close(int handle);

/* Writes a zero-terminated string to the console. */
void board_print(const char *text);

void board_exit(int code) __attribute__((noreturn));

/* --- UART ---------------------------------------------------------------------------------- */

void board_uart_open(uint32_t baud);
/* The next received byte, or -1 when there is none. */
int board_uart_read(void);
/* Sleeps until a byte may have come; may return early. */
void board_uart_wait(void);
/* Waits until there is room, then sends. */
void board_uart_write(uint8_t byte);

#endif

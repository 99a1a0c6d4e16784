/* QEMU TCG plugin: counts how often every translation block runs, and after which block.
 *
 *   -plugin count_blocks.so,out=FILE[,regions=FILE][,flash=START-END]
 *           [,fetch=LINE:SETS:WAYS][,data=LINE:SETS:WAYS | ,unified=on]
 *
 * Without regions everything is counted, as region 0 of path 0. With regions, counting is by layer:
 * each line of the file is "START END REGION PATH" (hexadecimal addresses, END exclusive). Running
 * into [START, END) makes REGION the current one; code outside all ranges (kernels, memcpy) counts
 * for the region that called it. Region 0 is the function that calls the model; it is not counted.
 * An inference lasts from the step out of region 0 into another one to the next block of region 0;
 * its path is the largest PATH of the regions that it entered.
 *
 * With flash, data accesses are counted too, separately for addresses within and outside flash.
 * With fetch, instruction fetches from flash go through a model of a cache: LINE bytes a line, SETS
 * times WAYS lines, least recently used line replaced. data is another one for loads from flash;
 * unified: they share the first. Without a cache for them, loads from flash all count as missing.
 *
 * Output, one fact a line, numbers decimal but addresses hexadecimal:
 *
 *   block ID ADDRESS INSTRUCTIONS
 *   edge PATH REGION FROM TO COUNT            block TO ran after block FROM, COUNT times
 *   data PATH REGION FLASH_ACCESSES FLASH_BYTES OTHER_ACCESSES OTHER_BYTES EXTRA_TRANSFERS JUMPS
 *        SEQUENTIAL LOADS
 *   sample PATH INSTRUCTIONS                  one for each inference, in order
 *   end
 *
 * EXTRA_TRANSFERS is what unaligned accesses add: a half-word at an odd address and a word at a
 * half-word address 1, a word at an odd address 2. JUMPS and SEQUENTIAL are fetches that missed the
 * cache, after a branch and in straight line; LOADS are the loads from flash that missed.
 *
 * The declarations below are the small part of QEMU's plugin interface that is used here, so that
 * no QEMU header is needed to build it. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct {
  const char *target_name;
  struct {
    int min, cur;
  } version;
  bool system_emulation;
  struct {
    int smp_vcpus, max_vcpus;
  } system;
} qemu_info_t;

enum { CB_NO_REGS = 0, MEM_READ_WRITE = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t,
                                                            struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
                                          void (*callback)(unsigned int, void *), int flags,
                                          void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                      void (*callback)(unsigned int, qemu_plugin_meminfo_t,
                                                       uint64_t, void *),
                                      int flags, int rw, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t, void *),
                                    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);

#define EXPORT __attribute__((visibility("default")))

/* QEMU 7 and 8 speak version 1 of the interface, later ones at least 2. What is used here is the
 * same in all of them. */
#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif
EXPORT int qemu_plugin_version = PLUGIN_VERSION;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

/* --- What is known ------------------------------------------------------------------------- */

#define MAX_PATHS 16
#define MAX_REGIONS 4096
#define INHERIT (-1)

typedef struct {
  uint64_t start, end;
  int region, path;
} range;

/* How often a block ran after `from`, within a region. */
typedef struct {
  uint32_t from;
  int region;
  bool touched;
  uint64_t pending; /* of the inference that runs now: its path is not known yet */
  uint64_t count[MAX_PATHS];
} edge;

typedef struct {
  uint32_t id;
  uint64_t address;
  uint32_t instructions;
  uint64_t first_line, last_line; /* of the fetch cache */
  int region, path;               /* of the range that holds it, or INHERIT */
  uint32_t edge_count, edge_room, last_edge;
  edge *edges;
} block;

typedef struct {
  uint64_t flash_accesses, flash_bytes, other_accesses, other_bytes;
  uint64_t extra_transfers, jump_misses, sequential_misses, load_misses;
} data_count;

typedef struct {
  uint64_t line_bytes; /* 0: there is no such cache */
  uint32_t sets, ways;
  uint64_t *lines; /* sets x ways line numbers plus 1, most recently used first; 0: empty */
} cache;

typedef struct {
  uint32_t block, edge;
} edge_reference;

static range *ranges;
static size_t range_count;
static block **blocks;
static uint32_t block_count, block_room;
static block **block_table; /* open addressing by address and length */
static uint32_t table_size;

static int region; /* the current one */
static int path;   /* of the current inference, so far */
static uint32_t previous;
static uint64_t sample_instructions;
static edge_reference *touched;
static size_t touched_count, touched_room;
static data_count pending_data[MAX_REGIONS];
static data_count *total_data; /* MAX_PATHS x MAX_REGIONS */
static uint64_t flash_start, flash_end;
static cache fetch_cache, load_cache;
static bool unified;
static uint64_t fetched_line; /* the last one */
static FILE *out;

static void fail(const char *what) {
  fprintf(stderr, "count_blocks: %s\n", what);
  exit(1);
}

/* Makes room for one more element; returns the array, moved or not. */
static void *grow(void *array, size_t count, size_t *room, size_t size) {
  if (count < *room) return array;
  *room = *room == 0 ? 64 : *room * 2;
  array = realloc(array, *room * size);
  if (array == NULL) fail("out of memory");
  return array;
}

/* --- Running ------------------------------------------------------------------------------- */

static void end_inference(void) {
  for (size_t i = 0; i < touched_count; i++) {
    edge *const e = &blocks[touched[i].block]->edges[touched[i].edge];
    e->count[path] += e->pending;
    e->pending = 0;
    e->touched = false;
  }
  touched_count = 0;
  if (total_data != NULL) {
    /* What ran outside the inference is not counted. */
    if (range_count > 0) memset(&pending_data[0], 0, sizeof pending_data[0]);
    for (int r = 0; r < MAX_REGIONS; r++) {
      data_count *const sum = &total_data[path * MAX_REGIONS + r];
      sum->flash_accesses += pending_data[r].flash_accesses;
      sum->flash_bytes += pending_data[r].flash_bytes;
      sum->other_accesses += pending_data[r].other_accesses;
      sum->other_bytes += pending_data[r].other_bytes;
      sum->extra_transfers += pending_data[r].extra_transfers;
      sum->jump_misses += pending_data[r].jump_misses;
      sum->sequential_misses += pending_data[r].sequential_misses;
      sum->load_misses += pending_data[r].load_misses;
      pending_data[r] = (data_count){0};
    }
  }
  if (range_count > 0) fprintf(out, "sample %d %" PRIu64 "\n", path, sample_instructions);
  sample_instructions = 0;
  path = 0;
}

static edge *find_edge(block *b) {
  if (b->last_edge < b->edge_count) {
    edge *const e = &b->edges[b->last_edge];
    if (e->from == previous && e->region == region) return e;
  }
  for (uint32_t i = 0; i < b->edge_count; i++) {
    if (b->edges[i].from == previous && b->edges[i].region == region) {
      b->last_edge = i;
      return &b->edges[i];
    }
  }
  size_t room = b->edge_room;
  b->edges = grow(b->edges, b->edge_count, &room, sizeof *b->edges);
  b->edge_room = (uint32_t)room;
  b->last_edge = b->edge_count++;
  edge *const e = &b->edges[b->last_edge];
  memset(e, 0, sizeof *e);
  e->from = previous;
  e->region = region;
  return e;
}

/* Whether the cache holds the line; it does afterwards. */
static bool cache_hit(cache *c, uint64_t line) {
  uint64_t *const set = c->lines + line % c->sets * c->ways;
  uint32_t i = 0;
  while (i < c->ways && set[i] != line + 1) i++;
  const bool hit = i < c->ways;
  if (i > 0) memmove(set + 1, set, (hit ? i : c->ways - 1) * sizeof *set);
  set[0] = line + 1;
  return hit;
}

static void fetch_block(const block *b) {
  data_count *const d = &pending_data[region];
  for (uint64_t line = b->first_line; line <= b->last_line; line++) {
    if (line == fetched_line) continue;
    if (!cache_hit(&fetch_cache, line)) {
      if (line == fetched_line + 1) {
        d->sequential_misses++;
      } else {
        d->jump_misses++;
      }
    }
    fetched_line = line;
  }
}

/* The model may also be called from elsewhere (to ask where its input lives): that is not counted.
 */
static bool begins_inference(const block *b) {
  return b->region != 0 && block_count > 0 && blocks[previous]->region == 0;
}

static void on_block(unsigned int cpu, void *data) {
  (void)cpu;
  block *const b = data;
  if (b->region == 0 && region != 0) end_inference();
  if (b->region != INHERIT && (region != 0 || begins_inference(b))) {
    region = b->region;
    if (b->path > path) path = b->path;
  }
  if (fetch_cache.line_bytes != 0 && b->address >= flash_start && b->address < flash_end) {
    fetch_block(b);
  }
  if (region != 0 || range_count == 0) {
    edge *const e = find_edge(b);
    e->pending++;
    sample_instructions += b->instructions;
    if (!e->touched) {
      e->touched = true;
      touched = grow(touched, touched_count, &touched_room, sizeof *touched);
      touched[touched_count++] = (edge_reference){b->id, b->last_edge};
    }
  }
  previous = b->id;
}

static void on_access(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data) {
  (void)cpu;
  (void)data;
  const uint64_t size = UINT64_C(1) << qemu_plugin_mem_size_shift(info);
  data_count *const d = &pending_data[region];
  if (size == 4 && address % 4 != 0) d->extra_transfers += address % 2 != 0 ? 2 : 1;
  if (size == 2 && address % 2 != 0) d->extra_transfers++;
  if (address >= flash_start && address < flash_end) {
    d->flash_accesses++;
    d->flash_bytes += size;
    cache *const c = unified ? &fetch_cache : &load_cache;
    if (c->line_bytes == 0 || !cache_hit(c, address / c->line_bytes)) d->load_misses++;
  } else {
    d->other_accesses++;
    d->other_bytes += size;
  }
}

/* --- Translation --------------------------------------------------------------------------- */

static void locate(block *b) {
  b->region = INHERIT;
  b->path = 0;
  for (size_t i = 0; i < range_count; i++) {
    if (b->address >= ranges[i].start && b->address < ranges[i].end) {
      b->region = ranges[i].region;
      b->path = ranges[i].path;
    }
  }
}

static void enlarge_table(void) {
  free(block_table);
  table_size = table_size == 0 ? 4096 : table_size * 2;
  block_table = calloc(table_size, sizeof *block_table);
  if (block_table == NULL) fail("out of memory");
  for (uint32_t i = 0; i < block_count; i++) {
    uint32_t slot = (uint32_t)(blocks[i]->address / 2 * 31 + blocks[i]->instructions);
    while (block_table[slot % table_size] != NULL) slot++;
    block_table[slot % table_size] = blocks[i];
  }
}

/* last: address of the block's last instruction. QEMU may translate a block again (after a flush):
 * it stays the same block here. */
static block *find_block(uint64_t address, uint64_t last, uint32_t instructions) {
  if (block_count * 2 >= table_size) enlarge_table();
  uint32_t slot = (uint32_t)(address / 2 * 31 + instructions);
  for (block *b; (b = block_table[slot % table_size]) != NULL; slot++) {
    if (b->address == address && b->instructions == instructions) return b;
  }
  block *const b = calloc(1, sizeof *b);
  if (b == NULL) fail("out of memory");
  size_t room = block_room;
  blocks = grow(blocks, block_count, &room, sizeof *blocks);
  block_room = (uint32_t)room;
  b->id = block_count;
  b->address = address;
  b->instructions = instructions;
  if (fetch_cache.line_bytes != 0) {
    b->first_line = address / fetch_cache.line_bytes;
    b->last_line = last / fetch_cache.line_bytes;
  }
  locate(b);
  blocks[block_count++] = b;
  block_table[slot % table_size] = b;
  return b;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  (void)id;
  const size_t count = qemu_plugin_tb_n_insns(tb);
  const uint64_t last = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, count - 1));
  block *const b = find_block(qemu_plugin_tb_vaddr(tb), last, (uint32_t)count);
  qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, CB_NO_REGS, b);
  if (total_data == NULL) return;
  for (size_t i = 0; i < count; i++) {
    qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access, CB_NO_REGS,
                                     MEM_READ_WRITE, NULL);
  }
}

/* --- Begin and end ------------------------------------------------------------------------- */

static void write_edges(const block *b) {
  for (uint32_t i = 0; i < b->edge_count; i++) {
    const edge *const e = &b->edges[i];
    for (int p = 0; p < MAX_PATHS; p++) {
      if (e->count[p] == 0) continue;
      fprintf(out, "edge %d %d %" PRIu32 " %" PRIu32 " %" PRIu64 "\n", p, e->region, e->from, b->id,
              e->count[p]);
    }
  }
}

static void on_exit(qemu_plugin_id_t id, void *data) {
  (void)id;
  (void)data;
  /* An inference that did not end (a fault, a hang) is not counted. */
  if (range_count == 0) end_inference();
  for (uint32_t i = 0; i < block_count; i++) {
    const block *const b = blocks[i];
    fprintf(out, "block %" PRIu32 " %" PRIx64 " %" PRIu32 "\n", b->id, b->address, b->instructions);
    write_edges(b);
  }
  for (int i = 0; total_data != NULL && i < MAX_PATHS * MAX_REGIONS; i++) {
    const data_count *const d = &total_data[i];
    if (d->flash_accesses + d->other_accesses + d->jump_misses == 0) continue;
    fprintf(out, "data %d %d", i / MAX_REGIONS, i % MAX_REGIONS);
    const uint64_t values[] = {d->flash_accesses,    d->flash_bytes,     d->other_accesses,
                               d->other_bytes,       d->extra_transfers, d->jump_misses,
                               d->sequential_misses, d->load_misses};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
      fprintf(out, " %" PRIu64, values[k]);
    fprintf(out, "\n");
  }
  fprintf(out, "end\n");
  if (fclose(out) != 0) fail("cannot write the output file");
}

static void read_ranges(const char *name) {
  FILE *const file = fopen(name, "r");
  range r;
  size_t room = 0;
  if (file == NULL) fail("cannot open the regions file");
  while (fscanf(file, "%" SCNx64 " %" SCNx64 " %d %d", &r.start, &r.end, &r.region, &r.path) == 4) {
    if (r.region < 0 || r.region >= MAX_REGIONS) fail("region out of range");
    if (r.path < 0 || r.path >= MAX_PATHS) fail("path out of range");
    ranges = grow(ranges, range_count, &room, sizeof *ranges);
    ranges[range_count++] = r;
  }
  if (!feof(file) || range_count == 0) fail("the regions file is not well-formed");
  fclose(file);
}

static bool read_cache(const char *argument, const char *format, cache *c) {
  if (sscanf(argument, format, &c->line_bytes, &c->sets, &c->ways) != 3) return false;
  if (c->line_bytes == 0 || c->sets == 0 || c->ways == 0) fail("a cache needs a size");
  c->lines = calloc((size_t)c->sets * c->ways, sizeof *c->lines);
  if (c->lines == NULL) fail("out of memory");
  return true;
}

static bool read_argument(const char *argument) {
  if (strncmp(argument, "out=", 4) == 0) {
    out = fopen(argument + 4, "w");
    return true;
  }
  if (strncmp(argument, "regions=", 8) == 0) {
    read_ranges(argument + 8);
    return true;
  }
  if (sscanf(argument, "flash=%" SCNx64 "-%" SCNx64, &flash_start, &flash_end) == 2) {
    total_data = calloc(MAX_PATHS * MAX_REGIONS, sizeof *total_data);
    if (total_data == NULL) fail("out of memory");
    return true;
  }
  if (strcmp(argument, "unified=on") == 0) {
    unified = true;
    return true;
  }
  return read_cache(argument, "fetch=%" SCNu64 ":%" SCNu32 ":%" SCNu32, &fetch_cache) ||
         read_cache(argument, "data=%" SCNu64 ":%" SCNu32 ":%" SCNu32, &load_cache);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                               char **argv) {
  (void)info;
  for (int i = 0; i < argc; i++) {
    if (!read_argument(argv[i])) fail("unknown argument");
  }
  if (out == NULL) fail("the output file is missing or cannot be written");
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, on_exit, NULL);
  return 0;
}

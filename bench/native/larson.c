/* Larson, as in workloads/larson.ts: the same draws, the same swaps, the same checks. */

#include "crew.h"

#define SLOTS 5000
#define BATCH 1000
#define SWAP_AFTER 500000

static unsigned char *sets[MOST_THREADS + 1][SLOTS];
static int spare;
static double seconds;
static struct { double began, ended; uint64_t operations; char apart[128]; } answers[MOST_THREADS];

static unsigned char *place(int slot, int set, size_t size) {
  unsigned char *block = malloc(size);
  if (block == NULL) refuse("no room");
  block[0] = (unsigned char)slot;
  block[1] = (unsigned char)((slot >> 8) ^ set);
  return block;
}

static void release(unsigned char *block, int slot, int set) {
  if (block[0] != (unsigned char)slot || block[1] != (unsigned char)((slot >> 8) ^ set)) refuse("contents");
  free(block);
}

static void churn(int set, uint32_t *state, int count) {
  for (int i = 0; i < count; i++) {
    uint32_t random = draw(state);
    int slot = (int)((random >> 16) * SLOTS >> 16);
    release(sets[set][slot], slot, set);
    sets[set][slot] = place(slot, set, 8 + ((random & 0xffff) * 992 >> 16));
  }
}

static void fill(int set, uint32_t *state) {
  for (int slot = 0; slot < SLOTS; slot++) sets[set][slot] = place(slot, set, 8 + ((draw(state) & 0xffff) * 992 >> 16));
}

static void *part(void *argument) {
  int member = (int)(intptr_t)argument + 1;
  int set = member;
  uint32_t state = 4141u * 7919u + (uint32_t)member * 104729u;
  fill(set, &state);
  if (member == 1) fill(0, &state);
  churn(set, &state, 200000);
  pthread_barrier_wait(&meeting);
  double began = now();
  uint64_t operations = 0;
  while (now() - began < seconds) {
    churn(set, &state, BATCH);
    operations += BATCH;
    if (operations % SWAP_AFTER == 0) set = __atomic_exchange_n(&spare, set, __ATOMIC_SEQ_CST);
  }
  answers[member - 1].began = began;
  answers[member - 1].ended = now();
  answers[member - 1].operations = operations;
  return NULL;
}

int main(int argc, char **argv) {
  int threads = (int)parameter(argc, argv, "threads", 1);
  seconds = parameter(argc, argv, "seconds", 5);
  if (threads < 1 || threads > MOST_THREADS) refuse("threads");
  run_crew(threads, part);
  double began = answers[0].began, ended = answers[0].ended;
  uint64_t operations = 0;
  for (int i = 0; i < threads; i++) {
    if (answers[i].began < began) began = answers[i].began;
    if (answers[i].ended > ended) ended = answers[i].ended;
    operations += answers[i].operations;
  }
  printf("{\"rate\":%.0f,\"cpu\":%.3f}\n", (double)operations / (ended - began), used());
  return 0;
}

/*
 * What the native programs share: parameters, the clock, and threads that start together. An argument is
 * name=value; the answer is one line of JSON.
 */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_THREADS 256

static double parameter(int argc, char **argv, const char *name, double otherwise) {
  size_t length = strlen(name);
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=') return atof(argv[i] + length + 1);
  }
  return otherwise;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Seconds of CPU that this process has used. */
static double used(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void refuse(const char *reason) {
  fprintf(stderr, "wrong: %s\n", reason);
  exit(1);
}

static pthread_barrier_t meeting;

/* Runs `part` in so many threads, which meet at `meeting`. The members count from 0. */
static void run_crew(int threads, void *(*part)(void *)) {
  static pthread_t crew[MOST_THREADS];
  pthread_barrier_init(&meeting, NULL, (unsigned)threads);
  for (intptr_t i = 0; i < threads; i++) pthread_create(&crew[i], NULL, part, (void *)i);
  for (int i = 0; i < threads; i++) pthread_join(crew[i], NULL);
}

/* xorshift32 */
static inline uint32_t draw(uint32_t *state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

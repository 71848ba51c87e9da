/* xmalloc-test, as in workloads/xmalloc.ts: the same batches, the same fill, the same checks. */

#include "crew.h"

#define BATCH 4096
#define OBJECT_WORDS 16
#define QUEUED 100

static void *queue[QUEUED];
static int queued, head;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static double seconds;
static struct { double began, ended; uint64_t frees; char apart[128]; } answers[MOST_THREADS];

static void send(void *batch) {
  pthread_mutex_lock(&lock);
  while (queued == QUEUED) pthread_cond_wait(&not_full, &lock);
  queue[(head + queued++) % QUEUED] = batch;
  pthread_cond_signal(&not_empty);
  pthread_mutex_unlock(&lock);
}

static void *receive(void) {
  pthread_mutex_lock(&lock);
  while (queued == 0) pthread_cond_wait(&not_empty, &lock);
  void *batch = queue[head];
  head = (head + 1) % QUEUED;
  queued--;
  pthread_cond_signal(&not_full);
  pthread_mutex_unlock(&lock);
  return batch;
}

static void produce(double began) {
  while (now() - began < seconds) {
    uint32_t **batch = malloc(BATCH * sizeof *batch);
    for (uint32_t i = 0; i < BATCH; i++) {
      uint32_t *object = malloc(OBJECT_WORDS * sizeof *object);
      for (int word = 0; word < OBJECT_WORDS; word++) object[word] = (uint32_t)(uintptr_t)object + i;
      batch[i] = object;
    }
    send(batch);
  }
  send(NULL);
}

static uint64_t consume(void) {
  uint64_t frees = 0;
  for (uint32_t **batch; (batch = receive()) != NULL; frees += BATCH) {
    for (uint32_t i = 0; i < BATCH; i++) {
      uint32_t *object = batch[i];
      for (int word = 0; word < OBJECT_WORDS; word++) {
        if (object[word] != (uint32_t)(uintptr_t)object + i) refuse("contents");
      }
      free(object);
    }
    free(batch);
  }
  return frees;
}

static void *part(void *argument) {
  int member = (int)(intptr_t)argument;
  pthread_barrier_wait(&meeting);
  answers[member].began = now();
  if (member % 2 == 0) produce(answers[member].began);
  else answers[member].frees = consume();
  answers[member].ended = now();
  return NULL;
}

int main(int argc, char **argv) {
  int threads = (int)parameter(argc, argv, "threads", 2);
  seconds = parameter(argc, argv, "seconds", 5);
  if (threads < 2 || threads > MOST_THREADS || threads % 2 != 0) refuse("threads");
  run_crew(threads, part);
  double began = answers[0].began, ended = answers[0].ended;
  uint64_t frees = 0;
  for (int i = 0; i < threads; i++) {
    if (answers[i].began < began) began = answers[i].began;
    if (answers[i].ended > ended) ended = answers[i].ended;
    frees += answers[i].frees;
  }
  printf("{\"rate\":%.0f,\"cpu\":%.3f}\n", (double)frees / (ended - began), used());
  return 0;
}

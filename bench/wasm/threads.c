/*
 * What dlmalloc and emmalloc expect of the system, for one shared memory and threads that each run an
 * instance of the module:
 *
 *      ┌ data ┬ stacks, one for each thread ┬ heap: sbrk, up to `set_limit` ┐
 *      └──────┴─────────────────────────────┴────────────────────────────────┘
 *
 * The mutex is musl's for the normal kind: one compare-and-swap, some spins, then a futex; a sleeping
 * waiter makes the word 2.
 */

#include <stddef.h>
#include <stdint.h>

#define STACKS 130
#define STACK_BYTES 16384
#define SPINS 100

extern unsigned char __heap_base;
static char stacks[STACKS][STACK_BYTES] __attribute__((aligned(16)));
static uintptr_t top;
static uintptr_t limit;

/* The module keeps its stack pointer in a global, which each instance has for itself. */
__attribute__((export_name("use_stack"), naked)) void use_stack(void *end) {
  __asm__(".globaltype __stack_pointer, i32\n local.get 0\n global.set __stack_pointer\n return");
}

__attribute__((export_name("stack_end"))) void *stack_end(int member) {
  return stacks[member % STACKS] + STACK_BYTES;
}

/* The heap may have so many bytes. Returns where it starts. */
__attribute__((export_name("set_limit"))) uintptr_t set_limit(uintptr_t bytes) {
  top = ((uintptr_t)&__heap_base + 65535) & ~(uintptr_t)65535;
  limit = top + bytes;
  return top;
}

void *sbrk(intptr_t increment) {
  for (;;) {
    uintptr_t old = __atomic_load_n(&top, __ATOMIC_SEQ_CST);
    uintptr_t wanted = old + (uintptr_t)((increment + 3) & ~(intptr_t)3);
    if (wanted > limit) return (void *)-1;
    if (__atomic_compare_exchange_n(&top, &old, wanted, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return (void *)old;
  }
}

int pthread_mutexattr_init(void *attributes) { return 0; }
int pthread_mutexattr_destroy(void *attributes) { return 0; }

int pthread_mutex_init(int *mutex, const void *attributes) {
  *mutex = 0;
  return 0;
}

static int swap(int *word, int expected, int value) {
  __atomic_compare_exchange_n(word, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}

int pthread_mutex_lock(int *mutex) {
  if (swap(mutex, 0, 1) == 0) return 0;
  for (int spin = 0; spin < SPINS; spin++) {
    if (__atomic_load_n(mutex, __ATOMIC_RELAXED) == 0 && swap(mutex, 0, 1) == 0) return 0;
  }
  while (__atomic_exchange_n(mutex, 2, __ATOMIC_SEQ_CST) != 0) __builtin_wasm_memory_atomic_wait32(mutex, 2, -1);
  return 0;
}

int pthread_mutex_unlock(int *mutex) {
  if (__atomic_exchange_n(mutex, 0, __ATOMIC_SEQ_CST) == 2) __builtin_wasm_memory_atomic_notify(mutex, 1);
  return 0;
}

/* The sizes that emmalloc asks for in its statistics. */
size_t emscripten_get_heap_size(void) { return limit; }
size_t emscripten_get_heap_max(void) { return limit; }

void *memset(void *to, int value, size_t count) { return __builtin_memset(to, value, count); }
void *memcpy(void *to, const void *from, size_t count) { return __builtin_memcpy(to, from, count); }

/*
 * A model of the robust lock with crash, takeover and recovery, for the model checker Spin.
 *
 *     spin -run robust-lock.pml                           explores every interleaving and every death
 *     spin -DMUTANT_NO_REPAIR -run robust-lock.pml        must find an error, as must each other mutant
 *
 * Two threads take two locks in lock order, change what each guards in two steps, and give them back. At any
 * step a thread may be killed. A waiter that sees that the owner is gone takes the lock over and repairs first
 * what it guards. The parent, or the other thread, reaps the dead one under the recovery lock: it walks over
 * all that the locks guard, then frees the slot for a new tenant with the next generation. Whoever takes over,
 * repairs or reaps may be killed in the middle of it.
 *
 * Checked: 1. no two living threads are inside one lock; 2. whoever is inside finds what the lock guards
 * whole; 3. nobody waits for ever; 4. a living thread is never reaped; 5. no slot is given to the next before
 * the walk for its last tenant; 6. at the end no lock is in the hands of a living thread.
 *
 * Left out: sleeping, and the record of locks, which only tells whom to wake. Waiters sleep in slices, so a lost
 * wake-up costs a slice; here a waiter blocks until the word or its owner's fate changes.
 */

#define THREADS 2
#ifndef DEATHS
#define DEATHS 2
#endif

#define LOCKS 2
#define RECOVERY 2                /* the recovery lock; it comes before the others, and guards nothing */
#define SLOTS (THREADS + 1)       /* the parent has slot 0 */

/* Lock words: FREE, or the owner's token: a slot and the generation of its tenant. */
#define FREE 0
#define UNNAMED 255               /* held by nobody knows whom: only a mutant writes it */
#define token(slot) (generation[slot] * 4 + slot + 1)
#define slotOf(token) ((token - 1) % 4)
#define generationOf(token) ((token - 1) / 4)
#define isNamed(word) (word != FREE && word != UNNAMED)

/* Thread slots. */
#define NOBODY 0
#define TAKING 1
#define THERE 2
byte tenant[SLOTS];
byte generation[SLOTS];
byte dead[SLOTS];                 /* the generation whose death is proven */

#define isTenant(token) (tenant[slotOf(token)] == THERE && generation[slotOf(token)] == generationOf(token))
#define isGone(token) (!isTenant(token) || dead[slotOf(token)] == generationOf(token))

byte word[LOCKS + 1];
byte left[LOCKS];                 /* what a lock guards: two counts that change together */
byte right[LOCKS];

/* Only the model has these. */
byte inside[LOCKS];               /* threads that are alive and inside */
bool unwalked[SLOTS];             /* a tenant died, and nobody has walked for it yet */
bool killed[SLOTS];
bool running[SLOTS];
byte deaths = DEATHS;
byte finished;

/* Takes a lock that is free, or takes it over from an owner that is gone. */
inline take(lock) {
  do
#ifdef MUTANT_OWNER_LATER
  :: atomic { word[lock] == FREE -> word[lock] = UNNAMED }; word[lock] = token(me); break
#else
  :: atomic { word[lock] == FREE -> word[lock] = token(me) }; break
#endif
  :: atomic { isNamed(word[lock]) && isGone(word[lock]) -> seen = word[lock] };
#ifdef MUTANT_WAITER_REAPS
    if
    :: lock != RECOVERY -> take_recovery_first()
    :: else
    fi;
#endif
    atomic {                      /* one compare-and-swap: of several waiters one inherits */
#ifdef MUTANT_INHERIT_BY_STORE
      inherited = true;
#else
      inherited = (word[lock] == seen);
#endif
      seen = 0;
      if
      :: inherited -> word[lock] = token(me);
        if
        :: lock != RECOVERY -> inside[lock % LOCKS] = 0
        :: else
        fi
      :: else
      fi
    };
    if
    :: inherited -> break
    :: else
    fi
  od;
#ifndef MUTANT_NO_REPAIR
  if
  :: inherited && lock != RECOVERY -> right[lock % LOCKS] = left[lock % LOCKS]
  :: else
  fi;
#endif
  inherited = false
}

#define give(lock) word[lock] = FREE

#ifdef MUTANT_WAITER_REAPS
inline take_recovery_first() {
  do
  :: atomic { word[RECOVERY] == FREE -> word[RECOVERY] = token(me) }; break
  :: atomic { isNamed(word[RECOVERY]) && isGone(word[RECOVERY]) -> word[RECOVERY] = token(me) }; break
  od;
  give(RECOVERY)
}
#endif

inline useLock(lock) {
  atomic { inside[lock]++; assert(inside[lock] == 1) };       /* 1. */
  assert(left[lock] == right[lock]);                          /* 2. */
  left[lock] = (left[lock] + 1) % 2;
  right[lock] = (right[lock] + 1) % 2;
  inside[lock] = 0
}

inline freeSlot(victim) {
  assert(dead[slotOf(victim)] == generation[slotOf(victim)] && tenant[slotOf(victim)] == THERE);    /* 4. */
  tenant[slotOf(victim)] = NOBODY
}

/* Done twice, or left off by a death and begun again by another, it does no harm: the slot is freed last. */
inline reap(victim) {
  take(RECOVERY);
  if
#ifdef MUTANT_NO_SECOND_LOOK
  :: true ->
#else
  :: isTenant(victim) ->
#endif
#ifdef MUTANT_SLOT_FREED_FIRST
    freeSlot(victim);
#endif
    take(0); take(1);
    unwalked[slotOf(victim)] = false;
    give(1); give(0);
#ifndef MUTANT_SLOT_FREED_FIRST
    freeSlot(victim)
#endif
  :: else
  fi;
  give(RECOVERY)
}

/* All the tenants of one slot, one after the other. */
proctype thread(byte me) {
  byte seen, victim;
  bool inherited;

  do
  :: {
      atomic {
        tenant[me] == NOBODY -> tenant[me] = TAKING;
        running[me] = true;
        assert(!unwalked[me])                                 /* 5. */
      };
#ifdef MUTANT_TENANT_BEFORE_GENERATION
      tenant[me] = THERE;
      generation[me]++;
#else
#ifndef MUTANT_NO_GENERATION
      generation[me]++;
#endif
      tenant[me] = THERE;
#endif
      if                                                      /* heap.recover() */
      :: atomic { tenant[THREADS + 1 - me] == THERE && dead[THREADS + 1 - me] == generation[THREADS + 1 - me] ->
          victim = token(THREADS + 1 - me) };
        reap(victim)
      :: skip
      fi;
      take(0);
      useLock(0);
      if
      :: take(1); useLock(1); give(1)
      :: skip
      fi;
      give(0);
      running[me] = false;
      break
    } unless {
      killed[me]                                              /* at any step, and never a step more */
    };
    atomic { killed[me] = false; running[me] = false; seen = 0; victim = 0; inherited = false;
      unwalked[me] = (tenant[me] == THERE) };
    if                                                        /* the runtime says so, some time later */
    :: tenant[me] == THERE -> dead[me] = generation[me]
    :: tenant[me] == TAKING -> tenant[me] = NOBODY
    :: else
    fi
  od;
  tenant[me] = NOBODY;                                        /* a thread that ends well leaves */
  finished++
}

/* The main thread: reaps whoever is dead, never dies, and ends when all have finished. */
proctype parent() {
  byte me = 0;
  byte slot, seen, victim;
  bool inherited;

  tenant[me] = THERE;
  do
  :: atomic { finished == THREADS -> break }
  :: atomic {
      if
      :: tenant[1] == THERE && dead[1] == generation[1] -> slot = 1
      :: tenant[THREADS] == THERE && dead[THREADS] == generation[THREADS] -> slot = THREADS
      fi;
      victim = token(slot)
    };
    reap(victim);
    victim = 0
  od;
  assert(word[0] == FREE || isGone(word[0]));                 /* 6. */
  assert(word[1] == FREE || isGone(word[1]))
}

/* Kills any running thread at any step, or does not. */
proctype killer() {
end:
  do
  :: atomic { deaths > 0 && running[1] && !killed[1] -> killed[1] = true; deaths-- }
  :: atomic { deaths > 0 && running[THREADS] && !killed[THREADS] -> killed[THREADS] = true; deaths-- }
  od
}

init {
  atomic {
    generation[0] = 1;
    generation[1] = 1;                                        /* 0 means: not dead yet */
    generation[THREADS] = 1;
    run thread(1);
    run thread(THREADS);
    run parent();
    run killer()
  }
}

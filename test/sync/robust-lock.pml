/*
 * A model of the robust lock with crash and recovery, for the model checker Spin.
 *
 *     spin -run robust-lock.pml                      explores every interleaving and every death
 *     spin -DMUTANT_NO_PENDING -run robust-lock.pml  must find an error, as must each other mutant
 *
 * THREADS threads take two locks in lock order, change what each guards in two steps, and give them back.
 * At any step a thread may be killed; its slot is reaped by whoever finds it dead (another waiter, or the
 * parent, which never dies) and goes to a new tenant with the next generation. Whoever recovers may be
 * killed in the middle of it, and whoever repairs too.
 *
 * Checked: 1. no two living threads are inside one lock; 2. whoever is inside finds what the lock guards
 * whole; 3. nobody waits for ever; 4. after a reap no lock names its victim; 5. a living thread is never
 * reaped; 6. at the end every lock is free or orphaned.
 *
 * Left out: sleeping. Waiters sleep in slices, so a lost wake-up costs a slice; here a waiter that has
 * nothing to do just blocks until the word or its owner's fate changes. Plain stores are seen in order:
 * others read a thread's record only after its death, which orders them.
 */

#define THREADS 2
#ifndef DEATHS
#define DEATHS 2
#endif

#define LOCKS 2
#define SLOTS (THREADS + 1)     /* the parent has slot 0 */

/* Lock words. A token names a slot and the generation of its tenant. */
#define FREE 0
#define ORPHANED 254
#define UNNAMED 255             /* held by nobody knows whom: only a mutant writes it */
#define token(slot) (generation[slot] * 8 + slot + 1)
#define slotOf(token) ((token - 1) % 8)
#define generationOf(token) ((token - 1) / 8)
#define isNamed(word) (word != FREE && word != ORPHANED && word != UNNAMED)

/* A tenant is gone when its slot says that it is dead, or has another tenant. */
#define isGone(token) \
  (generation[slotOf(token)] != generationOf(token) || dead[slotOf(token)])

byte word[LOCKS];               /* the lock words */
byte nextHeld[LOCKS];           /* lock + 1, as in the records */
byte recovery;                  /* the lock that recoverers take: no list holds it, a dead owner is replaced */

byte generation[SLOTS];         /* the slots: who is there, */
bool dead[SLOTS];               /* whether its death is proven, */
byte pending[SLOTS];            /* and its record of locks: lock + 1, or 0 */
byte held[SLOTS];

byte left[LOCKS];               /* what a lock guards: two counts that change together */
byte right[LOCKS];

/* Only the model has these. */
byte inside[LOCKS];             /* threads that are alive and inside */
bool killed[SLOTS];
bool running[SLOTS];
byte deaths = DEATHS;
byte finished;

/* The dead thread's lock goes to nobody, and whoever takes it next repairs what it guards. */
inline orphan(lock, victim) {
  if
  :: lock == 0
  :: else ->
    atomic {                    /* one compare-and-swap */
      if
      :: word[lock - 1] == victim -> word[lock - 1] = ORPHANED; inside[lock - 1] = 0
      :: else
      fi
    }
  fi
}

inline takeRecovery() {
  do
  :: atomic { recovery == 0 -> recovery = token(me) }; break
  :: atomic { recovery != 0 && isGone(recovery) -> recovery = token(me) }; break
  od
}

#ifdef MUTANT_NO_SECOND_LOOK
#define isStillThere(victim) (true)
#else
#define isStillThere(victim) (generation[slotOf(victim)] == generationOf(victim) && dead[slotOf(victim)])
#endif

/* Orphans the locks of a dead tenant: the one it was taking or giving back, and those it held. */
inline orphanLocks(victim) {
  takeRecovery();
  if
  :: isStillThere(victim) ->
    found = pending[slotOf(victim)];
    orphan(found, victim);
    found = held[slotOf(victim)];
    do
    :: found == 0 -> break
    :: else ->
      following = nextHeld[found - 1];
      orphan(found, victim);
      found = following
    od
  :: else
  fi;
#ifndef MUTANT_WALK_INSIDE
  recovery = 0;
#endif
  found = 0; following = 0
}

inline freeSlot(victim) {
#ifndef MUTANT_WALK_INSIDE
  takeRecovery();
#endif
  if
  :: isStillThere(victim) ->
    assert(dead[slotOf(victim)]);                             /* 5. */
    pending[slotOf(victim)] = 0;
    held[slotOf(victim)] = 0;
    dead[slotOf(victim)] = false                              /* one store gives the slot to others */
  :: else
  fi;
  recovery = 0
}

inline acquire(lock) {
#ifndef MUTANT_NO_PENDING
  pending[me] = lock + 1;
#endif
  do
#ifdef MUTANT_OWNER_LATER
  :: atomic { word[lock] == FREE -> word[lock] = UNNAMED }; word[lock] = token(me); break
#else
  :: atomic { word[lock] == FREE -> word[lock] = token(me) }; break
#endif
  :: atomic { word[lock] == ORPHANED -> word[lock] = token(me); repairs = true }; break
  :: atomic { isNamed(word[lock]) && isGone(word[lock]) -> owner = word[lock] };
    orphanLocks(owner);
    assert(word[lock] != owner);                              /* 4. */
    owner = 0
  od;
#ifdef MUTANT_PENDING_CLEARED_EARLY
  pending[me] = 0;
#endif
  nextHeld[lock] = held[me];
  held[me] = lock + 1;
  pending[me] = 0;
#ifndef MUTANT_NO_REPAIR
  if
  :: repairs -> right[lock] = left[lock]
  :: else
  fi;
#endif
  repairs = false
}

inline release(lock) {
#ifndef MUTANT_RELEASE_WITHOUT_PENDING
  pending[me] = lock + 1;
#endif
  held[me] = nextHeld[lock];
  word[lock] = FREE;
  pending[me] = 0
}

inline useLock(lock) {
  atomic { inside[lock]++; assert(inside[lock] == 1) };       /* 1. */
  assert(left[lock] == right[lock]);                          /* 2. */
  left[lock] = (left[lock] + 1) % 2;
  right[lock] = (right[lock] + 1) % 2;
  inside[lock] = 0
}

/* All of a dead tenant's affairs. Done twice, or left off by a death and begun again, it does no harm.
   The walk over all blocks needs all locks: it runs outside the recovery lock, or a waiter that holds one
   of them could not recover the owner of the next. */
inline reap(victim) {
  orphanLocks(victim);
  acquire(0); acquire(1);
  release(1); release(0);
  freeSlot(victim)
}

proctype thread(byte me) {
  byte owner, found, following, victim;
  bool repairs;

  do
  :: {
      running[me] = true;
      if                                                      /* heap.recover() */
      :: atomic { dead[THREADS + 1 - me] -> victim = token(THREADS + 1 - me) };
        reap(victim)
      :: skip
      fi;
      acquire(0);
      useLock(0);
      if
      :: acquire(1); useLock(1); release(1)
      :: skip
      fi;
      release(0);
      running[me] = false;
      break
    } unless {
      killed[me]                                              /* at any step, and never a step more */
    };
    atomic { killed[me] = false; running[me] = false; repairs = false };
    atomic { owner = 0; found = 0; following = 0; victim = 0 };
    dead[me] = true;                                          /* proven, some time later */
    atomic { !dead[me] -> generation[me]++ }                  /* reaped: the slot's next tenant */
  od;
  finished++
}

/* The main thread: reaps whoever is dead, never dies, and ends when all have finished. */
proctype parent() {
  byte me = 0;
  byte slot, victim, owner, found, following;
  bool repairs;

  do
  :: atomic { finished == THREADS -> break }
  :: atomic {
      if
      :: dead[1] -> slot = 1
      :: dead[THREADS] -> slot = THREADS
      fi;
      victim = token(slot)
    };
    reap(victim);
    victim = 0
  od;
  assert(word[0] == FREE || word[0] == ORPHANED);             /* 6. */
  assert(word[1] == FREE || word[1] == ORPHANED)
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
    byte slot = 1;
    do
    :: slot <= THREADS -> run thread(slot); slot++
    :: else -> break
    od;
    run parent();
    run killer()
  }
}

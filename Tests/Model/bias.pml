/* A mutex with an owner (MutexGate): one thread at a time is inside, sees what was written inside before, and nobody waits for
 * ever.
 *
 * The owner enters by a plain store and a look; the others, rivals, by a mutex, a word that says so, and a fence in every
 * thread, membarrier(2). A rival that finds the owner inside sleeps in a futex until the owner, leaving, finds the word.
 *
 * The memory is as in wake.pml: what a thread has stored and what others see of it are two variables, the second follows the
 * first at any later time, and a releasing store is seen only behind what its thread stored before it. What is written
 * inside is one bit for each thread: whether others see it. To unlock the mutex, and to call the kernel, shows all that the
 * thread has stored.
 *
 * Abstracted:
 * - Who becomes the owner (MutexBias): a rival that leaves makes whom it likes the owner, of itself, the present owner, and
 *   nobody.
 * - The mutex among rivals, and the kernel's futex, are taken to do what they promise.
 *
 * Mutants: NO_FENCE (a rival has no other thread pass a fence), NO_SECOND_LOOK (the owner does not look again once it has
 * said that it is inside), ONE_SEAT (all who were ever the owner say so in one place), NO_WAY (the owner that steps back
 * wakes nobody), SILENT (the owner leaves without a look), LOOKS_FIRST (it looks before it has said that it is outside),
 * RELAXED_LEAVE and RELAXED_RETURN (the owner's, and a rival's, last store is not releasing).
 */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef ENTRIES
#define ENTRIES 3
#endif
#define NOBODY 255
#define seatOf(thread) (2 * (thread))           /* the word: its owner's seat; odd if a rival is there */
#define isOdd(word) ((word) % 2 == 1)           /* NOBODY is, too */

byte wordStored = NOBODY, wordSeen = NOBODY, wordBy;
bool wordReleases;
bit insideStored[THREADS], insideSeen[THREADS];
bool isUnseen[THREADS];         /* it has written something inside that others may not see yet */
byte within;                    /* how many are inside */
bool isLocked;                  /* the rivals' mutex */
byte sleepsFor = NOBODY;        /* whose seat the rival sleeps at */

#ifdef ONE_SEAT
#define seat(thread) 0
#else
#define seat(thread) thread
#endif
#ifdef RELAXED_LEAVE
#define leaveReleases false
#else
#define leaveReleases true
#endif
#ifdef RELAXED_RETURN
#define returnReleases false
#else
#define returnReleases true
#endif

/* What a thread has stored is seen. */
inline reveal(thread) {
  d_step {
    insideSeen[seat(thread)] = insideStored[seat(thread)];
    isUnseen[thread] = false;
    if
    :: wordBy == thread -> wordSeen = wordStored
    :: else
    fi
  }
}

/* What the processor has not shown yet, it shows at some time. */
active [THREADS] proctype Memory() {
end:
  do
  :: atomic { isUnseen[_pid] -> isUnseen[_pid] = false }
  :: atomic {
      insideSeen[_pid] != insideStored[_pid] && (insideStored[_pid] == 1 || !leaveReleases || !isUnseen[_pid]) ->
      insideSeen[_pid] = insideStored[_pid]
    }
  :: atomic { wordBy == _pid && wordSeen != wordStored && (!wordReleases || !isUnseen[_pid]) -> wordSeen = wordStored }
  od
}

/* A call of the kernel's. */
inline wake(thread) {
  reveal(thread);
  atomic {
    if
    :: sleepsFor == seat(thread) -> sleepsFor = NOBODY
    :: else
    fi
  }
}

inline inside(thread) {
  atomic {
    within++;
    assert(within == 1);
    other = 0;
    do
    :: other < THREADS ->
      assert(other == thread || !isUnseen[other]);      /* all that was written inside is seen */
      other++
    :: else -> break
    od;
    other = 0;
    isUnseen[thread] = true
  }
  within--
}

proctype Thread(byte me) {
  byte entries, word, owner, other;
  do
  :: entries == ENTRIES -> break
  :: entries < ENTRIES ->
    entries++;
    word = wordSeen;
    if
    :: word == seatOf(me) ->
      insideStored[seat(me)] = 1;
#ifndef NO_SECOND_LOOK
      word = wordSeen;
#endif
      if
      :: word == seatOf(me) ->
        inside(me);
#ifdef LOOKS_FIRST
        word = wordSeen;
        insideStored[seat(me)] = 0;
#else
        insideStored[seat(me)] = 0;
        word = wordSeen;
#endif
#ifndef SILENT
        if
        :: isOdd(word) -> wake(me)
        :: else
        fi;
#endif
        goto done
      :: else ->
        insideStored[seat(me)] = 0;
#ifndef NO_WAY
        wake(me)
#endif
      fi
    :: else
    fi;

    /* A rival, or the owner behind one. */
    atomic { !isLocked -> isLocked = true };
    owner = NOBODY;
    if
    :: wordStored != NOBODY ->
      atomic {
        owner = wordStored / 2;
        wordStored = seatOf(owner) + 1;
        wordBy = me;
        wordReleases = false
      };
      if
      :: owner != me ->
        reveal(me);
#ifndef NO_FENCE
        other = 0;
        do
        :: other < THREADS -> reveal(other); other++
        :: else -> break
        od;
        other = 0;
#endif
        do
        :: insideSeen[seat(owner)] == 0 -> break
        :: else ->
          atomic {
            if
            :: insideSeen[seat(owner)] == 1 -> sleepsFor = seat(owner)
            :: else
            fi
          };
          sleepsFor == NOBODY
        od
      :: else
      fi
    :: else
    fi;
    inside(me);
    atomic {
      if
      :: wordStored = NOBODY
      :: wordStored = seatOf(me)
      :: owner != NOBODY -> wordStored = seatOf(owner)
      fi;
      wordBy = me;
      wordReleases = returnReleases
    };
    reveal(me);
    isLocked = false;
done:
    word = 0; owner = 0
  od
}

init {
  byte thread;
  atomic {
    do
    :: thread < THREADS -> run Thread(thread); thread++
    :: else -> break
    od
  }
}

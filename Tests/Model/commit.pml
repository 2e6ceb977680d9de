/* A message is committed by its slot: a reader takes nothing else for one, and whoever counts agrees with who has read.
 *
 * One life of a segment. Its slots hold what an earlier life left: each looks like the very message that the reader waits
 * for, as a payload can that somebody else has made. The publisher commits messages, alone or two at once, and may die at
 * any instruction. The reader looks at slots only. The node counts at any time, and once more when the publisher has died.
 *
 * The memory is weaker than TSO on the storing side: stores are seen in any order but for those to one place; a releasing
 * store is seen behind all that its thread stored before it; a fence keeps what is behind it from being seen before what
 * is before it. Loads are in order: the first that matters is acquiring.
 *
 * What stands for what:
 *   begin      SegmentWriter.begin(epoch:after:)        commit     SegmentWriter.commit(_:byteCount:sequence:...)
 *   clear      SegmentWriter.clearSlot(at:)             batch      SegmentWriter.commit(_:sequence:publishTime:)
 *   Reader     OpenSegment.nextSlot(of:looks:)          look       SegmentReader.committedInThisLife
 *
 * Mutants: UNCLEARED       the slots where the log begins are not cleared
 *          OPENED_EARLY    the life is open before they are
 *          UNPREPARED      no slot is cleared behind a message
 *          RELAXED_SLOT    a slot's sequence is not a releasing store
 *          FORWARD         a batch is written from its first slot on
 *          COUNTS_WORD     who counts looks at the word only
 *          COUNTS_ONE      who counts takes a batch for one message
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#define SLOTS (MESSAGES + 2)
#define PENDING 8

/* The segment's words. The committed word is 0 in the earlier life, and one more than the count in this one. */
#define WORD 0
#define OPEN 1
#define SEQUENCE(i) (2 + 2 * (i))
#define BODY(i) (3 + 2 * (i))
#define FENCE 255
byte memory[2 + 2 * SLOTS];
/* A slot's other words and its payload: how many messages were committed from it on; or what was there before. */
#define FORGED 99

/* What is stored and not seen yet, in the order of the stores. */
byte place[PENDING], value[PENDING], pending;
bool isReleasing[PENDING];

byte committed;                 /* as the publisher knows */
byte taken;
bool hasDied, hasEarlierLife;

inline store(where, what, releasing) {
    atomic {
        pending < PENDING;
        place[pending] = where;
        value[pending] = what;
        isReleasing[pending] = releasing;
        pending++
    }
}

#define fence() store(FENCE, 0, true)
#define clear(i) store(SEQUENCE(i), 0, false)

active proctype Memory() {
    byte which, i;
    bool isAllowed;
end:
    do
    :: atomic { pending > 0 ->
        which = 0;
        do
        :: which + 1 < pending -> which++
        :: break
        od;
        isAllowed = true;
        i = 0;
        do
        :: i < which ->
            if
            :: isReleasing[which] || place[i] == place[which] || place[i] == FENCE -> isAllowed = false
            :: else
            fi;
            i++
        :: else -> break
        od;
        if
        :: isAllowed ->
            if
            :: place[which] != FENCE -> memory[place[which]] = value[which]
            :: else
            fi;
            pending--;
            i = which;
            do
            :: i < pending ->
                place[i] = place[i + 1]; value[i] = value[i + 1]; isReleasing[i] = isReleasing[i + 1];
                i++
            :: else -> break
            od;
            place[pending] = 0; value[pending] = 0; isReleasing[pending] = false
        :: else
        fi;
        which = 0; i = 0; isAllowed = false }
    od
}

#ifdef RELAXED_SLOT
#define SLOT_RELEASES false
#else
#define SLOT_RELEASES true
#endif

/* SegmentWriter.write, SlotEntry.store: with this slot, so many more messages are committed. */
inline write(i, length, more) {
    store(BODY(i), length, false);
    atomic { store(SEQUENCE(i), (i) + 1, SLOT_RELEASES); committed = committed + more }
}

inline announce(number) { store(WORD, (number) + 1, true) }

active proctype Publisher() {
    byte i;
    hasEarlierLife;
    {
        /* begin */
        announce(0);
        fence();
#ifdef OPENED_EARLY
        store(OPEN, 1, true);
#endif
#ifndef UNCLEARED
        clear(0);
        clear(1);
#endif
#ifndef OPENED_EARLY
        store(OPEN, 1, true);
#endif
        do
        :: committed < MESSAGES ->              /* commit */
            write(committed, 1, 1);
            announce(committed);
#ifndef UNPREPARED
            clear(committed + 1)
#endif
        :: committed + 1 < MESSAGES ->          /* batch */
#ifndef UNPREPARED
            clear(committed + 2);
            clear(committed + 3);
#endif
#ifdef FORWARD
            write(committed, 2, 0);
            write(committed + 1, 1, 2);
#else
            write(committed + 1, 1, 0);
            write(committed, 2, 2);
#endif
            announce(committed)
        :: else -> goto done
        od
    } unless { hasDied };
done:
    skip
}

active proctype Death() {
    if
    :: hasDied = true
    :: true
    fi
}

active proctype Reader() {
endBefore:
    (memory[WORD] > 0 && memory[OPEN] == 1);
end:
    do
    :: taken < SLOTS && memory[SEQUENCE(taken)] == taken + 1 ->
        assert(memory[BODY(taken)] != FORGED);
        assert(taken < committed);
        taken++
    od
}

inline look() {
    word = memory[WORD];
    counted = (word > 0 -> word - 1 : 0);
#ifndef COUNTS_WORD
    if
    :: word > 0 && counted < SLOTS ->
        if
        :: memory[OPEN] == 1 ->
            if
            :: memory[SEQUENCE(counted)] > 0 ->
                assert(memory[BODY(counted)] != FORGED);
#ifdef COUNTS_ONE
                counted++
#else
                counted = counted + memory[BODY(counted)]
#endif
            :: else
            fi
        :: else
        fi
    :: else
    fi
#endif
}

active proctype Node() {
    byte word, counted, before;
    before = taken;
    look();
    assert(counted >= before && counted <= committed);
end:
    /* What a dead process has stored is seen by then. */
    hasDied && pending == 0;
    look();
    assert(counted == committed && counted >= taken)
}

init {
    byte i;
    atomic {
        for (i : 0 .. SLOTS - 1) {
            memory[SEQUENCE(i)] = i + 1;
            memory[BODY(i)] = FORGED
        };
        hasEarlierLife = true
    }
}

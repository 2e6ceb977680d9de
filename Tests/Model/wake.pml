/* Publish and sleep: no wake-up is lost, and no slot that is counted is read before it is there. (What a slot says by itself
 * is commit.pml's.)
 *
 * One publisher, one subscription (a reader's thread and its client's loop), one doorbell between them, and the node,
 * which tells the subscription when the publisher has died. The publisher may die at any instruction.
 *
 * A wake-up is lost if the reader sleeps for ever while there is something to read. The bounded re-check of
 * Doorbells.recheckIfDue, which would mend that within a quarter of a second, is not modelled: it must not be needed.
 * All that the reader waits for is waited for in states that are no valid end of the model, so that a lost wake-up is
 * an invalid end state.
 *
 * The memory is weaker than TSO on the storing side. What a thread has stored and what others see of it are two
 * variables; the second follows the first at any later time. A releasing store is seen only behind what its thread
 * stored before it. A fence waits until all is seen. A value that is overwritten before anybody saw it may be skipped:
 * whoever could have seen it could also have looked a step earlier. Loads are in order: on the machines that Swift runs
 * on, the acquiring load of the committed word keeps the loads of the slots behind it, and the fences keep the others.
 *
 * Abstracted:
 * - Two more subscriptions or publishers: each pair of them has its own words and sees nothing of the others but
 *   handles that it did not need. `ring` sends those too, whenever it likes.
 * - A handle that nobody is asked to send: the doorbell is told of the subscription before the first message
 *   (PublisherCore.subscriberJoined), and ZeroMQ has connected. Until then it is the re-check that finds the messages.
 * - Many waiting handles: the socket holds HWM of them and drops the rest.
 *
 * - A sleep that was rung is not rung again but after a while (Listeners.ringsAgainAfter), which is not here: it is for
 *   handles that get lost.
 *
 * Mutants: NO_PUBLISHER_FENCE, NO_SUBSCRIBER_FENCE, RELAXED_COMMIT, SLEEP_UNLOOKED (the log is looked at before the
 * flag is cleared, and not again), RING_ONCE (of successive handles of a stream, one rings), SLEEPS_ALIKE
 * (each sleep has the same number), DEATH_UNTOLD,
 * BUSY_NEIGHBOUR (another stream's handles fill the socket that both share).
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#define HWM 2

#define OURS 0
#define THEIRS 1

/* The segment. Of slots, only how many are written; each is written once. */
byte slotsStored, slotsSeen;
byte committedStored, committedSeen;
/* The wake page: written with the state's lock held, by the reader's thread and by the loop's. */
#define AWAKE 0
byte wakeStored = AWAKE, wakeSeen = AWAKE;      /* else which sleep it is */

chan doorbell = [HWM] of { bit };
bool hasDied, isTold;           /* the publisher has died; the node has told the subscription */

/* SubscriptionCore.State, guarded by its lock */
bool isLocked, isWaiting, hasEnded;
byte taken;

#define lock() atomic { !isLocked -> isLocked = true }
#define unlock() isLocked = false
#define isReady (committedSeen > taken || hasEnded)

/* What the processor has not shown yet, it shows at some time. */
active proctype Memory() {
end:
    do
    :: slotsSeen < slotsStored -> slotsSeen++
#ifdef RELAXED_COMMIT
    :: committedSeen < committedStored -> committedSeen++
#else
    /* SegmentWriter.commit: a releasing store */
    :: committedSeen < committedStored && slotsSeen > committedSeen -> committedSeen++
#endif
    :: wakeSeen != wakeStored -> wakeSeen = wakeStored
    od
}

inline send(stream) {           /* HandleSender.send: at the high-water mark it drops */
    if
    :: nfull(doorbell) -> doorbell ! stream
    :: full(doorbell)
    fi
}

active proctype Publisher() {
    byte sleep, rung = AWAKE;
    {
        do
        :: committedStored < MESSAGES ->
            slotsStored++;                          /* SegmentWriter.commit: SlotEntry.store */
            committedStored++;                      /* SegmentWriter.commit: the committed word */
#ifndef NO_PUBLISHER_FENCE
            committedSeen == committedStored;       /* Listeners.mustBeRung: WakePage.fence */
#endif
            sleep = wakeSeen;                       /* Listeners.mustBeRung: WakePageView.sleep */
            if
            :: sleep != AWAKE && sleep != rung ->   /* Listener.needsRing */
                rung = sleep;
                send(OURS)                          /* PublisherCore.commit: handles.send */
            :: sleep == AWAKE || sleep == rung
            :: send(OURS)                           /* somebody else needs it */
            fi
        :: else -> goto done
        od
    } unless { hasDied };
done:
    skip
}

/* Handles that its process had not sent yet go with it. */
active proctype Death() {
    if
    :: atomic {
        hasDied = true;
        do
        :: doorbell ? _
        :: break
        od
    }
    :: true
    fi
}

/* NodeCore.close: the segments are sealed at what is committed, and the subscription is told (Ledger.complete:
 * tellSealed; Ledger.endIfOver: endStream). What a dead process stored is seen by then. */
active proctype Node() {
end:
    hasDied && slotsSeen == slotsStored && committedSeen == committedStored;
#ifndef DEATH_UNTOLD
    isTold = true
#endif
}

#ifdef BUSY_NEIGHBOUR
/* A stream of the same publishing client; an observer of it wants every handle. */
active proctype Neighbour() {
    byte sent;
    do
    :: sent < HWM -> send(THEIRS); sent++
    :: sent < HWM -> break
    :: else -> break
    od
}
#endif

/* SubscriptionCore.takeWaiting, called with the lock held; the waiting reader goes on. */
inline wake() {
    if
    :: isWaiting ->
        wakeStored = AWAKE;     /* Doze.setAwake */
        isWaiting = false
    :: else
    fi
}

/* ClientLoop.run */
active proctype Loop() {
    bit stream;
    bool hasRung;
end:
    do
    :: isTold && !hasEnded ->   /* SubscriptionCore.segmentSealed, streamEnded: update */
        lock();
        hasEnded = true;
        wake();
        unlock()
    :: nempty(doorbell) ->      /* Doorbells.drain */
        hasRung = false;
        do
        :: doorbell ? stream ->
            if
            :: stream == OURS && !hasRung ->
                lock(); wake(); unlock()            /* SubscriptionCore.ring */
#ifdef RING_ONCE
                hasRung = true
#endif
            :: else
            fi
        :: empty(doorbell) -> break
        od
    od
}

inline fallAsleep() {
#ifdef SLEEPS_ALIKE
    wakeStored = 1
#else
    sleeps++;
    wakeStored = sleeps
#endif
}

/* Subscriber.next */
active proctype Reader() {
    byte visible, sleeps;
look:
    atomic {                    /* SubscriptionCore.take; StreamCursor.peek, OpenSegment.nextSlot */
        !isLocked;
        if
        :: committedSeen > taken -> visible = committedSeen; goto read
        :: slotsSeen > taken -> visible = slotsSeen; goto read      /* by its slot, whether counted yet or not */
        :: slotsSeen <= taken && hasEnded -> goto finished
        :: taken == MESSAGES -> goto finished
        :: else             /* Subscriber.look: it may spin for a while, or wait at once */
        fi
    };
#ifdef SLEEP_UNLOOKED
    lock();
    if
    :: isReady -> unlock(); goto look
    :: else
    fi;
    fallAsleep();
    wakeSeen == wakeStored;
    isWaiting = true;
    unlock();
#else
    lock();                     /* SubscriptionCore.wait */
    fallAsleep();               /* WakePageOwner.setAsleep */
#ifndef NO_SUBSCRIBER_FENCE
    wakeSeen == wakeStored;     /* WakePageOwner.setAsleep: WakePage.fence */
#endif
    if
    :: isReady ->
        wakeStored = AWAKE;     /* Doze.setAwake */
        unlock();
        goto look
    :: else ->
        isWaiting = true;
        unlock()
    fi;
#endif
    !isWaiting;                 /* its continuation is resumed: no end of the model */
    goto look;

read:                           /* SegmentReader.slot */
    assert(slotsSeen >= visible);
    taken = visible;
    goto look;

finished:
    assert(taken == slotsStored)
}

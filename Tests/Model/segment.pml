/* The life of segments: lease and promise, hand, commit, seal, release, recycle, evict; whoever dies or leaves, whenever.
 *
 * One stream: a publisher, two subscriptions, the node, and a pool of SEGMENTS. One subscription is there from the
 * start, the other joins at any time, so also in mid-segment. Each may die at any step, and with LEAVES also close.
 * The publisher commits to any of its open segments and seals any, so the two lanes of Publish/Lane.swift, leases ahead
 * and leases given back unused are among its runs. With EVICTS its policy is `.evictOldest`, else `.wait`.
 *
 * What is checked:
 * - No memory is written again while somebody is promised what it held, or reads it (`begin`), and none is given back
 *   to the pool while it is mapped (`destroyIfUnmapped`).
 * - A subscription gets every message from the one at which it joined, in order, once, or an explicit lag (`due`).
 * - When all is quiet, all is read and all memory is free (at `timeout`). Every run comes to rest, as every run is
 *   finite: `check` looks for cycles, too. So every released segment is reclaimed in the end.
 *
 * Abstracted, and why that is sound:
 * - Stores are seen at once and in order: wake.pml is about memory. A message's slot and its committed word are one step,
 *   as are `begin`'s two words: nobody looks at a slot beyond the word, or at the memory between two lives.
 * - A handler of the node is one step: NodeLoop has one thread. So is a critical section of a subscription.
 * - Waking: a subscription looks whenever there is something, as wake.pml shows that it does.
 * - An id is never used twice, and a recycled segment has a new epoch; here one number, the life, counts both.
 * - Windows, backlog limits and retention: they delay what is handed, or evict, by the same steps as here. Ledger's
 *   random steps are tested for them.
 *
 * Mutants: PROMISE_LATE (lease and promise are two steps), RELEASE_EARLY (before the sample is dropped),
 * RECYCLE_FORCED (though somebody may read it), DESTROY_MAPPED, DEAD_PROMISES (of a dead subscription stay),
 * ORPHANS_OPEN (a dead publisher's leases are not sealed), JOIN_LATE (one slot too late), JOIN_EARLY (from the first),
 * JOIN_UNPROMISED (not promised what is being written), LAG_SILENT, CLOSED_THEN_DEAD (what a subscription that had
 * closed still mapped stays on the books when its process dies).
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef LEASES
#define LEASES 3
#endif
#define SEGMENTS 2
#define SLOTS 2
#define NONE 255

#define bit_(n) (1 << (n))
#define PUBLISHER bit_(2)       /* among a segment's mappings, beside the subscriptions' bits */

mtype = { request, ready, seal, close, release, unmapped, unsubscribe };        /* to the node */
mtype = { grant, hand, tellSealed, lag, forget, introduce, ended };             /* from it */
mtype = { free, leased, sealed, warm, pinned };                                 /* Ledger: SegmentState */

chan fromPublisher = [2] of { mtype, byte, byte };              /* what, segment, life */
chan toPublisher = [3] of { mtype, byte, byte };
chan fromSubscription[2] = [2] of { mtype, byte, byte };
chan toSubscription[2] = [7] of { mtype, byte, byte, byte };    /* and a count, a set or a sequence */

/* The memory: both words name the life that they speak of. */
typedef Log { byte life; byte committed; bool isSealed; byte slot[SLOTS] };
Log log[SEGMENTS];
byte committedTotal;

/* The processes, and what of their state the assertions speak of. */
bool publisherLives = true, lives[2] = true;
byte reads[2] = 0;              /* segments that its cursor reads */
byte borrowed[2] = NONE;        /* the segment that its one sample lies in */
byte maps[2] = 0;
byte publisherMaps = 0;
byte due[2] = 1;                /* the sequence that is to be delivered next, or reported lost */
bool isFinished[2] = false;

#include "ledger.pml"

/* MARK: - The publisher */

byte open;                      /* segments that it may write to */

inline diePublisher() { publisherLives = false; publisherMaps = 0; open = 0 }

#define maySay (publisherLives && nfull(fromPublisher))

inline say(what, x, its) {      /* NodeConnection.send, or death before it */
    if
    :: fromPublisher ! what(x, its)
    :: diePublisher()
    fi
}

/* SegmentWriter.begin: from here on the publisher may write. */
inline begin(x, newLife) {
    assert(!((reads[0] | reads[1]) & bit_(x)) && borrowed[0] != x && borrowed[1] != x);
    log[x].isSealed = false;
    log[x].committed = 0;
    log[x].life = newLife
}

#define mayCommit(x) \
    (publisherLives && (open & bit_(x)) && committedTotal < MESSAGES && log[x].committed < SLOTS)

inline commit(x) {              /* PublisherCore.commit, SegmentWriter.commit */
    committedTotal++;
    log[x].slot[log[x].committed] = committedTotal;
    log[x].committed++
}

inline sealAndSay(x) {          /* PublisherCore.sealIfDone, SegmentWriter.seal */
    open = open & ~bit_(x);
    log[x].isSealed = true;
    say(seal, x, log[x].life)
}

inline unmap(x) {               /* LeasedSegment's mapping: onUnmap */
    publisherMaps = publisherMaps & ~bit_(x);
    say(unmapped, x, 0)
}

active proctype Publisher() {
    byte leases, x, life;
    bool isAsking;
    do
    :: atomic { maySay && !isAsking && leases < LEASES && committedTotal < MESSAGES ->
        isAsking = true;                                    /* PublisherCore.request */
        leases++;
        say(request, 0, 0)
    }
    :: atomic { maySay && toPublisher ? [grant, _, _] ->
        toPublisher ? grant(x, life);                       /* PublisherCore.leaseGranted */
        begin(x, life);
        isAsking = false;
        publisherMaps = publisherMaps | bit_(x);
        open = open | bit_(x);
        say(ready, x, life)
    }
    :: atomic { maySay && toPublisher ? [forget, _, _] ->
        toPublisher ? forget(x, life);                      /* PublisherCore.forget */
        unmap(x)
    }
    :: atomic { mayCommit(0) -> commit(0) }
    :: atomic { mayCommit(1) -> commit(1) }
    :: atomic { maySay && (open & 1) -> sealAndSay(0) }
    :: atomic { maySay && (open & 2) -> sealAndSay(1) }
    :: atomic { maySay -> open = 0; say(close, 0, 0); break }       /* PublisherCore.end */
    :: !publisherLives -> break
    od;
    x = 0;
    life = 0;
    isAsking = false;
end:
    do                              /* its mappings go, and what is still granted is given back (ClientLoop.dispatch) */
    :: atomic { maySay && (publisherMaps & 1) -> unmap(0) }
    :: atomic { maySay && (publisherMaps & 2) -> unmap(1) }
    :: atomic { maySay && toPublisher ? [grant, _, _] ->
        toPublisher ? grant(x, _);
        if
        :: publisherMaps & bit_(x)      /* warm: the mapping says for itself when it goes */
        :: else -> say(unmapped, x, 0)
        fi
    }
    :: atomic { maySay && toPublisher ? [forget, _, _] -> toPublisher ? forget(_, _) }
    :: !publisherLives -> break
    od
}

/* MARK: - The subscriptions */

inline die() { lives[me] = false; reads[me] = 0; borrowed[me] = NONE; maps[me] = 0 }

#define maySpeak (lives[me] && nfull(fromSubscription[me]))

inline tellNode(what, x, its) { /* NodeConnection.send, or death before it */
    if
    :: fromSubscription[me] ! what(x, its)
    :: die()
    fi
}

/* ReadMapping: unmapped once the state has let go of it, and no sample is borrowed from it. */
#define mayUnmap(x) (maySpeak && (forgotten & bit_(x)) && borrowed[me] != x && !(reads[me] & bit_(x)))

inline unmapRead(x) {
    forgotten = forgotten & ~bit_(x);
    maps[me] = maps[me] & ~bit_(x);
    tellNode(unmapped, x, 0)
}

/* StreamCursor.finish: BorrowedSegment.pass */
inline finish(x) {
    reads[me] = reads[me] & ~bit_(x);
    next[x] = 0;
    last[x] = NONE;
    if
#ifndef RELEASE_EARLY
    :: borrowed[me] == x                /* the sample's holder releases it */
#endif
    :: else -> tellNode(release, x, lifeOf[x])
    fi
}

/* StreamCursor.peek: the next slot; what lies beyond the end that the node told is not read */
#define mayPeek(x) (lives[me] && !hasClosed && (reads[me] & bit_(x)) && next[x] < log[x].committed && next[x] < last[x])
#define sequence(x) (log[x].slot[next[x]])
#define isLost(n) (lost & bit_(n))
#define isExhausted(x) (maySpeak && (reads[me] & bit_(x)) && \
    ((last[x] != NONE && next[x] >= last[x]) || (log[x].isSealed && next[x] >= log[x].committed)))

inline take(x) {                        /* SubscriptionCore.take, StreamCursor.take, BorrowedSegment.borrow */
    assert(log[x].life == lifeOf[x] && sequence(x) == due[me]);
    borrowed[me] = x;
    next[x]++;
    expected++;
    due[me]++
}

inline drop() {                         /* Sample.deinit, BorrowedSegment.giveBack */
    x = borrowed[me];
    borrowed[me] = NONE;
    if
    :: !(reads[me] & bit_(x)) -> tellNode(release, x, lifeOf[x])
    :: else
    fi;
    x = 0
}

proctype Subscription(byte me) {
    byte expected, lost, forgotten, x, n, extra;
    byte lifeOf[SEGMENTS], next[SEGMENTS], last[SEGMENTS] = NONE;
    bool streamOver, hasClosed;
end:
    do
    :: atomic { maySpeak && nempty(toSubscription[me]) ->
        if
        :: toSubscription[me] ? introduce(_, _, n) -> expected = n          /* SubscriptionCore.introduce */
        :: toSubscription[me] ? hand(x, n, extra) ->                        /* SubscriptionCore.hand */
            if
            :: hasClosed && extra       /* a mapping that was warm goes, or has gone, by itself */
            :: hasClosed && !extra ->
                maps[me] = maps[me] | bit_(x);
                forgotten = forgotten | bit_(x)
            :: else ->
                assert(log[x].life == n);
                maps[me] = maps[me] | bit_(x);
                reads[me] = reads[me] | bit_(x);
                lifeOf[x] = n
            fi
        :: toSubscription[me] ? tellSealed(x, n, extra) ->                  /* SubscriptionCore.segmentSealed */
            if
            :: (reads[me] & bit_(x)) && lifeOf[x] == n -> last[x] = extra
            :: else
            fi
        :: toSubscription[me] ? lag(_, _, n) -> lost = lost | n             /* SubscriptionCore.lagged */
        :: toSubscription[me] ? forget(x, _, _) ->                          /* SubscriptionCore.forget */
            if
            :: maps[me] & bit_(x) ->
                if :: reads[me] & bit_(x) -> finish(x) :: else fi;
                forgotten = forgotten | bit_(x)
            :: else
            fi
        :: toSubscription[me] ? ended(_, _, _) -> streamOver = true           /* SubscriptionCore.streamEnded */
        fi;
        x = 0;
        n = 0;
        extra = 0
    }
    :: atomic { lives[me] && !hasClosed && isLost(expected) ->  /* StreamCursor.skip */
        assert(expected == due[me]);
        expected++;
        due[me]++
    }
    :: atomic { mayPeek(0) && borrowed[me] == NONE && sequence(0) == expected && !isLost(expected) -> take(0) }
    :: atomic { mayPeek(1) && borrowed[me] == NONE && sequence(1) == expected && !isLost(expected) -> take(1) }
    :: atomic { mayPeek(0) && sequence(0) < expected -> next[0]++ }
    :: atomic { mayPeek(1) && sequence(1) < expected -> next[1]++ }
    :: atomic { isExhausted(0) -> finish(0) }
    :: atomic { isExhausted(1) -> finish(1) }
    :: atomic { maySpeak && borrowed[me] != NONE -> drop() }
    :: atomic { mayUnmap(0) -> unmapRead(0) }
    :: atomic { mayUnmap(1) -> unmapRead(1) }
#ifdef LEAVES
    :: atomic { lives[me] && expected && !hasClosed -> hasClosed = true }   /* SubscriptionCore.close */
    :: atomic { maySpeak && hasClosed && (reads[me] & 1) -> finish(0) }
    :: atomic { maySpeak && hasClosed && (reads[me] & 2) -> finish(1) }
    :: atomic { maySpeak && hasClosed && !reads[me] && expected ->          /* NodeConnection.closeSubscription */
        expected = 0;
        forgotten = maps[me];
        tellNode(unsubscribe, 0, 0)
    }
#endif
    :: atomic { lives[me] && streamOver && !reads[me] && !isFinished[me] -> isFinished[me] = true }
    :: atomic { lives[me] -> die() }                                        /* killed at any instruction */
    :: !lives[me] -> break
    od
}

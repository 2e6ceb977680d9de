/* The life of segments: lease and promise, hand, commit, seal, release, recycle, evict; whoever dies or leaves,
 * whenever.
 *
 * One stream: a publisher, two subscriptions, and the node (ledger.pml, node.pml) with memory for POOL segments.
 * One subscription is there from the start, the other joins at any time, so also in mid-segment, and may die at any
 * step; the publisher may die or close at any step. With ALONE there is only the one that joins; with LEAVES it
 * closes, and may die afterwards. With EVICTS the publisher's policy is `.evictOldest`, else `.wait`. The publisher
 * commits to any of its open segments and seals any, so the two lanes of Publish/Lane.swift and leases given back
 * unused are among its runs.
 *
 * What is checked:
 * - No memory is written again while somebody reads it or is promised it (`begin`, `lease`), and none is given back
 *   to the pool while it is mapped (`destroyIfUnmapped`).
 * - A subscription gets every message from the one at which it joined, in order, once, or an explicit lag (`due`).
 * - When all is quiet, all is read and all memory is free (at `timeout`), and every run comes to rest (`check`
 *   looks for cycles). So every released segment is reclaimed in the end.
 *
 * Abstracted, and why that is sound:
 * - Stores are seen at once and in order: wake.pml and commit.pml are about memory. A message's slot and the word that
 *   counts it are one step, as are `begin`'s words: commit.pml has what is between them.
 * - What a client says is heard at once: it may be late in saying it, and one that dies before has not said it.
 *   Only the seal stands in the segment before it is said, so those are two steps. What the node says is on its way
 *   for a while. lease.pml has both ways, for what crosses between the node and a publisher.
 * - Waking: a subscription looks whenever there is something, as wake.pml shows that it does.
 * - An id is never used twice, and a recycled segment has a new epoch; here one number, the life, counts both.
 * - One sample is out at a time: BorrowedSegment counts them.
 * - Windows (so `passed`), backlog limits and retention: they delay what is handed, or evict, by the same steps.
 *   The random steps of LedgerTests have them.
 *
 * Mutants: PROMISE_LATE (lease and promise are two steps), RELEASE_EARLY (before the sample is dropped),
 * RECYCLE_FORCED (though somebody may read it), DESTROY_MAPPED, DEAD_PROMISES (of a dead subscription stay),
 * ORPHANS_OPEN (a dead publisher's leases are not sealed), JOIN_LATE (one slot too late), JOIN_EARLY (from the
 * first), JOIN_UNPROMISED (not promised what is being written), LAG_SILENT, CLOSED_THEN_DEAD (what a subscription
 * that had closed still mapped stays on the books when its process dies).
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef LEASES
#define LEASES 3
#endif
#define SEGMENTS 2
#ifndef POOL
#define POOL SEGMENTS          /* how many of them there is memory for */
#endif
#define SLOTS 2
#define NONE 255
#define STEADY 0                /* the subscription that is there from the start; the other joins */
#define LATE 1                  /* and may die, or close */

#define bit_(n) (1 << (n))
#define PUBLISHER bit_(2)       /* among a segment's mappings, beside the subscriptions' bits */

mtype = { free, leased, sealed, warm, pinned, absent };             /* Ledger: SegmentState; or there is none */
mtype = { grant, hand, tellSealed, lag, forget, introduce, ended }; /* what the node says */

chan toPublisher = [3] of { mtype, byte, byte };                    /* what, segment, life */
chan toSubscription[2] = [9] of { mtype, byte, byte, byte };    /* and a count, a set, or whether warm */

/* The memory: both words name the life that they speak of. */
typedef Log { byte life; byte committed; bool isSealed; byte slot[SLOTS] };
Log log[SEGMENTS];
byte committedTotal;

/* The processes, and what of their state the assertions speak of. Sets of segments have a bit for each. */
bool publisherLives = true, lives[2];
bool lateDies;                  /* chosen at first, so that there is rest without deaths, too */
byte publisherMaps, maps[2];
byte reads[2];                  /* segments that its cursor reads */
byte borrowed[2] = NONE;        /* the segment that its one sample lies in */
byte due[2];                    /* the sequence that is to be delivered next, or reported lost */
bool isOver[2];                 /* the stream has ended for it */

hidden byte x, its, extra;

#include "ledger.pml"
#include "node.pml"

/* MARK: - The publisher */

byte open;                      /* segments that it may write to */

/* SegmentWriter.begin: from here on the publisher may write. */
inline begin(a) {
    assert(!((reads[0] | reads[1]) & bit_(a)) && borrowed[0] != a && borrowed[1] != a);
    log[a].isSealed = false;
    log[a].committed = 0;
    log[a].life = its
}

#define mayCommit(a) ((open & bit_(a)) && committedTotal < MESSAGES && log[a].committed < SLOTS)

inline commit(a) {              /* PublisherCore.commit, SegmentWriter.commit */
    committedTotal++;
    log[a].slot[log[a].committed] = committedTotal;
    log[a].committed++
}

inline sealLog(a) {             /* PublisherCore.sealIfDone, SegmentWriter.seal */
    open = open & ~bit_(a);
    unsaid = unsaid | bit_(a);
    log[a].isSealed = true
}

inline saySealed(a) {           /* and NodeConnection.send */
    unsaid = unsaid & ~bit_(a);
    nodeSealed(a, log[a].life)
}

inline unmap(a) {               /* LeasedSegment's mapping: onUnmap */
    publisherMaps = publisherMaps & ~bit_(a);
    nodeUnmappedByPublisher(a)
}

proctype Publisher() {
    byte leases, unsaid;
    bool isAsking, hasClosed;
end:
    do
    :: d_step { publisherLives && !hasClosed && !isAsking && leases < LEASES && committedTotal < MESSAGES ->
        isAsking = true;                                        /* PublisherCore.request */
        leases++;
        nodeRequested()
    }
    :: d_step { publisherLives && toPublisher ? [grant, _, _] ->
        toPublisher ? grant(x, its);
        if
        :: !hasClosed ->                                        /* PublisherCore.leaseGranted */
            begin(x);
            isAsking = false;
            publisherMaps = publisherMaps | bit_(x);
            open = open | bit_(x);
            nodeReady(x, its)
        :: hasClosed && (publisherMaps & bit_(x))               /* warm: the mapping says for itself when it goes */
        :: else -> nodeUnmappedByPublisher(x)                   /* ClientLoop.dispatch */
        fi
    }
    :: d_step { publisherLives && toPublisher ? [forget, _, _] ->
        toPublisher ? forget(x, _);                             /* PublisherCore.forget */
        if
        :: !hasClosed -> unmap(x)
        :: else
        fi
    }
    :: d_step { mayCommit(0) -> commit(0) }
    :: d_step { mayCommit(1) -> commit(1) }
    :: d_step { open & 1 -> sealLog(0) }
    :: d_step { open & 2 -> sealLog(1) }
    :: d_step { unsaid & 1 -> saySealed(0) }
    :: d_step { unsaid & 2 -> saySealed(1) }
    :: d_step { publisherLives && !hasClosed && !unsaid ->      /* PublisherCore.end */
        hasClosed = true;
        open = 0;
        nodeClosed()
    }
    :: d_step { hasClosed && (publisherMaps & 1) -> unmap(0) }
    :: d_step { hasClosed && (publisherMaps & 2) -> unmap(1) }
    :: d_step { publisherLives && !(hasClosed && !publisherMaps) -> /* killed at any instruction */
        publisherLives = false;
        publisherMaps = 0;
        open = 0;
        unsaid = 0
    }
    od
}

/* MARK: - The subscriptions */

/* StreamCursor.finish: BorrowedSegment.pass */
inline finish(a) {
    reads[me] = reads[me] & ~bit_(a);
    next[a] = 0;
    last[a] = NONE;
    if
#ifndef RELEASE_EARLY
    :: borrowed[me] == a                /* who drops the sample releases it */
#endif
    :: else -> nodeReleased(a, lifeOf[a], me)
    fi
}

/* StreamCursor.peek: the next slot; what lies beyond the end that the node told is not read */
#define mayPeek(a) (!hasClosed && (reads[me] & bit_(a)) && next[a] < log[a].committed && next[a] < last[a])
#define sequence(a) log[a].slot[next[a]]
#define isLost(n) (lost & bit_(n))
#define mayTake(a) (mayPeek(a) && borrowed[me] == NONE && sequence(a) == expected && !isLost(expected))
#define isExhausted(a) ((reads[me] & bit_(a)) && \
    (hasClosed || next[a] >= last[a] || (log[a].isSealed && next[a] >= log[a].committed)))

inline take(a) {                        /* SubscriptionCore.take, StreamCursor.take, BorrowedSegment.borrow */
    assert(log[a].life == lifeOf[a] && sequence(a) == due[me]);
    borrowed[me] = a;
    next[a]++;
    expected++;
    due[me]++
}

/* ReadMapping: unmapped once the state has let go of it, and no sample is borrowed from it. */
#define mayUnmap(a) ((forgotten & bit_(a)) && borrowed[me] != a && !(reads[me] & bit_(a)))

inline unmapRead(a) {
    forgotten = forgotten & ~bit_(a);
    maps[me] = maps[me] & ~bit_(a);
    nodeUnmapped(a, me)
}

inline hear() {
    if
    :: toSubscription[me] ? introduce(_, _, expected)                   /* SubscriptionCore.introduce */
    :: toSubscription[me] ? hand(x, its, extra) ->                      /* SubscriptionCore.hand */
        if
        :: hasClosed && extra           /* a mapping that was warm goes, or has gone, by itself */
        :: hasClosed && !extra ->
            maps[me] = maps[me] | bit_(x);
            forgotten = forgotten | bit_(x)
        :: else ->
            assert(log[x].life == its);
            maps[me] = maps[me] | bit_(x);
            reads[me] = reads[me] | bit_(x);
            lifeOf[x] = its
        fi
    :: toSubscription[me] ? tellSealed(x, its, extra) ->                /* SubscriptionCore.segmentSealed */
        if
        :: (reads[me] & bit_(x)) && lifeOf[x] == its -> last[x] = extra
        :: else
        fi
    :: toSubscription[me] ? lag(_, _, extra) -> lost = lost | extra     /* SubscriptionCore.lagged */
    :: toSubscription[me] ? forget(x, _, _) ->                          /* SubscriptionCore.forget */
        if
        :: maps[me] & bit_(x) ->
            forgotten = forgotten | bit_(x);
            if
            :: reads[me] & bit_(x) -> finish(x)
            :: else
            fi
        :: else
        fi
    :: toSubscription[me] ? ended(_, _, _) -> isOver[me] = true         /* SubscriptionCore.streamEnded */
    fi
}

proctype Subscription(bit me) {
    byte expected, lost, forgotten;
    byte lifeOf[SEGMENTS], next[SEGMENTS], last[SEGMENTS] = NONE;
    bool hasClosed;
end:
    do
    :: d_step { lives[me] && nempty(toSubscription[me]) -> hear() }
    :: d_step { lives[me] && !hasClosed && isLost(expected) ->          /* StreamCursor.skip */
        assert(expected == due[me]);
        expected++;
        due[me]++
    }
    :: d_step { mayTake(0) -> take(0) }
    :: d_step { mayTake(1) -> take(1) }
    :: d_step { mayPeek(0) && sequence(0) < expected -> next[0]++ }
    :: d_step { mayPeek(1) && sequence(1) < expected -> next[1]++ }
    :: d_step { isExhausted(0) -> finish(0) }
    :: d_step { isExhausted(1) -> finish(1) }
    :: d_step { borrowed[me] != NONE ->                                 /* Sample.deinit, BorrowedSegment.giveBack */
        x = borrowed[me];
        borrowed[me] = NONE;
        if
        :: !(reads[me] & bit_(x)) -> nodeReleased(x, lifeOf[x], me)
        :: else
        fi
    }
    :: d_step { mayUnmap(0) -> unmapRead(0) }
    :: d_step { mayUnmap(1) -> unmapRead(1) }
#ifdef LEAVES
    :: d_step { me == LATE && expected && !hasClosed -> hasClosed = true }              /* SubscriptionCore.close */
    :: d_step { lives[me] && hasClosed && expected && !reads[me] ->     /* NodeConnection.closeSubscription */
        expected = 0;
        forgotten = maps[me];
        nodeUnsubscribed(me)
    }
#endif
    :: d_step { me == LATE && lateDies && lives[me] ->                  /* killed at any instruction */
        lives[me] = false;
        reads[me] = 0;
        borrowed[me] = NONE;
        maps[me] = 0;
        expected = 0; lost = 0; forgotten = 0; hasClosed = false;
        lifeOf[0] = 0; lifeOf[1] = 0; next[0] = 0; next[1] = 0; last[0] = NONE; last[1] = NONE
    }
    od
}

/* The node dies, at any step, and is started again; its clients go on without it, and return in any order.
 *
 * One stream: a publisher (here) and two subscriptions (reader.pml), each a client of its own, and the node (books.pml,
 * adoption.pml). STEADY was there before the stream; LATE joins at any time, so also at the new node before the publisher
 * is back. The node dies RESTARTS times, and DEATHS of the three die: before, in the gap, while they return, or later.
 * Without a node the publisher fills what it has, the subscriptions read what they have, and acknowledge, and a loan may be
 * out. With LATE_RETURNS the node may give up who lives and only comes late. With OLD the publisher is older than whoever
 * may be awaited, so that nothing is kept for ANYBODY.
 *
 * What is checked:
 * - Each gets every message from its first one on, in order, once, also over the restarts (`due`). What it misses it is told
 *   of, by a lag or the stream's end, and it is only what nobody had but a node that died and a publisher that is gone
 *   (`mayMiss`, `excuse`).
 * - No memory is written anew while somebody borrows from it (`begin`), and none is given back while somebody who is
 *   here maps it (`destroyIfUnmapped`).
 * - When all is quiet, all that live are back, all is read, and no segment is left, adopted or new (`checkRest`). So none
 *   waits for ever, and every segment is reclaimed in the end.
 *
 * What stands for what, beside the names at each step:
 *   the publisher's steps      Sources/PoolBus/Publish/PublisherCore{,+Segments,+Leases,+Rejoining}.swift
 *   rejoining, gone, joined    Sources/PoolBus/Connection/ClientLoop+Rejoining.swift
 *
 * Abstracted, and why that is sound:
 * - Stores are seen at once: wake.pml and renew.pml are about that. Waking, too: a subscription looks whenever there is
 *   something, and a node that returns tells of each segment anew.
 * - What a client says is heard at once, or never if the node is dead. What the node says is heard at once, but from some
 *   moment on one client hears nothing more before the node dies (`slow`): that is what is lost on the way. What comes
 *   late and is heard is segment.pml's and lease.pml's. Only what the publisher shall unmap it unmaps at any time.
 * - A node is started in the moment it dies: the gap is the time until the first client finds it.
 * - Time: who lives returns in time, and the node gives up nobody before all that live are back; with LATE_RETURNS,
 *   whenever it likes. LATE's join lies between two messages, as `publishTime` and `joined` tell; what the publisher renews
 *   while it has not seen yet that its node is dead is before the join of who has joined another one.
 * - Memory that becomes warm (segment.pml), quotas, windows, retention and backlog limits: they delay what is handed, or
 *   take it away, by the same steps.
 * - What a client says of one moment (ClientLoop.rejoin) is said in one, the publisher's in three: it may die in between.
 * - One sample at a time is kept by anybody. A publisher has one lane, and one loan that is out over a restart.
 *
 * Mutants: RENEWS_ADOPTED  the publisher begins a new life of what it has from the node before
 *          RENEWS_ALONE    it begins one without a node
 * and those of reader.pml, books.pml and adoption.pml.
 */
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef LEASES
#define LEASES 2                /* of one node */
#endif
#define SEGMENTS 3              /* of all nodes: an id is never used twice */
#ifndef SLOTS
#define SLOTS 1                 /* of one segment; 2 at the most */
#endif
#define LIVES 2                 /* of one segment */
#define NONE 255
#define END 254                 /* nothing more is to come of it */
#define STEADY 0
#define LATE 1

#define bit_(n) (1 << (n))
#define PUBLISHER bit_(2)       /* beside the subscriptions' bits, of mappings and deaths */
#define ANYBODY bit_(2)         /* of promises and lists: SubscriptionID.anybody */

mtype = { Introduced, Handed, Sealed, Lagged, Ended, Forget };
mtype = { outside, joined, gone, rejoining, over };                 /* ClientLoop.Phase; before and after it */

chan toSubscription[2] = [10] of { mtype, byte, byte, byte };

/* The memory: a segment's life, what it holds, and whether its log is sealed. */
typedef Log { byte life; byte count; bool isSealed; byte slot[SLOTS] };
Log log[SEGMENTS];
byte committedTotal;

/* What of the publisher's state others' assertions speak of, and the set of what may have been lost with it. */
mtype publisher = joined;
byte mapped;                    /* PublisherCore.State.held */
byte known;                     /* Listeners */
byte excused;                   /* messages */
bool isClosed, isGone;          /* Publisher.close; it has ended, or the node gave it up */
bool hasReturned;               /* to the node that there is */
byte granted = NONE, joining, leaving, forgetting;                  /* on its way to it */

/* A subscription: SubscriptionCore.State, its StreamCursor, and its HeldSegments. Sets of segments have a bit for each. */
typedef Held { byte life; byte end; byte released; byte acknowledged; byte wanted };
typedef Subscriber {
    mtype phase;
    bool hasCursor, hasEnded, isOver, mayReturn;
    byte expected, lost;
    byte held, open, resting;   /* mapped; in the cursor, and of these read to their ends */
    byte placed, byMessage;     /* acknowledged in the wake page; released by message, whatever the node awaits */
    byte borrowed, borrowedLife;
    byte deferred;              /* ClientLoop.State.deferred: releases */
    byte joinedAt;              /* how many messages were published by then */
    byte due;                   /* what is to be delivered next, or reported lost */
    Held has[SEGMENTS]
};
Subscriber sub[2];

byte deaths = DEATHS;

byte named = 3;                 /* RejoinPublisher.listeners */
byte slow;                      /* clients that hear nothing more of a node that is to die */

/* Who is not slow hears at once what the node says. */
#define nextToHear (len(toSubscription[0]) > 0 -> 0 : (len(toSubscription[1]) > 0 -> 1 : \
    (granted != NONE || joining || leaving -> 2 : 3)))
#define calm (nextToHear == 3)

#define me sub[s]
#define its sub[s].has[x]
#define publisherLives (publisher != over)
#define publisherIsBack (publisher == joined && (connected & PUBLISHER))
#define isBack(s) (sub[s].phase == joined && (connected & bit_(s)))
#define lives(s) (sub[s].phase != outside && sub[s].phase != over)
#ifdef OLD
#define YOUNG false
#else
#define YOUNG true
#endif

hidden byte a_, e_, n_, i_, j_, m_, f_;

/* SegmentStore.lastSequence(in:) of a life; 0 if the memory is in another one, or holds nothing. */
#define lastIn(x, e) ((log[x].life == (e) && log[x].count > 0) -> log[x].slot[log[x].count - 1] : 0)

#include "books.pml"
#include "adoption.pml"

/* MARK: - The publisher */

byte current = NONE, ahead = NONE, resting, sealed, adopted, unsaid;
byte loan = NONE;               /* a segment that is written no more but for one loan that is out */
byte toOffer;

inline saySeal(x) {             /* PublisherCore.seal, ClientLoop.send */
    sealed = sealed | bit_(x);
    if
    :: publisherIsBack -> seal(x, log[x].life)
    :: publisher == rejoining -> unsaid = unsaid | bit_(x)
    :: else
    fi
}

inline rest(x) {                /* PublisherCore.rest */
    log[x].isSealed = true;
    if
#ifdef RENEWS_ADOPTED
    :: log[x].count > 0 && !isKept -> resting = resting | bit_(x)
#else
    :: log[x].count > 0 && !isKept && !(adopted & bit_(x)) -> resting = resting | bit_(x)
#endif
    :: else -> saySeal(x)
    fi
}

inline commit(x) {              /* SegmentWriter.commit */
    committedTotal++;
    log[x].slot[log[x].count] = committedTotal;
    log[x].count++;
    if
    :: isGone -> excused = excused | bit_(committedTotal)
    :: else
    fi
}

#define hasRead(s, x) (!(known & bit_(s)) || sub[s].has[x].acknowledged == log[x].life)
#ifdef RENEWS_ALONE
#define mayRenew(x) ((resting & bit_(x)) && log[x].life < LIVES && !(noted & ~known) && hasRead(0, x) && hasRead(1, x))
#else
#define mayRenew(x) (publisher == joined && (resting & bit_(x)) && log[x].life < LIVES && \
    !(noted & ~known) && hasRead(0, x) && hasRead(1, x))
#endif
#define maySucceed (!isClosed && current == NONE && committedTotal < MESSAGES)

inline begin(x) {               /* PublisherCore.nextSegment, SegmentWriter.begin */
    if                          /* it does not know yet that its node is dead: who has joined another meanwhile is late */
    :: publisher == joined && !(connected & PUBLISHER) && sub[LATE].phase == joined &&
        !sub[LATE].hasCursor && !sub[LATE].isOver && (connected & bit_(LATE)) -> sub[LATE].joinedAt = committedTotal; sub[LATE].due = committedTotal + 1
    :: else
    fi;
    assert(sub[0].borrowed != x && sub[1].borrowed != x);
    resting = resting & ~bit_(x);
    log[x].isSealed = false;
    log[x].count = 0;
    log[x].life++;
    current = x
}

/* PublisherCore.rejoinState: what is told of it, and from then on written no more but for loans. */
inline tellPublisher(withLoan) {
    publisher = rejoining;
    connected = connected | PUBLISHER;
    noted = 0;
    named = known;
    if
    :: withLoan && loan == NONE -> loan = current
    :: else
    fi;
    for (i_ : 0 .. SEGMENTS - 1) {
        if
        :: (mapped & bit_(i_)) && loan != i_ -> log[i_].isSealed = true; sealed = sealed | bit_(i_)
        :: else
        fi
    };
    adopted = adopted | mapped;
    current = NONE; ahead = NONE;
#ifndef RENEWS_ADOPTED
    resting = 0;
#endif
    unsaid = 0;
    toOffer = mapped;
    if
    :: stream == unknown || stream == awaited -> returnStream(YOUNG)
    :: else -> publisherGone(); publisher = over; connected = connected & ~PUBLISHER; excuse()   /* refused: notTheirs */
    fi
}

inline publisherGone() {        /* its process has ended, or its connection for good */
    mapped = 0; sealed = 0; resting = 0; adopted = 0; unsaid = 0; toOffer = 0; known = 0;
    current = NONE; ahead = NONE; loan = NONE;
    granted = NONE; joining = 0; leaving = 0; forgetting = 0
}

proctype Publisher() {
    byte x;
end:
    do
    /* What the node says */
    :: d_step { nextToHear == 2 && joining ->                        /* PublisherCore.subscriberJoined, segmentPromised */
        known = known | joining; joining = 0 }
    :: d_step { nextToHear == 2 && leaving -> known = known & ~leaving; leaving = 0 }
    :: d_step { nextToHear == 2 && granted != NONE ->                /* PublisherCore.leaseGranted */
        x = granted; granted = NONE;
        mapped = mapped | bit_(x);
        log[x].life = 1;
        ahead = x;
        if
        :: connected & PUBLISHER -> segmentReady(x)
        :: else
        fi;
        x = 0
    }
    :: d_step { calm && publisherLives && forgetting ->               /* PublisherCore.forget, late */
        x = 0;
        do
        :: !(forgetting & bit_(x)) -> x++
        :: else -> break
        od;
        forgetting = forgetting & ~bit_(x);
        if
        :: mapped & sealed & bit_(x) ->
            mapped = mapped & ~bit_(x);
            sealed = sealed & ~bit_(x); adopted = adopted & ~bit_(x);
            if
            :: connected & PUBLISHER -> unmapped(x, PUBLISHER)
            :: else
            fi
        :: else
        fi;
        x = 0
    }
    /* Publishing */
    :: d_step { calm && publisherIsBack && !isClosed && !(slow & PUBLISHER) && ahead == NONE && granted == NONE &&
        committedTotal < MESSAGES && mayLease ->
        lease() }                                           /* PublisherCore.request */
    :: d_step { calm && publisherLives && maySucceed && mayRenew(0) -> begin(0) }
    :: d_step { calm && publisherLives && maySucceed && mayRenew(1) -> begin(1) }
    :: d_step { calm && publisherLives && !isClosed && (current != NONE || ahead != NONE) && committedTotal < MESSAGES ->
        if                                                  /* PublisherCore.reserveNext */
        :: current == NONE -> current = ahead; ahead = NONE
        :: else
        fi;
        x = current;                                        /* PublisherCore.commit */
        commit(x);
        if
        :: log[x].count == SLOTS -> current = NONE; rest(x) /* PublisherCore.prepareEnd */
        :: else
        fi;
        x = 0
    }
    :: d_step { calm && publisherLives && loan != NONE && !isClosed && committedTotal < MESSAGES ->
        x = loan;                                           /* PublisherCore.commit: isLast */
        loan = NONE;
        commit(x);
        rest(x);
        x = 0
    }
    :: d_step { calm && publisherLives && loan != NONE ->                   /* PublisherCore.cancel: restIfDone */
        x = loan; loan = NONE;
        rest(x);
        x = 0
    }
    :: d_step { calm && publisherLives && resting ->                        /* PublisherCore.sealUnused */
        x = 0;
        do
        :: !(resting & bit_(x)) -> x++
        :: else -> break
        od;
        resting = resting & ~bit_(x);
        saySeal(x);
        x = 0
    }
    :: d_step { calm && publisherLives && !isClosed && loan == NONE ->      /* PublisherCore.end, ClientLoop.closePublisher */
        isClosed = true;
        if
        :: publisherIsBack -> publisherGone(); publisher = over; isGone = true; closeStream()
        :: else
        fi
    }
    /* The node is gone, and is there again */
    :: d_step { calm && publisherLives && publisher != gone && !(connected & PUBLISHER) ->  /* ClientLoop.nodeIsGone */
        publisher = gone }
    :: d_step { calm && publisher == gone -> tellPublisher(false) }
    :: d_step { calm && publisher == gone && current != NONE -> tellPublisher(true) }
    :: d_step { calm && publisher == rejoining && (connected & PUBLISHER) && toOffer ->
        for (x : 0 .. SEGMENTS - 1) {
            if
            :: toOffer & bit_(x) -> adoptWritten(x)
            :: else
            fi
        };
        toOffer = 0; x = 0
    }
    :: d_step { calm && publisher == rejoining && (connected & PUBLISHER) && !toOffer ->             /* ClientLoop.finishRejoining */
        publisher = joined; hasReturned = true;
        streamReturned();
        for (j_ : 0 .. SEGMENTS - 1) {
            if
            :: unsaid & bit_(j_) -> seal(j_, log[j_].life)
            :: else
            fi
        };
        unsaid = 0;
        if
        :: isClosed -> publisherGone(); publisher = over; isGone = true; closeStream()
        :: else
        fi
    }
    :: d_step { calm && publisherLives && deaths > 0 ->                     /* killed at any instruction */
        deaths--;
        publisherGone();
        publisher = over;
        isGone = true;
        if
        :: connected & PUBLISHER -> publisherLeft()
        :: else
        fi;
        excuse()
    }
    od
}

#include "reader.pml"

/* MARK: - The node */

#ifdef LATE_RETURNS
#define areBack true
#else
#define areBack ((publisherIsBack || !publisherLives) && (isBack(0) || !lives(0)) && (isBack(1) || !lives(1)))
#endif

active proctype Node() {
    d_step {
        stream = present; hasPublisher = true; reader[STEADY] = present; listed = bit_(STEADY);
        connected = PUBLISHER | bit_(STEADY);
        sub[STEADY].phase = joined; sub[STEADY].due = 1;
        sub[LATE].phase = outside;
        sub[0].borrowed = NONE; sub[1].borrowed = NONE;
        for (j_ : 0 .. SEGMENTS - 1) { segment[j_].state = none; sub[0].has[j_].end = NONE; sub[1].has[j_].end = NONE };
        j_ = 0;
        introduce(STEADY)
    };
    atomic { run Publisher(); run Subscription(STEADY); run Subscription(LATE) };
end:
    do
    :: d_step { calm && restarts > 0 && !slow -> slow = bit_(0) }
    :: d_step { calm && restarts > 0 && !slow -> slow = bit_(1) }
    :: d_step { calm && restarts > 0 && !slow -> slow = PUBLISHER }
    /* killed at any instruction, and started */
    :: d_step { calm && restarts > 0 -> restarts--; slow = 0; hasReturned = false; crash(); excuse() }
    :: d_step { calm && stream == awaited && areBack -> giveUpStream(); excuse() }   /* giveUpAwaited */
    :: d_step { calm && reader[0] == awaited && areBack -> forgetReader(0) }
    :: d_step { calm && reader[1] == awaited && areBack -> forgetReader(1) }
    :: d_step { calm && anybody && areBack -> anybody = false; unsubscribe(2) }
    :: timeout -> d_step { checkRest() }; break
    od
}

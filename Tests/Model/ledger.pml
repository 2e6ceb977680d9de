/* The node of segment.pml: the ledger, and the node that asks it. Each inline is a method of the same name in
 * Sources/Ledger; each handler of the process is one of NodeCore's. Processes of the model know nothing of these
 * variables but by messages.
 */
mtype state[SEGMENTS] = free;
byte currentLife[SEGMENTS];            /* the epoch, and which segment it is: see segment.pml */
bool isReady[SEGMENTS];
byte promises[SEGMENTS];        /* sets of subscriptions */
byte handed[SEGMENTS];
byte mappings[SEGMENTS];        /* of them, and of the publisher */
bool isForced[SEGMENTS];
bool isOrphaned[SEGMENTS];
bool leaseWaits, isClosed;
byte joined, hasLeft, hasEnded; /* sets of subscriptions */
byte unpromised;                /* leased, and only to be promised: PROMISE_LATE */

hidden byte s_, t_, u_, n_;

inline tell(s, what, x, a, b) {
    if
    :: lives[s] -> assert(nfull(toSubscription[s])); toSubscription[s] ! what(x, a, b)
    :: else                     /* a dead one's connection takes nothing */
    fi
}

inline tellPublisher(what, x, a) {
    if
    :: publisherLives -> assert(nfull(toPublisher)); toPublisher ! what(x, a)
    :: else
    fi
}

/* SegmentStore.destroy: the pages go, which nobody may have mapped. */
inline destroyIfUnmapped(x) {
    if
#ifdef DESTROY_MAPPED
    :: state[x] == pinned ->
#else
    :: state[x] == pinned && !mappings[x] ->
#endif
        assert(!((maps[0] | maps[1]) & bit_(x)) && !(publisherMaps & bit_(x)));
        state[x] = free;
        isReady[x] = false;
        isForced[x] = false;
        isOrphaned[x] = false
    :: else
    fi
}

inline takeBack(x) {
    if
    :: state[x] != pinned ->
        state[x] = pinned;
        for (s_ : 0 .. 1) {
            if
            :: mappings[x] & bit_(s_) -> tell(s_, forget, x, 0, 0)
            :: else
            fi
        };
        if
        :: mappings[x] & PUBLISHER -> tellPublisher(forget, x, 0)
        :: else
        fi;
        destroyIfUnmapped(x)
    :: else
    fi
}

inline reclaimIfReleased(x) {   /* and reclaim */
    if
    :: state[x] == sealed && !promises[x] ->
        if
#ifdef RECYCLE_FORCED
        :: !isClosed && (mappings[x] & PUBLISHER) -> state[x] = warm
#else
        :: !isClosed && !isForced[x] && (mappings[x] & PUBLISHER) -> state[x] = warm
#endif
        :: else -> takeBack(x)
        fi
    :: else
    fi
}

inline void_(x, s) {
    promises[x] = promises[x] & ~bit_(s);
    handed[x] = handed[x] & ~bit_(s)
}

inline hand_(x, s) {            /* Ledger.hand; without windows, whatever is ready */
    if
    :: isReady[x] && (promises[x] & bit_(s)) && !(handed[x] & bit_(s)) ->
        handed[x] = handed[x] | bit_(s);
        tell(s, hand, x, currentLife[x], ((mappings[x] & bit_(s)) != 0));
        mappings[x] = mappings[x] | bit_(s);
        if
        :: isOrphaned[x] -> tell(s, tellSealed, x, currentLife[x], log[x].committed)
        :: else
        fi
    :: else
    fi
}

#define isWaiting(s) (((promises[0] & ~handed[0]) | (promises[1] & ~handed[1])) & bit_(s))

inline endIfOver(s) {
    if
    :: isClosed && (joined & ~hasLeft & ~hasEnded & bit_(s)) && !isWaiting(s) ->
        hasEnded = hasEnded | bit_(s);
        tell(s, ended, 0, 0, 0)
    :: else
    fi
}

inline complete(x) {            /* SegmentStore.committed: 0 if the memory is in another life */
    n_ = (log[x].life == currentLife[x] -> log[x].committed : 0);
    if
    :: n_ == 0 ->
        for (t_ : 0 .. 1) {
            if
            :: handed[x] & bit_(t_) -> isForced[x] = true; tell(t_, tellSealed, x, currentLife[x], 0)
            :: else
            fi;
            void_(x, t_)
        };
        takeBack(x)
    :: else ->
        state[x] = sealed;
        for (t_ : 0 .. 1) {
            if
            :: isOrphaned[x] && (handed[x] & bit_(t_)) -> tell(t_, tellSealed, x, currentLife[x], n_)
            :: else
            fi
        };
        reclaimIfReleased(x)
    fi
}

inline promiseToAll(x) { promises[x] = joined & ~hasLeft }

/* regrant, create: lease and promise are one step */
inline lease(x) {
    assert(!promises[x]);
    leaseWaits = false;
    state[x] = leased;
    currentLife[x]++;
    isReady[x] = false;
    mappings[x] = mappings[x] | PUBLISHER;
#ifdef PROMISE_LATE
    unpromised = unpromised | bit_(x);
#else
    promiseToAll(x);
#endif
    tellPublisher(grant, x, currentLife[x])
}

#ifdef EVICTS
inline lag_(x, s) {
    n_ = bit_(log[x].slot[0]);  /* SegmentStore.sequences; as a set */
    if
    :: log[x].committed > 1 -> n_ = n_ | bit_(log[x].slot[1])
    :: else
    fi;
#ifndef LAG_SILENT
    tell(s, lag, 0, 0, n_);
#endif
    if
    :: handed[x] & bit_(s) -> isForced[x] = true
    :: else
    fi;
    void_(x, s)
}

inline evict(x) {               /* and lag */
    for (t_ : 0 .. 1) {
        if
        :: promises[x] & bit_(t_) -> lag_(x, t_)
        :: else
        fi
    };
#ifdef RECYCLE_FORCED
    reclaimIfReleased(x)
#else
    takeBack(x)
#endif
}
#endif

inline settle() {               /* serve */
    if
    :: leaseWaits && !isClosed ->
        if
        :: state[0] == warm -> lease(0)
        :: state[0] != warm && state[1] == warm -> lease(1)
        :: state[0] == free && state[1] != warm -> lease(0)
        :: state[1] == free && state[0] != warm && state[0] != free -> lease(1)
#ifdef EVICTS
        :: state[0] == sealed && state[1] != warm && state[1] != free -> evict(0)
        :: state[1] == sealed && state[0] != warm && state[0] != free -> evict(1)
#endif
        :: else
        fi
    :: else
    fi;
#ifdef EVICTS
    if                          /* what nobody mapped is there at once */
    :: leaseWaits && !isClosed && (state[0] == free || state[0] == warm) -> lease(0)
    :: leaseWaits && !isClosed && (state[1] == free || state[1] == warm) -> lease(1)
    :: else
    fi;
#endif
    for (s_ : 0 .. SEGMENTS - 1) { assert(state[s_] != sealed || promises[s_]) };
    s_ = 0; t_ = 0; u_ = 0; n_ = 0
}

#ifdef JOIN_UNPROMISED
#define MAY_PROMISE s == STEADY
#else
#define MAY_PROMISE true
#endif

inline subscribe(s) {
    joined = joined | bit_(s);
    due[s] = committedTotal + 1;
    /* NodeCore.firstSequence: behind what is committed */
#ifdef JOIN_LATE
    tell(s, introduce, 0, 0, committedTotal + 2);
#else
#ifdef JOIN_EARLY
    tell(s, introduce, 0, 0, 1);
#else
    tell(s, introduce, 0, 0, committedTotal + 1);
#endif
#endif
    for (t_ : 0 .. SEGMENTS - 1) {
        if
        :: state[t_] == leased && MAY_PROMISE -> promises[t_] = promises[t_] | bit_(s)
        :: else
        fi;
        hand_(t_, s)
    };
    endIfOver(s)
}

/* Ledger.unsubscribe; its process has ended, or may read on for a while */
inline unsubscribe_(s, mappingsGone) {
    hasLeft = hasLeft | bit_(s);
    for (n_ : 0 .. SEGMENTS - 1) {
        if
        :: promises[n_] & bit_(s) ->
            if
            :: !mappingsGone && (handed[n_] & bit_(s)) -> isForced[n_] = true
            :: else
            fi;
#ifdef DEAD_PROMISES
            if :: lives[s] -> void_(n_, s) :: else fi;
#else
            void_(n_, s);
#endif
            if :: mappingsGone -> mappings[n_] = mappings[n_] & ~bit_(s) :: else fi;
            reclaimIfReleased(n_)
        :: else
        fi;
        if
        :: !mappingsGone && (mappings[n_] & bit_(s)) -> tell(s, forget, n_, 0, 0)
        :: mappingsGone -> mappings[n_] = mappings[n_] & ~bit_(s); destroyIfUnmapped(n_)
        :: else
        fi
    }
}

inline closeStream(mappingsGone) {
    isClosed = true;
    leaseWaits = false;
    for (u_ : 0 .. SEGMENTS - 1) {
        if :: mappingsGone -> mappings[u_] = mappings[u_] & ~PUBLISHER :: else fi;
        if
#ifdef ORPHANS_OPEN
        :: state[u_] == leased && publisherLives ->
#else
        :: state[u_] == leased ->
#endif
            isOrphaned[u_] = true;
            if
            :: log[u_].life == currentLife[u_] && log[u_].committed > 0 -> isReady[u_] = true
            :: else
            fi;
            complete(u_)
        :: state[u_] == warm -> takeBack(u_)
        :: state[u_] == pinned -> destroyIfUnmapped(u_)
        :: else
        fi
    };
    for (t_ : 0 .. 1) {
        hand_(0, t_);
        hand_(1, t_);
        endIfOver(t_)
    }
}

inline unmappedByPublisher(a) {
    mappings[a] = mappings[a] & ~PUBLISHER;
    if
    :: state[a] == warm -> takeBack(a)
    :: state[a] == leased -> isForced[a] = true
    :: else
    fi;
    destroyIfUnmapped(a)
}

inline unmappedBy(a, s) {
    if
    :: mappings[a] & bit_(s) ->
        mappings[a] = mappings[a] & ~bit_(s);
        if
        :: handed[a] & bit_(s) -> void_(a, s); reclaimIfReleased(a)
        :: else
        fi;
        endIfOver(s);
        destroyIfUnmapped(a)
    :: else
    fi
}

/* MARK: - What clients say: NodeCore.handle */

#define isCurrent(a, n) (state[a] == leased && currentLife[a] == n)

inline nodeRequested() { leaseWaits = !isClosed; settle() }

inline nodeReady(a, n) {
    if
    :: isCurrent(a, n) && !isReady[a] -> isReady[a] = true; hand_(a, 0); hand_(a, 1); settle()
    :: else
    fi
}

inline nodeSealed(a, n) {
    if
    :: isCurrent(a, n) -> complete(a); settle()
    :: else
    fi
}

inline nodeReleased(a, n, s) {
    if
    :: currentLife[a] == n && (handed[a] & bit_(s)) -> void_(a, s); reclaimIfReleased(a); endIfOver(s); settle()
    :: else
    fi
}

inline nodeUnmapped(a, s) { unmappedBy(a, s); settle() }
inline nodeUnmappedByPublisher(a) { unmappedByPublisher(a); settle() }
inline nodeUnsubscribed(s) { unsubscribe_(s, false); settle() }
inline nodeClosed() { closeStream(false); settle() }

/* MARK: - What the node does by itself */

/* NodeLoop.died: what a dead client said last is read first. Then either its socket is found closed and after that its
 * process ended; or, if a forked child holds the socket open, only its process. */
#define subscriptionEnded(s) ((joined & bit_(s)) && !lives[s] && !(gone & bit_(s)))
#define publisherEnded (!publisherLives && !(gone & PUBLISHER))

inline subscriptionLeft(s) {    /* NodeCore.clientLeft */
    left = left | bit_(s);
    unsubscribe_(s, false)
}

inline subscriptionDied(s) {    /* NodeCore.clientDied */
    gone = gone | bit_(s);
    if
    :: !(hasLeft & bit_(s)) -> unsubscribe_(s, true)
#ifdef CLOSED_THEN_DEAD
    :: (hasLeft & bit_(s)) && !(left & bit_(s))
#endif
    :: else -> unmappedBy(0, s); unmappedBy(1, s)
    fi
}

inline publisherLeft() {
    left = left | PUBLISHER;
    closeStream(false)
}

inline publisherDied() {
    gone = gone | PUBLISHER;
    if
    :: !isClosed -> closeStream(true)
#ifdef CLOSED_THEN_DEAD
    :: isClosed && !(left & PUBLISHER)
#endif
    :: else -> unmappedByPublisher(0); unmappedByPublisher(1)
    fi
}

active proctype Node() {
    byte left, gone;            /* clients whose sockets are closed, whose processes have ended */
    atomic {
        if
        :: POOL == 1 -> state[1] = absent
        :: else
        fi;
#ifndef ALONE
        lives[STEADY] = true;
        subscribe(STEADY);
        run Subscription(STEADY);
#endif
        lives[LATE] = true;
        run Subscription(LATE);
        run Publisher()
    };
    do
    :: d_step { lives[LATE] && !(joined & bit_(LATE)) -> subscribe(LATE); settle() }
#ifdef PROMISE_LATE
    :: d_step { unpromised & 1 -> unpromised = unpromised & ~1; if :: state[0] == leased -> promiseToAll(0) :: else fi }
    :: d_step { unpromised & 2 -> unpromised = unpromised & ~2; if :: state[1] == leased -> promiseToAll(1) :: else fi }
#endif
    :: d_step { subscriptionEnded(LATE) && !((left | hasLeft) & bit_(LATE)) -> subscriptionLeft(LATE); settle() }
    :: d_step { subscriptionEnded(LATE) -> subscriptionDied(LATE); settle() }
    :: d_step { publisherEnded && !isClosed -> publisherLeft(); settle() }
    :: d_step { publisherEnded -> publisherDied(); settle() }
    :: timeout ->
        assert(state[0] == free && (state[1] == free || state[1] == absent));
        assert(!lives[0] || (hasLeft & 1) || (isOver[0] && !reads[0] && due[0] == committedTotal + 1));
        assert(!lives[1] || (hasLeft & 2) || (isOver[1] && !reads[1] && due[1] == committedTotal + 1));
        break
    od
}

/* The node of segment.pml: what it hears, and what it does by itself. A handler is one step, for
 * NodeLoop has one thread.
 */

/* MARK: - Who comes and goes: Ledger/Membership.swift */

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
        if
        :: lateDies = true
        :: true
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

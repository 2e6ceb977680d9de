/* The ledger of segment.pml; its Membership.swift is in node.pml. Each inline is the method of that name in
 * Sources/Ledger, and what the node does with its actions (NodeCore.execute). Clients know nothing of these variables
 * but by messages.
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

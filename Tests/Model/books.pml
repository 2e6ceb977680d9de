/* The node's books in rejoin.pml, as every node keeps them. A handler is one step, for NodeLoop has one thread. Each inline
 * is the method of that name, of Sources/Ledger unless it says otherwise; what the node does with the ledger's actions
 * (NodeCore.execute) is in it. Clients know nothing of these variables but by messages, and another node nothing at all
 * (`crash`).
 *
 * Mutants: LAG_UNTOLD          who returns is not told what it missed
 *          ENDS_EARLY          a stream ends for who has not told what it has
 *          RETURN_CLOSES       a publisher that dies while it returns is closed, with what it has told by then
 */
mtype = { none, leased, complete, pinned };                 /* SegmentState, of which sealed is complete here */
mtype = { unknown, awaited, returning, present, closed };   /* Absence, before it and after it */

byte restarts = RESTARTS;
byte connected;                 /* clients */
byte nextSegment, leases;       /* of all nodes; of this one */

/* The stream, and the two subscriptions. Sets of subscriptions have a bit for each, and ANYBODY's. */
mtype stream;
mtype reader[2];
bool anybody;                   /* awaitAnybody: is awaited */
bool hasPublisher;              /* it is not given up: StreamRecord.client */
byte listed, returned, early, ended, past, noted;
byte position[2], last;
bool mayReturn;                 /* the publisher, at a later node: it was not seen to end */

/* Its segments. */
typedef Segment {
    mtype state;
    byte life;
    byte promises, handed, mappings;
    byte slots;
    bool isReady, isForeign, isSealed, isOwn
};
Segment segment[SEGMENTS];

#define at segment[x]
#define isAway (stream == awaited || stream == returning)
#define mayLease (stream == present && nextSegment < SEGMENTS && leases < LEASES)
#define isKept (anybody && (listed & ANYBODY))              /* isKeptForAwaited; Retention tells the publisher */

inline tell(s, what, x, a, b) {
    if
    :: connected & ~slow & bit_(s) -> assert(nfull(toSubscription[s])); toSubscription[s] ! what(x, a, b)
    :: else
    fi
}

/* MARK: - Reclaiming, Handing */

/* What is not back yet maps what this node knows nothing of, or no more; it will be adopted, again. */
#define mapsHere(s) ((connected & bit_(s)) -> sub[s].held : 0)

inline destroyIfUnmapped(x) {
    if
    :: at.state == pinned && !at.mappings ->
        assert(!(mapsHere(0) & bit_(x)) && !(mapsHere(1) & bit_(x)));
        assert(!((connected & PUBLISHER) && (mapped & bit_(x))));
        d_clear(x);
        forgetIfOver()
    :: else
    fi
}

inline d_clear(x) {
    at.state = none; at.life = 0; at.promises = 0; at.handed = 0; at.mappings = 0; at.slots = 0;
    at.isReady = false; at.isForeign = false; at.isSealed = false; at.isOwn = false
}

inline forgetIfOver() {
    if
    :: stream == closed && segment[0].state == none && segment[1].state == none && segment[2].state == none ->
        past = past | ended;
        stream = unknown; listed = 0; ended = 0; hasPublisher = false; last = 0; mayReturn = false
    :: else
    fi
}

inline takeBack(x) {
    if
    :: at.state != pinned && at.state != none ->
        at.state = pinned;
        if :: at.mappings & bit_(0) -> tell(0, Forget, x, 0, 0) :: else fi;
        if :: at.mappings & bit_(1) -> tell(1, Forget, x, 0, 0) :: else fi;
        if :: (at.mappings & PUBLISHER) && (connected & ~slow & PUBLISHER) -> forgetting = forgetting | bit_(x) :: else fi;
        destroyIfUnmapped(x)
    :: else
    fi
}

inline reclaimIfReleased(x) {
    if
    :: at.state == complete && !at.promises -> takeBack(x)
    :: else
    fi
}

inline void_(x, s) { at.promises = at.promises & ~bit_(s); at.handed = at.handed & ~bit_(s) }

inline hand(x, s) {
    if
    :: at.isReady && (at.promises & ~at.handed & bit_(s)) && reader[s] == present && !isAway ->
        at.handed = at.handed | bit_(s);
        /* 1: it has it mapped; 2: it has a place in its wake page for it */
        tell(s, Handed, x, at.life, ((at.mappings & bit_(s)) -> 1 : 0) + (at.isOwn -> 2 : 0));
        at.mappings = at.mappings | bit_(s);
        if
        :: at.state == complete -> tell(s, Sealed, x, at.life, at.slots)
        :: else
        fi
    :: else
    fi
}

#define waitsFor(x, s) (segment[x].promises & ~segment[x].handed & bit_(s))
#define hasAll(s) (!waitsFor(0, s) && !waitsFor(1, s) && !waitsFor(2, s))
#ifdef ENDS_EARLY
#define isListening(s) (reader[s] == present || reader[s] == returning)
#else
#define isListening(s) (reader[s] == present)
#endif

inline endIfOver(s) {
    if
    :: stream == closed && isListening(s) && (listed & ~ended & bit_(s)) && hasAll(s) ->
        ended = ended | bit_(s);
        tell(s, Ended, 0, mayReturn, 0)
    :: else
    fi
}

/* Ledger.complete, of a life that holds so many messages */
inline complete_(x, e, n) {
    at.life = e;
    at.slots = n;
    if
    :: n == 0 ->
        if :: at.handed & bit_(0) -> tell(0, Sealed, x, e, 0) :: else fi;
        if :: at.handed & bit_(1) -> tell(1, Sealed, x, e, 0) :: else fi;
        at.promises = 0; at.handed = 0;
        takeBack(x)
    :: else ->
        at.state = complete;
        if :: at.handed & bit_(0) -> tell(0, Sealed, x, e, n) :: else fi;
        if :: at.handed & bit_(1) -> tell(1, Sealed, x, e, n) :: else fi;
        reclaimIfReleased(x)
    fi
}

/* NodeCore.end(of:): who has acknowledged the life in its wake page */
inline voidAcknowledged(x, e) {
    if :: at.isOwn && sub[0].has[x].acknowledged == e -> void_(x, 0) :: else fi;
    if :: at.isOwn && sub[1].has[x].acknowledged == e -> void_(x, 1) :: else fi
}

#define committedIn(x, e) (log[x].life == (e) -> log[x].count : 0)      /* SegmentStore.committed */

inline seal(x, e) {
    if
    :: at.state == leased && at.life <= e ->
        n_ = committedIn(x, e);
        at.life = e;
        voidAcknowledged(x, e);
        complete_(x, e, n_);
        endIfOver(0); endIfOver(1)
    :: else
    fi
}

inline release(x, e, s) {
    if
    :: at.life == e && (at.handed & bit_(s)) -> void_(x, s); reclaimIfReleased(x); endIfOver(s)
    :: else
    fi
}

inline unmapped(x, holder) {
    if
    :: at.mappings & (holder) ->
        at.mappings = at.mappings & ~(holder);
        if
        :: (holder) != PUBLISHER -> at.promises = at.promises & ~(at.handed & (holder)); at.handed = at.handed & ~(holder);
            reclaimIfReleased(x)
        :: else
        fi;
        destroyIfUnmapped(x)
    :: else
    fi
}

/* MARK: - Leasing: create, promiseToAll, segmentReady */

inline lease() {
    leases++;
    segment[nextSegment].state = leased;
    segment[nextSegment].life = 1;
    segment[nextSegment].isOwn = true;
    segment[nextSegment].mappings = PUBLISHER;
    segment[nextSegment].promises = listed;
    granted = nextSegment;
    nextSegment++
}

inline segmentReady(x) {
    if
    :: at.state == leased && at.life == 1 && !at.isReady -> at.isReady = true; hand(x, 0); hand(x, 1)
    :: else
    fi
}

/* MARK: - NodeCore.execute: .introduce; lagSinceReturn, firstSequence */

#define positionOf(s) (position[s] > 0 -> position[s] : ((returned & bit_(s)) && (s) == STEADY -> 1 : 0))
#define lastSequence (hasPublisher -> committedTotal : last)
#define holds(x, s, n) ((segment[x].promises & bit_(s)) && log[x].life == segment[x].life && log[x].count > 0 && \
    (log[x].slot[0] == (n) || (log[x].count > 1 && log[x].slot[SLOTS - 1] == (n))))
#define isPromised(s, n) (holds(0, s, n) || holds(1, s, n) || holds(2, s, n))

inline introduce(s) {
    if
    :: stream == present -> noted = noted | bit_(s)         /* noteJoin */
    :: else
    fi;
    m_ = positionOf(s);
    if
    :: m_ == 0 ->
        m_ = lastSequence + 1;
        if
        :: early & bit_(s) ->                               /* joinInAbsence */
            do
            :: m_ > 1 && m_ - 1 > sub[s].joinedAt && isPromised(s, m_ - 1) -> m_--
            :: else -> break
            od
        :: else
        fi
    :: else
    fi;
    if
    :: hasPublisher || !position[s] -> tell(s, Introduced, 0, m_, 0)
    :: else
    fi;
#ifndef LAG_UNTOLD
    if
    :: positionOf(s) > 0 ->
        n_ = 0;
        for (m_ : positionOf(s) .. lastSequence) {
            if
            :: !isPromised(s, m_) -> n_ = n_ | bit_(m_)
            :: else
            fi
        };
        if
        :: n_ -> tell(s, Lagged, 0, n_, 0)
        :: else
        fi
    :: else
    fi;
#endif
    if
    :: stream == present && (connected & ~slow & PUBLISHER) -> joining = joining | bit_(s); leaving = leaving & ~bit_(s)
    :: else
    fi;
    m_ = 0; n_ = 0
}

/* MARK: - Membership */

inline subscribe(s) {
    reader[s] = present;
    connected = connected | bit_(s);
    if
    :: isAway || stream == unknown -> early = early | bit_(s)
    :: else
    fi;
    if
    :: stream != unknown -> listed = listed | bit_(s)
    :: else
    fi;
    if
    :: stream == present || stream == closed ->
        for (i_ : 0 .. SEGMENTS - 1) {
            if
            :: segment[i_].state == leased -> segment[i_].promises = segment[i_].promises | bit_(s)
            :: else
            fi
        };
        introduce(s);
        hand(0, s); hand(1, s); hand(2, s);
        endIfOver(s)
    :: else
    fi
}

/* Its process has ended, or it is given up. s is 2 for ANYBODY. */
inline unsubscribe(s) {
    listed = listed & ~bit_(s);
    for (i_ : 0 .. SEGMENTS - 1) {
        if
        :: segment[i_].promises & bit_(s) -> void_(i_, s)
        :: else
        fi;
        if
        :: bit_(s) != ANYBODY -> segment[i_].mappings = segment[i_].mappings & ~bit_(s)
        :: else
        fi;
        reclaimIfReleased(i_);
        destroyIfUnmapped(i_)
    };
    i_ = 0
}

inline forgetReader(s) {
    reader[s] = unknown;
    position[s] = 0;
    returned = returned & ~bit_(s); early = early & ~bit_(s); ended = ended & ~bit_(s); past = past & ~bit_(s); noted = noted & ~bit_(s);
    if
    :: connected & ~slow & PUBLISHER -> leaving = leaving | bit_(s); joining = joining & ~bit_(s)
    :: else
    fi;
    unsubscribe(s)
}

/* NodeCore.depart: the publisher's connection is over */
inline publisherLeft() {
    if
#ifndef RETURN_CLOSES
    :: stream == returning -> interruptReturn()
#endif
    :: else -> closeStream()
    fi
}

inline interruptReturn() {
    stream = awaited;
    hasPublisher = false;
    connected = connected & ~PUBLISHER;
    for (j_ : 0 .. SEGMENTS - 1) {
        segment[j_].isForeign = (segment[j_].state != none);
        segment[j_].isSealed = false;
        segment[j_].mappings = segment[j_].mappings & ~PUBLISHER
    };
    j_ = 0
}

/* NodeCore.close: each unsealed segment ends as it is in the memory; then closeStream. */
inline closeStream() {
    stream = closed;
    connected = connected & ~PUBLISHER;
    for (j_ : 0 .. SEGMENTS - 1) {
        segment[j_].mappings = segment[j_].mappings & ~PUBLISHER;
        if
        :: segment[j_].state == leased ->
            e_ = (log[j_].life > segment[j_].life -> log[j_].life : segment[j_].life);
            m_ = committedIn(j_, e_);
            segment[j_].isReady = segment[j_].isReady || m_ > 0;
            segment[j_].isForeign = false;
            voidAcknowledged(j_, e_);
            complete_(j_, e_, m_)
        :: else -> destroyIfUnmapped(j_)
        fi
    };
    for (j_ : 0 .. 1) {
        hand(0, j_); hand(1, j_); hand(2, j_);
        endIfOver(j_)
    };
    forgetIfOver();
    e_ = 0; m_ = 0; j_ = 0
}

/* The node of rejoin.pml: its books, and how it adopts what clients return with. A handler is one step, for NodeLoop has
 * one thread. Each inline is the method of that name, of Sources/Ledger unless it says otherwise; what the node does with
 * the ledger's actions (NodeCore.execute) is in it. Clients know nothing of these variables but by messages, and another
 * node nothing at all (`crash`).
 *
 * Mutants: ADOPTS_FOR_PRESENT  a stream that is back is promised to those who are back only
 *          RESUMES_BEHIND      ... from behind where they stood
 *          RECLAIMS_AT_ONCE    ... to nobody, when what is complete is reclaimed
 *          INTRODUCES_AGAIN    who has read a stream to its end is introduced to it again when its publisher is given up
 *          OFFERED_LIFE        the life that a reader offers counts, though the memory is in a later one
 *          LAG_UNTOLD          who returns is not told what it missed
 *          ENDS_EARLY          a stream ends for who has not told what it has
 *          RETURN_CLOSES       a publisher that dies while it returns is closed, with what it has told by then
 *          KEEPS_PINNED        who offers what others are to let go is not told so
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

/* MARK: - Adoption: returnStream, returnSubscription, returnCursor */

inline addAway() {
    listed = 0;
    if :: reader[0] != unknown -> listed = listed | 1 :: else fi;
    if :: reader[1] != unknown -> listed = listed | 2 :: else fi
}

inline await_(s) {
    if
    :: (known & bit_(s)) && reader[s] == unknown -> reader[s] = awaited
    :: else
    fi;
    if
    :: (known & bit_(s)) && reader[s] == awaited -> listed = listed | bit_(s)
    :: else
    fi
}

inline returnStream(isYoung) {
    if
    :: stream == unknown -> addAway()
    :: else
    fi;
    stream = returning;
    hasPublisher = true;
    await_(0); await_(1);
    if
    :: isYoung && anybody -> listed = listed | ANYBODY
    :: else
    fi
}

inline returnSubscription(s) {
    reader[s] = returning;
    returned = returned | bit_(s);
    early = early | bit_(s);
    if
    :: stream != unknown -> listed = listed | bit_(s)
    :: else
    fi
}

inline returnCursor(s, n) {
    if
    :: stream == unknown -> addAway(); stream = awaited; hasPublisher = false
    :: else
    fi;
    position[s] = n
}

/* MARK: - Adoption: what they have */

inline book(x, e) {
    if
    :: at.state == none ->
        at.state = leased; at.life = e; at.isReady = true; at.isForeign = true
    :: else
    fi
}

inline beginLife(x, e) { at.promises = 0; at.handed = 0; at.life = e }      /* Ledger.begin */

inline adoptWritten(x) {
    book(x, log[x].life);
    assert(at.state == leased && !(at.mappings & PUBLISHER));
    if
    :: at.life != log[x].life -> beginLife(x, log[x].life)
    :: else
    fi;
    at.isForeign = false;
    at.isSealed = log[x].isSealed;
    at.mappings = at.mappings | PUBLISHER
}

/* How far it is: 0 unread, 1 passed, 2 released, 3 mapped. Its publisher may be a life ahead (NodeCore.offerExamined). */
inline adoptRead(x, life_, s, progress) {
    e_ = life_;
    n_ = progress;
#ifndef OFFERED_LIFE
    if
    :: log[x].life > e_ -> e_ = log[x].life; n_ = 3
    :: else
    fi;
#endif
    adoptLife(x, e_, s, n_);
    e_ = 0; n_ = 0
}

inline adoptLife(x, e, s, how) {
    book(x, e);
    assert(!(at.mappings & bit_(s)));
    at.mappings = at.mappings | bit_(s);
    if
    :: (e) > at.life && !(at.mappings & PUBLISHER) && at.state == leased -> beginLife(x, e)
    :: else
    fi;
    if
    :: at.life == (e) && how == 2 -> void_(x, s)            /* Ledger.take */
    :: at.life == (e) && how < 2 ->
        if
        :: at.state == pinned -> at.state = complete        /* restore */
        :: else
        fi;
        at.promises = at.promises | bit_(s);
        at.handed = at.handed | bit_(s)
    :: else
    fi;
#ifndef KEEPS_PINNED
    if
    :: at.state == pinned -> tell(s, Forget, x, 0, 0)       /* it came late, and others are to let it go already */
    :: else
    fi;
#endif
    if
    :: !isAway && at.isForeign -> m_ = committedIn(x, e); endForeign(x, m_); m_ = 0
    :: else -> reclaimIfReleased(x)
    fi
}

inline endForeign(x, n) { at.isForeign = false; complete_(x, at.life, n) }

/* MARK: - Returning */

#ifdef RESUMES_BEHIND
#define reaches(x, n) (lastIn(x, segment[x].life) > (n))
#else
#define reaches(x, n) (lastIn(x, segment[x].life) >= (n))
#endif
#define isWritten(x) (segment[x].state == leased && !segment[x].isSealed && !segment[x].isForeign)
#define isOf(x) (segment[x].state == leased || segment[x].state == complete)
#define owesAbsent(s) (reader[s] == awaited || reader[s] == returning)
#define owes(x, s) (isOf(x) && (owesAbsent(s) || isWritten(x) || \
    (positionOf(s) > 0 -> reaches(x, positionOf(s)) : lastIn(x, segment[x].life) > sub[s].joinedAt)))

#ifdef INTRODUCES_AGAIN
#define isPast(s) false
#else
#define isPast(s) (!isAway && !hasPublisher && reader[s] == present && \
    ((past & bit_(s)) || ((returned & bit_(s)) && !position[s])))
#endif

inline promiseOwed(x, s) {
    if
#ifdef ADOPTS_FOR_PRESENT
    :: (listed & bit_(s)) && !owesAbsent(s) && owes(x, s)
#else
    :: (listed & bit_(s)) && owes(x, s)
#endif
        -> at.promises = at.promises | bit_(s)
    :: else
    fi
}

inline meetFirst(x, s) {        /* Ledger.meet: what it has not is promised, or not any more */
    if
    :: at.handed & bit_(s)
    :: else ->
        if
        :: owes(x, s) -> at.promises = at.promises | bit_(s)
        :: else -> at.promises = at.promises & ~bit_(s)
        fi
    fi
}

inline tellIfHanded(x, s) {
    if
    :: (at.handed & bit_(s)) && at.state == complete -> tell(s, Sealed, x, at.life, at.slots)
    :: else
    fi
}

inline meetRest(s) {
    tellIfHanded(0, s); tellIfHanded(1, s); tellIfHanded(2, s);
    reclaimIfReleased(0); reclaimIfReleased(1); reclaimIfReleased(2);
    hand(0, s); hand(1, s); hand(2, s);
    endIfOver(s)
}

#define isThere(s) ((listed & bit_(s)) && reader[s] == present)

inline meet(s) {
    meetFirst(0, s); meetFirst(1, s); meetFirst(2, s);
    introduce(s);
    meetRest(s)
}

inline completeReturned(x) {
    if
    :: at.state == leased && at.isSealed ->
        n_ = committedIn(x, at.life);
        complete_(x, at.life, n_)
    :: at.state == leased && at.isForeign -> n_ = committedIn(x, at.life); endForeign(x, n_)
    :: else
    fi
}

/* Its actions in another order: introductions first, and what each of them says of what is promised by then. */
inline streamReturned() {
    stream = present;
    if :: isPast(0) -> listed = listed & ~1 :: else fi;
    if :: isPast(1) -> listed = listed & ~2 :: else fi;
    for (j_ : 0 .. SEGMENTS - 1) {
#ifndef RECLAIMS_AT_ONCE
        promiseOwed(j_, 0); promiseOwed(j_, 1);
        if
        :: (listed & ANYBODY) && isOf(j_) -> segment[j_].promises = segment[j_].promises | ANYBODY
        :: else
        fi;
#endif
        if :: isThere(0) -> meetFirst(j_, 0) :: else fi;
        if :: isThere(1) -> meetFirst(j_, 1) :: else fi
    };
    if :: isThere(0) -> introduce(0) :: else fi;
    if :: isThere(1) -> introduce(1) :: else fi;
    for (j_ : 0 .. SEGMENTS - 1) { completeReturned(j_) };
    if :: isThere(0) -> meetRest(0) :: else fi;
    if :: isThere(1) -> meetRest(1) :: else fi;
    j_ = 0; n_ = 0
}

inline subscriptionReturned(s) {
    reader[s] = present;
    if
    :: (listed & bit_(s)) && isPast(s) ->
        listed = listed & ~bit_(s);
        for (j_ : 0 .. SEGMENTS - 1) { void_(j_, s); reclaimIfReleased(j_) };
        j_ = 0
    :: (listed & bit_(s)) && !isPast(s) && !isAway -> meet(s)
    :: else
    fi
}

/* MARK: - What the node does by itself */

inline giveUpStream() {         /* NodeCore.giveUp */
    isGone = true;
    for (j_ : 0 .. SEGMENTS - 1) {
#ifndef OFFERED_LIFE
        if
        :: segment[j_].state == leased && segment[j_].isForeign && log[j_].life > segment[j_].life -> beginLife(j_, log[j_].life)
        :: else
        fi;
#endif
        n_ = lastIn(j_, segment[j_].life);
        if
        :: segment[j_].state != none && n_ > last -> last = n_
        :: else
        fi
    };
    streamReturned();
    mayReturn = true;
    closeStream()
}

/* What nobody has any more but a publisher that is dead, or given up. */
inline excuse() {
    if
    :: isGone ->
        for (f_ : 0 .. SEGMENTS - 1) {
            if
            :: !((sub[0].held | sub[1].held) & bit_(f_)) && !(segment[f_].state == leased || segment[f_].state == complete) ->
                if :: log[f_].count > 0 -> excused = excused | bit_(log[f_].slot[0]) :: else fi;
                if :: log[f_].count > 1 -> excused = excused | bit_(log[f_].slot[SLOTS - 1]) :: else fi
            :: else
            fi
        };
        f_ = 0
    :: else
    fi
}

inline crash() {
    anybody = true; connected = 0; leases = 0;
    stream = unknown; reader[0] = unknown; reader[1] = unknown; hasPublisher = false;
    listed = 0; returned = 0; early = 0; ended = 0; past = 0; position[0] = 0; position[1] = 0; last = 0; mayReturn = false;
    for (j_ : 0 .. SEGMENTS - 1) { d_clear(j_) };
    j_ = 0
}

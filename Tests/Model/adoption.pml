/* How the node of rejoin.pml adopts what its clients return with; its books are in books.pml.
 *
 * Mutants: ADOPTS_FOR_PRESENT  a stream that is back is promised to those who are back only
 *          RESUMES_BEHIND      ... from behind where they stood
 *          RECLAIMS_AT_ONCE    ... to nobody, when what is complete is reclaimed
 *          INTRODUCES_AGAIN    who has read a stream to its end is introduced to it again when its publisher is given up
 *          OFFERED_LIFE        the life that a reader offers counts, though the memory is in a later one
 *          KEEPS_PINNED        who offers what others are to let go is not told so
 */

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

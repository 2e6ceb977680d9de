/* The subscriptions of rejoin.pml: what they hear, read, keep and return with.
 *
 * What stands for what, beside the names at each step:
 *   SubscriptionCore        Sources/PoolBus/Subscribe/SubscriptionCore{,+Rejoining}.swift, DepartedStreams.swift
 *   StreamCursor            Sources/PoolBus/Subscribe/StreamCursor.swift
 *   letGo, mustSay          Sources/PoolBus/Subscribe/HeldSegment.swift
 */

/* What a subscription may miss: who is back in time, nothing that anybody had but a publisher that is gone. A publisher that
 * is older than those can be who are awaited (OLD) is not held up for who joined so lately that it does not know. */
#ifdef LATE_RETURNS
#define mayMiss(s, n) true
#else
#ifdef OLD
#define mayMiss(s, n) ((excused & bit_(n)) || !(named & bit_(s)))
#else
#define mayMiss(s, n) (excused & bit_(n))
#endif
#endif

inline sayRelease(s, x, e) {
    if
    :: isBack(s) -> release(x, e, s)
    :: sub[s].phase == rejoining -> me.deferred = me.deferred | bit_(x)
    :: else
    fi
}

inline sayUnmapped(s, x) {
    if
    :: (connected & bit_(s)) -> unmapped(x, bit_(s))
    :: else
    fi
}

#define mustSay(s, x, e) (!(me.placed & bit_(x)) || its.wanted == (e) || (me.byMessage & bit_(x)))

inline letGo(s, x, e) {         /* HeldSegment.release */
    if
    :: (me.placed & bit_(x)) && !(me.byMessage & bit_(x)) -> its.acknowledged = e   /* Doze.acknowledge */
    :: else
    fi;
    its.released = e;
    if
    :: mustSay(s, x, e) -> sayRelease(s, x, e)
    :: else
    fi
}

inline pass(s, x) {             /* BorrowedSegment.pass: who drops the sample releases it */
    if
    :: !(me.resting & bit_(x)) && !(me.borrowed == x && me.borrowedLife == its.life) -> letGo(s, x, its.life)
    :: else
    fi
}

inline finish(s, x) {           /* StreamCursor.finish */
    pass(s, x);
    me.open = me.open & ~bit_(x);
    me.resting = me.resting & ~bit_(x);
    its.life = 0; its.end = NONE
}

inline beginReading(s, x, e) {  /* StreamCursor.begin */
    if
    :: me.open & bit_(x) -> pass(s, x)
    :: else -> me.open = me.open | bit_(x)
    fi;
    me.resting = me.resting & ~bit_(x);
    its.life = e;
    its.end = NONE
}

/* StreamCursor.peek */
#define reads(s, x) ((sub[s].open & ~sub[s].resting & bit_(x)) && log[x].life == sub[s].has[x].life)
#define visible(s, x) (log[x].count < sub[s].has[x].end -> log[x].count : sub[s].has[x].end)
#define isNext(s, x, i) (visible(s, x) > (i) && log[x].slot[i] == sub[s].expected)
#define mayTake(s, x) (!(sub[s].lost & bit_(sub[s].expected)) && reads(s, x) && \
    (isNext(s, x, 0) || isNext(s, x, SLOTS - 1)))
#define mayHold (sub[0].borrowed == NONE && sub[1].borrowed == NONE)
#define isRead(s, x) (visible(s, x) == 0 || log[x].slot[visible(s, x) - 1] < sub[s].expected)
#define isExhausted(s, x) (reads(s, x) && isRead(s, x) && \
    (sub[s].has[x].end != NONE -> log[x].count >= sub[s].has[x].end : log[x].isSealed))
#define mayFollow(s, x) ((sub[s].open & bit_(x)) && log[x].life > sub[s].has[x].life)
#define isRenewable(s, x) ((sub[s].placed & ~sub[s].byMessage & bit_(x)) && sub[s].has[x].wanted < sub[s].has[x].life)


inline leave(s, x) {            /* StreamCursor.rest, finish */
    if
    :: isRenewable(s, x) -> pass(s, x); me.resting = me.resting | bit_(x)
    :: else -> finish(s, x)
    fi
}

inline take(s, x, holds) {      /* StreamCursor.take, leaveIfRead; the sample is kept, or dropped at once */
    assert(me.expected == me.due);
    if
    :: holds -> me.borrowed = x; me.borrowedLife = its.life
    :: else
    fi;
    me.expected++; me.due++;
    if
    :: isExhausted(s, x) -> leave(s, x)
    :: else
    fi
}

inline leaveIfKnown(s, x) {
    if
    :: me.resting & bit_(x) -> finish(s, x)
    :: isExhausted(s, x) -> leave(s, x)
    :: else
    fi
}

inline drop(s, x, e) {          /* BorrowedSegment.deinit */
    me.borrowed = NONE; me.borrowedLife = 0;
    if
    :: (me.open & ~me.resting & bit_(x)) && its.life == e
    :: else -> letGo(s, x, e)
    fi;
    if
    :: !(me.held & bit_(x)) -> sayUnmapped(s, x); clearHeld(s, x)
    :: else
    fi
}

inline clearHeld(s, x) {
    its.life = 0; its.end = NONE; its.released = 0; its.acknowledged = 0; its.wanted = 0;
    me.placed = me.placed & ~bit_(x); me.byMessage = me.byMessage & ~bit_(x); me.deferred = me.deferred & ~bit_(x)
}

inline hear(s) {
    if
    :: toSubscription[s] ? Introduced(_, a_, _) ->          /* SubscriptionCore.introduce */
        if
        :: me.hasCursor || me.mayReturn ->                  /* DepartedStreams; StreamCursor.goOn */
            me.hasCursor = true; me.hasEnded = false; me.isOver = false; me.mayReturn = false;
            me.expected = me.due;
            for (i_ : me.due .. a_ - 1) { me.lost = me.lost | bit_(i_) };
            i_ = 0
        :: else ->
            if
            :: s == LATE && !me.isOver -> assert(a_ <= me.due || mayMiss(s, me.due)); me.due = a_
            :: else
            fi;
            me.hasCursor = true; me.hasEnded = false; me.lost = 0; me.expected = a_
        fi
    :: toSubscription[s] ? Handed(x, e_, a_) ->             /* SubscriptionCore.hand, StreamCursor.add */
        if
        :: !(a_ & 1) ->
            clearHeld(s, x);
            me.held = me.held | bit_(x);
            if :: a_ & 2 -> me.placed = me.placed | bit_(x) :: else fi
        :: else
        fi;
        if
        :: !me.hasCursor && !(a_ & 1) -> me.held = me.held & ~bit_(x); clearHeld(s, x); sayUnmapped(s, x)
        :: !me.hasCursor && (a_ & 1)
        :: else ->
            n_ = (log[x].life > e_ -> log[x].life : e_);
            if
            :: !(me.open & bit_(x)) -> beginReading(s, x, n_); leaveIfKnown(s, x)
            :: (me.open & bit_(x)) && its.life < n_ -> beginReading(s, x, n_)
            :: else ->                                      /* HeldSegment.repeatRelease */
                if
                :: its.released >= e_ && mustSay(s, x, e_) -> sayRelease(s, x, e_)
                :: else
                fi
            fi
        fi
    :: toSubscription[s] ? Sealed(x, e_, a_) ->
        if
        :: me.held & bit_(x) ->                             /* HeldSegment.sealed */
            its.wanted = e_;
            if
            :: its.released >= e_ -> sayRelease(s, x, e_)
            :: else
            fi
        :: else
        fi;
        if
        :: me.hasCursor && (me.open & bit_(x)) ->           /* StreamCursor.sealed */
            if
            :: its.life < e_ -> beginReading(s, x, e_)
            :: else
            fi;
            if
            :: its.life > e_ -> sayRelease(s, x, e_)        /* HeldSegment.disclaim */
            :: else -> its.end = a_; leaveIfKnown(s, x)
            fi
        :: else
        fi
    :: toSubscription[s] ? Lagged(_, a_, _) -> me.lost = me.lost | a_   /* of what is before `expected` it takes no notice */
    :: toSubscription[s] ? Ended(_, a_, _) ->
        if :: me.hasCursor -> me.hasEnded = true; me.mayReturn = a_ :: else fi
    :: toSubscription[s] ? Forget(x, _, _) ->               /* SubscriptionCore.forget */
        if
        :: me.held & bit_(x) ->
            if
            :: me.open & bit_(x) -> finish(s, x)
            :: else
            fi;
            me.held = me.held & ~bit_(x);
            if
            :: me.borrowed != x -> clearHeld(s, x); sayUnmapped(s, x)
            :: else
            fi
        :: else
        fi
    fi;
    a_ = 0; e_ = 0; n_ = 0; x = 0
}

/* SubscriptionCore.rejoinState, and all that is told of it but the end. What it says of a moment is offered in that moment. */
inline tellSubscription(s) {
    me.phase = rejoining;
    connected = connected | bit_(s);
    me.deferred = 0;
    me.byMessage = me.held;
    returnSubscription(s);
    if
    :: me.hasCursor -> returnCursor(s, me.expected)
    :: !me.hasCursor && me.mayReturn -> returnCursor(s, me.due)
    :: !me.hasCursor && !me.mayReturn && me.borrowed != NONE && (me.held & bit_(me.borrowed)) -> returnCursor(s, END)
    :: else
    fi;
    for (x : 0 .. SEGMENTS - 1) {
        its.acknowledged = 0;                               /* Doze.forgetAcknowledgements */
        if
        :: !(me.held & bit_(x))
        :: (me.held & bit_(x)) && (me.open & ~me.resting & bit_(x)) -> adoptRead(x, its.life, s, 0)
        :: (me.held & bit_(x)) && !(me.open & ~me.resting & bit_(x)) && me.borrowed == x -> adoptRead(x, me.borrowedLife, s, 1)
        :: (me.held & bit_(x)) && !(me.open & ~me.resting & bit_(x)) && me.borrowed != x && me.hasCursor ->
            a_ = (its.released > 0 -> its.released : 1);
            adoptRead(x, a_, s, 2)
        :: else -> me.held = me.held & ~bit_(x); clearHeld(s, x)
        fi
    };
    x = 0; a_ = 0;
    excuse()                    /* what it has let go, as it has read the stream to its end */
}

inline clearSubscription(s) {
    me.hasCursor = false; me.hasEnded = false; me.isOver = false; me.mayReturn = false; me.expected = 0; me.lost = 0;
    me.held = 0; me.open = 0; me.resting = 0; me.placed = 0; me.byMessage = 0;
    me.borrowed = NONE; me.borrowedLife = 0; me.deferred = 0; me.joinedAt = 0; me.due = 0;
    for (i_ : 0 .. SEGMENTS - 1) { clearHeld(s, i_) };
    i_ = 0
}

/* All that is to come has come, or is lost with whoever died. */
inline checkComplete(s) {
    for (i_ : (me.due > me.joinedAt -> me.due : me.joinedAt + 1) .. committedTotal) { assert(mayMiss(s, i_)) };
    i_ = 0
}

/* When all is quiet. Of a stream that it was not introduced to before node and publisher had gone a subscription is told
 * nothing: its first message is where it is introduced. */
inline checkRest() {
    assert(!publisherLives);
    assert(segment[0].state == none && segment[1].state == none && segment[2].state == none);
    assert(!sub[0].held && !sub[1].held);
    for (j_ : 0 .. 1) {
        if
        :: lives(j_) && (sub[j_].isOver || sub[j_].hasCursor || hasReturned) -> checkComplete(j_)
        :: else
        fi
    };
    j_ = 0
}

proctype Subscription(bit s) {
    byte x;
end:
    do
    :: d_step { calm && s == LATE && me.phase == outside ->                /* SubscriptionCore.init */
        me.phase = joined; me.joinedAt = committedTotal; me.due = committedTotal + 1;
        subscribe(s)
    }
    :: d_step { nextToHear == s -> hear(s) }
    /* Reading */
    :: d_step { calm && mayFollow(s, 0) -> beginReading(s, 0, log[0].life) }            /* StreamCursor.followPublisher */
    :: d_step { calm && mayFollow(s, 1) -> beginReading(s, 1, log[1].life) }
    :: d_step { calm && mayTake(s, 0) -> take(s, 0, false) }
    :: d_step { calm && mayTake(s, 0) && mayHold -> take(s, 0, true) }
    :: d_step { calm && mayTake(s, 1) -> take(s, 1, false) }
    :: d_step { calm && mayTake(s, 1) && mayHold -> take(s, 1, true) }
    :: d_step { calm && mayTake(s, 2) -> take(s, 2, false) }
    :: d_step { calm && mayTake(s, 2) && mayHold -> take(s, 2, true) }
    :: d_step { calm && isExhausted(s, 0) -> leave(s, 0) }
    :: d_step { calm && isExhausted(s, 1) -> leave(s, 1) }
    :: d_step { calm && isExhausted(s, 2) -> leave(s, 2) }
    :: d_step { calm && me.borrowed != NONE -> x = me.borrowed; e_ = me.borrowedLife; drop(s, x, e_); x = 0; e_ = 0 }
    :: d_step { calm && me.hasCursor && (me.lost & bit_(me.expected)) ->                /* StreamCursor.skip */
        assert(me.expected == me.due && mayMiss(s, me.expected));
        me.expected++; me.due++ }
    :: d_step { calm && me.hasCursor && me.hasEnded && !(me.open & ~me.resting) && !(me.lost & bit_(me.expected)) ->
        checkComplete(s);                                                       /* StreamCursor.search: .finished */
        me.hasCursor = false; me.hasEnded = false; me.isOver = true;
        me.open = 0; me.resting = 0; me.lost = 0; me.expected = 0 }
    /* The node is gone, and is there again */
    :: d_step { calm && lives(s) && !(connected & bit_(s)) -> tellSubscription(s) }     /* ClientLoop.nodeIsGone, rejoin */
    :: d_step { calm && me.phase == rejoining && (connected & bit_(s)) ->               /* ClientLoop.finishRejoining */
        me.phase = joined;
        subscriptionReturned(s);
        for (x : 0 .. SEGMENTS - 1) {
            if
            :: me.deferred & bit_(x) -> release(x, its.released, s)
            :: else
            fi
        };
        me.deferred = 0; x = 0
    }
    :: d_step { calm && lives(s) && deaths > 0 ->                                       /* killed at any instruction */
        deaths--;
        me.phase = over;
        clearSubscription(s);
        if
        :: connected & bit_(s) -> connected = connected & ~bit_(s); forgetReader(s)
        :: else
        fi;
        excuse()
    }
    od
}

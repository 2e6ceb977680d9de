/* Leases between a publisher's two threads and the node: asked for, ahead, cancelled, asked back, recycled warm.
 *
 * One stream that writes one message into each segment, and now and then leases the next ahead; a rival, another
 * client, that wants memory now and then, and may give up waiting for it; a pool of two segments, so that the rival's
 * wish has the node ask the publisher for what it leased ahead. Who reads releases a sealed segment at any time
 * (segment.pml is about that). What goes between the client and the node is on its way for a while, in order.
 *
 * What is checked: who waits for a lease gets it. The publisher's loans and the rival's leases all end; a lease that is
 * lost leaves somebody waiting in a state that is no valid end of the model.
 *
 * Abstracted: windows of grace and quotas, which only delay; more than one request at a time, as a lane has one. A
 * critical section of PublisherCore and a handler of the node are one step each.
 *
 * Mutants: ASK_BACK_FORGETS (a request to give a lease back, when it comes late, unmaps the segment that was used and
 * sealed meanwhile, which the node may have granted anew, warm), CANCEL_UNANSWERED (the node forgets a cancelled lease
 * without a word, so the publisher waits for it for ever).
 */
#define LOANS 4
#define CANCELS 1
#define RIVAL_LEASES 2
#define SEGMENTS 2
#define NONE 255

mtype = { request, requestAhead, cancel, seal, unmapped };      /* to the node */
mtype = { grant, regrant, refuse, askBack, forget };            /* from it */
mtype = { free, leased, sealed, warm, pinned, rivals };         /* where a segment is: Ledger */

chan toNode = [4] of { mtype, byte };
chan toClient = [6] of { mtype, byte };

/* PublisherCore.State and its Lane, guarded by one lock */
byte current = NONE, ahead = NONE;
bool hasRoom, isAsking;
bool holds[SEGMENTS], isSealed[SEGMENTS];

#define maySay (len(toNode) < 2)        /* a step says two things at the most and some room is left for the loop's */

inline retire(x) {                      /* PublisherCore.retire, sealIfDone */
    isSealed[x] = true;
    toNode ! seal(x)
}

inline ask(what) {                      /* PublisherCore.request */
    isAsking = true;
    toNode ! what(0)
}

inline leaseAhead() {                   /* PublisherCore.leaseAhead */
    if
    :: !isAsking && ahead == NONE -> ask(requestAhead)
    :: true                             /* much of the segment is free still, or it is large and the last was not */
    fi
}

active proctype Publisher() {           /* Publisher.loan */
    byte loans, cancels;
    bool isOwn;
loan:
    if
    :: loans == LOANS -> goto finished
    :: atomic { loans < LOANS && maySay ->                      /* PublisherCore.attempt */
        if
        :: current != NONE && hasRoom ->                        /* PublisherCore.reserve */
            hasRoom = false;
            loans++;
            leaseAhead();
            goto loan
        :: (current == NONE || !hasRoom) && ahead != NONE ->
            if
            :: current != NONE -> retire(current)
            :: else
            fi;
            current = ahead;
            ahead = NONE;
            hasRoom = true;
            goto loan
        :: (current == NONE || !hasRoom) && ahead == NONE ->
            isOwn = !isAsking;
            if
            :: isOwn && current != NONE ->                      /* PublisherCore.makeRoom */
                retire(current);
                current = NONE
            :: else
            fi;
            if
            :: isOwn -> ask(request)
            :: else
            fi
        fi
    }
    fi;
    if                                                          /* PublisherCore.awaitLease: no end of the model */
    :: !isAsking
    :: atomic { isAsking && cancels < CANCELS && maySay ->
        cancels++;
        if
        :: isOwn -> toNode ! cancel(0)
        :: else
        fi
    }
    fi;
    goto loan;
finished:
    skip
}

inline unmap(x) {
    holds[x] = false;
    toNode ! unmapped(x)
}

inline take(x) {
    holds[x] = true;
    isSealed[x] = false;
    ahead = x;
    isAsking = false
}

active proctype Loop() {                /* ClientLoop.dispatch */
    byte x;
end:
    do
    :: atomic { nempty(toClient) && len(toNode) < 3 ->
        if
        :: toClient ? grant(x) -> take(x)                       /* PublisherCore.leaseGranted */
        :: toClient ? regrant(x) ->
            if
            :: holds[x] -> take(x)
            :: else                     /* nothing is attached that could be mapped */
            fi
        :: toClient ? refuse(_) -> isAsking = false             /* PublisherCore.leaseRefused */
        :: toClient ? askBack(x) ->                             /* PublisherCore.forget */
            if
            :: ahead == x ->
                ahead = NONE;
                retire(x);
                unmap(x)
#ifdef ASK_BACK_FORGETS
            :: ahead != x && holds[x] && isSealed[x] -> unmap(x)
#endif
            :: else
            fi
        :: toClient ? forget(x) ->                              /* PublisherCore.forget */
            if
            :: holds[x] && isSealed[x] -> unmap(x)
            :: else
            fi
        fi;
        x = 0
    }
    od
}

/* MARK: - The node */

mtype state[SEGMENTS] = free;
bool isMapped[SEGMENTS], isAskedBack[SEGMENTS];
mtype waits = 0;                        /* the publisher's lease that waits, if one does */
bool rivalWaits;
byte newest;                            /* the segment that was leased last */

inline tell(what, x) {
    assert(nfull(toClient));
    toClient ! what(x)
}

inline grantLease(what, x) {            /* Ledger.create, regrant */
    state[x] = leased;
    isMapped[x] = true;
    isAskedBack[x] = false;
    newest = x;
    waits = 0;
    tell(what, x)
}

inline takeBack(x) {                    /* Ledger.takeBack, destroyIfUnmapped */
    if
    :: isMapped[x] -> state[x] = pinned; tell(forget, x)
    :: else -> state[x] = free
    fi
}

inline reclaim(x) {                     /* Ledger.reclaim */
    if
    :: isMapped[x] && (waits || !rivalWaits) -> state[x] = warm
    :: else -> takeBack(x)
    fi
}

inline takeWarm() {                     /* Ledger.takeUnneeded */
    if
    :: state[0] == warm -> takeBack(0)
    :: state[0] != warm && state[1] == warm -> takeBack(1)
    :: else
    fi
}

inline serve() {                        /* Ledger.serve */
    if
    :: waits && state[0] == warm -> grantLease(regrant, 0)
    :: waits && state[0] != warm && state[1] == warm -> grantLease(regrant, 1)
    :: else
    fi;
    if
    :: waits && state[0] == free -> grantLease(grant, 0)
    :: waits && state[0] != free && state[1] == free -> grantLease(grant, 1)
    :: waits == requestAhead && state[0] != free && state[1] != free -> waits = 0; tell(refuse, 0)
    :: else
    fi
}

inline serveRival() {
    if
    :: rivalWaits && state[0] != free && state[1] != free ->
        takeWarm();
        if                              /* Ledger.askBack */
        :: state[0] == leased && state[1] == leased && !isAskedBack[newest] ->
            isAskedBack[newest] = true;
            tell(askBack, newest)
        :: else
        fi
    :: else
    fi;
    if
    :: rivalWaits && state[0] == free -> rivalWaits = false; state[0] = rivals
    :: rivalWaits && state[0] != free && state[1] == free -> rivalWaits = false; state[1] = rivals
    :: else
    fi
}

/* Who came first is served first; here, whoever it was. */
inline settle() {
    if
    :: true -> serveRival(); serve()
    :: true -> serve(); serveRival()
    fi
}

active proctype Node() {                /* NodeCore.handle */
    byte x;
end:
    do
    :: atomic { nempty(toNode) ->
        if
        :: toNode ? request(_) -> waits = request
        :: toNode ? requestAhead(_) -> waits = requestAhead
        :: toNode ? cancel(_) ->
            if
            :: waits ->
                waits = 0;
#ifndef CANCEL_UNANSWERED
                tell(refuse, 0)
#endif
            :: else
            fi
        :: toNode ? seal(x) ->          /* Ledger.seal, complete */
            if
            :: state[x] == leased -> state[x] = sealed
            :: else
            fi
        :: toNode ? unmapped(x) ->      /* Ledger.unmapped */
            isMapped[x] = false;
            if
            :: state[x] == warm || state[x] == pinned -> state[x] = free
            :: else
            fi
        fi;
        settle();
        x = 0
    }
    :: atomic { state[0] == sealed -> reclaim(0); settle() }    /* Ledger.release, by the last */
    :: atomic { state[1] == sealed -> reclaim(1); settle() }
    od
}

active proctype Rival() {
    byte leases;
    do
    :: leases < RIVAL_LEASES ->
        atomic { rivalWaits = true; leases++; settle() };
        if                              /* no end of the model */
        :: !rivalWaits
        :: rivalWaits = false           /* Ledger.serve: its deadline has passed */
        fi;
        atomic {
            if
            :: state[0] == rivals -> state[0] = free
            :: state[1] == rivals -> state[1] = free
            :: else
            fi;
            settle()
        }
    :: leases == RIVAL_LEASES -> break
    od
}

/* A publisher begins a segment's next life by itself, as soon as all who were promised it have acknowledged the last one;
 * and a subscription joins meanwhile.
 *
 * Two segments of one message each, and MESSAGES messages. One subscription reads from the first message on, the other
 * joins at some moment. What is checked: each gets every message from its first one on, in order, once; a message is never
 * written over while it is borrowed; nobody waits for ever. With LEAVES there is only the first, which leaves at some
 * moment: as one whose connection was ended, which reads on for as long as there is something; or, with CLOSES, as one that
 * is closed, of which a sample may be out.
 *
 * What stands for what:
 *   begin      SegmentWriter.begin(epoch:after:)        rest       PublisherCore.rest, SegmentWriter.joins
 *   haveRead   Listeners.haveRead                       note       NodeCore.noteJoin, SegmentFile.noteJoins
 *   last       SegmentStore.lastSequence                Joined     SubscriberJoined, SegmentPromised
 *   follow     StreamCursor.followPublisher             ack        HeldSegment.release, WakePageOwner.acknowledge
 *   Leave      NodeCore.stopListening                   force      PublisherCore.subscriberLeft
 *   close      SubscriptionCore.close
 *
 * Mutants: NO_JOINS        the publisher does not look whether somebody has joined
 *          NO_FENCE        it looks before what it has committed can be seen
 *          LOOK_FIRST      the node looks at what is committed before it notes the join
 *          NO_BASE         a life that has just begun does not tell what was before it
 *          NO_RETRY        the node takes a life that ends under its eyes for one that holds nothing
 *          ACK_EARLY       a life is acknowledged while a sample of it is borrowed
 *          ACK_ANY         the publisher waits for one subscription's acknowledgement only
 *          LEFT_FORGOTTEN  who has left is waited for no more
 *          LEFT_UNREAD     who reads on is waited for only where it has not acknowledged what it was given
 */
#ifndef MESSAGES
#define MESSAGES 4
#endif
#define SEGMENTS 2

/* A segment's header: the committed word is epoch and count in one. A message is committed by its slot, and counted with it
 * (commit.pml): here that is one step. */
byte epoch[SEGMENTS], count[SEGMENTS], base[SEGMENTS], joins[SEGMENTS];
bool isSealed[SEGMENTS];
/* Its one slot: the message's sequence, and the life that its checksum is of. */
byte slot[SEGMENTS], slotEpoch[SEGMENTS];
/* The acknowledgements in each subscription's wake page. */
byte acks[2 * SEGMENTS];
#define ack(i, s) acks[(i) * SEGMENTS + (s)]

chan toPublisher = [1] of { byte };     /* Joined, with the count of joins */
chan toJoiner = [1] of { byte };        /* the first sequence */

byte expected[2];
bool hasJoined, isDone;

/* What the publisher knows. */
byte knownJoins, joinsAtRest[SEGMENTS];

#ifdef LEAVES
chan fromLeaver = [1] of { bool };      /* SubscriberLeft */
bool isGone, isForced[SEGMENTS];
#if defined(CLOSES) || defined(LEFT_UNREAD)
#define mayBeRead(s) (ack(0, s) < epoch[s])
#else
#define mayBeRead(s) true
#endif
#endif
bool isClosed;

#ifdef NO_JOINS
#define joinsKnown(s) true
#else
#define joinsKnown(s) (knownJoins >= joinsAtRest[s])
#endif
#ifdef LEAVES
#define haveRead(s) (epoch[s] == 0 || (!isForced[s] && (isGone || ack(0, s) >= epoch[s])))
#elif defined(ACK_ANY)
#define haveRead(s) (epoch[s] == 0 || (joinsKnown(s) && (ack(0, s) >= epoch[s] || ack(1, s) >= epoch[s])))
#else
#define haveRead(s) (epoch[s] == 0 || (joinsKnown(s) && ack(0, s) >= epoch[s] && (knownJoins == 0 || ack(1, s) >= epoch[s])))
#endif

#ifdef LEAVES
inline force() {
  d_step {
    isGone = true;
#ifndef LEFT_FORGOTTEN
    isForced[0] = mayBeRead(0);
    isForced[1] = mayBeRead(1)
#endif
  }
}
#endif

active proctype Publisher() {
  byte s, sequence;
  for (sequence : 1 .. MESSAGES) {
    do
    :: toPublisher ? knownJoins
    :: haveRead(0) -> s = 0; break
    :: haveRead(1) -> s = 1; break
#ifdef LEAVES
    :: fromLeaver ? _ -> force()
    :: isForced[0] && isForced[1] -> goto leases      /* others, of which who has left knows nothing */
#endif
    od;
    /* begin */
    base[s] = sequence - 1;
    isSealed[s] = false;
    d_step { epoch[s]++; count[s] = 0 };
    slot[s] = sequence;
    slotEpoch[s] = epoch[s];
#ifdef LEAVES
    if
    :: fromLeaver ? _ -> force()
    :: true
    fi;
#endif
#ifdef NO_FENCE
    joinsAtRest[s] = joins[s];
#endif
    count[s] = 1;
    isSealed[s] = true;
#ifndef NO_FENCE
    joinsAtRest[s] = joins[s];
#endif
  }
leases:
  isDone = true;
  end: do
  :: toPublisher ? knownJoins
  od
}

#ifdef LEAVES
active proctype Leave() {
#ifdef CLOSES
  isClosed = true;
#endif
  fromLeaver ! true
}
#else
active proctype Node() {
  byte s, e, c, last, first;
#ifndef LOOK_FIRST
  for (s : 0 .. SEGMENTS - 1) { joins[s] = 1 }
#endif
  for (s : 0 .. SEGMENTS - 1) {
  retry:
    e = epoch[s];
    /* In this life still, how many are committed? */
    d_step { c = (epoch[s] == e -> count[s] : 0) };
    if
    :: c > 0 ->
      atomic {
        if
        :: slotEpoch[s] == e -> last = slot[s]
#ifdef NO_RETRY
        :: else -> last = 0
#else
        :: else -> goto retry
#endif
        fi
      }
    :: else ->
#ifdef NO_BASE
      last = 0
#else
      last = base[s]
#endif
    fi;
    if
    :: last > first -> first = last
    :: else
    fi
  }
#ifdef LOOK_FIRST
  for (s : 0 .. SEGMENTS - 1) { joins[s] = 1 }
#endif
  hasJoined = true;
  toPublisher ! 1;
  toJoiner ! first + 1
}
#endif

/* Reading is the same for both. */
inline read(i) {
  end: do
  /* follow: a later life has begun. */
  :: atomic { !isClosed && epoch[0] > mine[0] -> mine[0] = epoch[0]; isRead[0] = false }
  :: atomic { !isClosed && epoch[1] > mine[1] -> mine[1] = epoch[1]; isRead[1] = false }
  :: atomic { !isClosed && mine[0] > 0 && !isRead[0] && epoch[0] == mine[0] && count[0] > 0 && slot[0] <= expected[i] -> s = 0 };
    take(i)
  :: atomic { !isClosed && mine[1] > 0 && !isRead[1] && epoch[1] == mine[1] && count[1] > 0 && slot[1] <= expected[i] -> s = 1 };
    take(i)
#ifdef CLOSES
  /* close: what is not borrowed is let go of, read or not. */
  :: atomic { isClosed && mine[0] > 0 && !isRead[0] -> isRead[0] = true; ack(i, 0) = mine[0] }
  :: atomic { isClosed && mine[1] > 0 && !isRead[1] -> isRead[1] = true; ack(i, 1) = mine[1] }
#endif
  od
}

inline take(i) {
  sequence = slot[s];
  /* The checksum is of this life, or the life is over and the segment is looked at anew. */
  if
  :: slotEpoch[s] != mine[s]
  :: slotEpoch[s] == mine[s] && sequence < expected[i] -> isRead[s] = true; ack(i, s) = mine[s]
  :: slotEpoch[s] == mine[s] && sequence > expected[i]
  :: slotEpoch[s] == mine[s] && sequence == expected[i] ->
    expected[i]++;
#ifdef ACK_EARLY
    ack(i, s) = mine[s];
#endif
    /* Borrowed: the payload is still what it was when it is read. */
    assert(slot[s] == sequence);
    isRead[s] = true;
    ack(i, s) = mine[s]
  fi
}

active proctype Reader() {
  byte mine[SEGMENTS], s, sequence;
  bool isRead[SEGMENTS];
  expected[0] = 1;
  endBefore: read(0)
}

#ifndef LEAVES
active proctype Joiner() {
  byte mine[SEGMENTS], s, sequence;
  bool isRead[SEGMENTS];
  toJoiner ? expected[1];
  endBefore: read(1)
}
#endif

/* When nothing more happens, all is published, and both have read all of it. */
active proctype End() {
  end: timeout ->
  assert(isDone);
#ifndef LEAVES
  assert(expected[0] == MESSAGES + 1);
  assert(hasJoined && expected[1] == MESSAGES + 1)
#endif
}

/* A publisher begins a segment's next life by itself, as soon as all who were promised it have acknowledged the last one;
 * and a subscription joins meanwhile.
 *
 * Two segments of one message each, and MESSAGES messages. One subscription reads from the first message on, the other
 * joins at some moment. What is checked: each gets every message from its first one on, in order, once; a message is never
 * written over while it is borrowed; nobody waits for ever.
 *
 * What stands for what:
 *   begin      SegmentWriter.begin(epoch:after:)        rest       PublisherCore.rest, SegmentWriter.joins
 *   haveRead   Listeners.haveRead                       note       NodeCore.noteJoin, SegmentFile.noteJoins
 *   last       SegmentStore.lastSequence                Joined     SubscriberJoined, SegmentPromised
 *   follow     StreamCursor.followPublisher             ack        HeldSegment.release, WakePageOwner.acknowledge
 *
 * Mutants: NO_JOINS        the publisher does not look whether somebody has joined
 *          NO_FENCE        it looks before what it has committed can be seen
 *          LOOK_FIRST      the node looks at what is committed before it notes the join
 *          NO_BASE         a life that has just begun does not tell what was before it
 *          NO_RETRY        the node takes a life that ends under its eyes for one that holds nothing
 *          ACK_EARLY       a life is acknowledged while a sample of it is borrowed
 *          ACK_ANY         the publisher waits for one subscription's acknowledgement only
 */
#ifndef MESSAGES
#define MESSAGES 4
#endif
#define SEGMENTS 2

/* A segment's header: the committed word is epoch and count in one. */
byte epoch[SEGMENTS], count[SEGMENTS], base[SEGMENTS], joins[SEGMENTS];
bool isSealed[SEGMENTS];
/* Its one slot: the message's sequence, and the life that its checksum is of. */
byte slot[SEGMENTS], slotEpoch[SEGMENTS];
/* The acknowledgements in each subscription's wake page. */
byte ack0[SEGMENTS], ack1[SEGMENTS];

chan toPublisher = [1] of { byte };     /* Joined, with the count of joins */
chan toJoiner = [1] of { byte };        /* the first sequence */

byte expected0 = 1, expected1;
bool hasJoined, isDone;

/* What the publisher knows. */
byte knownJoins, joinsAtRest[SEGMENTS];

#ifdef NO_JOINS
#define joinsKnown(s) true
#else
#define joinsKnown(s) (knownJoins >= joinsAtRest[s])
#endif
#ifdef ACK_ANY
#define haveRead(s) (epoch[s] == 0 || (joinsKnown(s) && (ack0[s] >= epoch[s] || ack1[s] >= epoch[s])))
#else
#define haveRead(s) (epoch[s] == 0 || (joinsKnown(s) && ack0[s] >= epoch[s] && (knownJoins == 0 || ack1[s] >= epoch[s])))
#endif

active proctype Publisher() {
  byte s, sequence;
  for (sequence : 1 .. MESSAGES) {
    do
    :: toPublisher ? knownJoins
    :: haveRead(0) -> s = 0; break
    :: haveRead(1) -> s = 1; break
    od;
    /* begin */
    base[s] = sequence - 1;
    isSealed[s] = false;
    d_step { epoch[s]++; count[s] = 0 };
    slot[s] = sequence;
    slotEpoch[s] = epoch[s];
#ifdef NO_FENCE
    joinsAtRest[s] = joins[s];
#endif
    /* The last commit of a life seals it first. */
    isSealed[s] = true;
    count[s] = 1;
#ifndef NO_FENCE
    joinsAtRest[s] = joins[s];
#endif
  }
  isDone = true;
  end: do
  :: toPublisher ? knownJoins
  od
}

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

/* Reading is the same for both; each has its own `expected` and `ack`. */
inline read(expected, ack) {
  end: do
  /* follow: a later life has begun. */
  :: atomic { epoch[0] > mine[0] -> mine[0] = epoch[0]; isRead[0] = false }
  :: atomic { epoch[1] > mine[1] -> mine[1] = epoch[1]; isRead[1] = false }
  :: atomic { mine[0] > 0 && !isRead[0] && epoch[0] == mine[0] && count[0] > 0 && slot[0] <= expected -> s = 0 };
    take(expected, ack)
  :: atomic { mine[1] > 0 && !isRead[1] && epoch[1] == mine[1] && count[1] > 0 && slot[1] <= expected -> s = 1 };
    take(expected, ack)
  od
}

inline take(expected, ack) {
  sequence = slot[s];
  /* The checksum is of this life, or the life is over and the segment is looked at anew. */
  if
  :: slotEpoch[s] != mine[s]
  :: slotEpoch[s] == mine[s] && sequence < expected -> isRead[s] = true; ack[s] = mine[s]
  :: slotEpoch[s] == mine[s] && sequence > expected
  :: slotEpoch[s] == mine[s] && sequence == expected ->
    expected++;
#ifdef ACK_EARLY
    ack[s] = mine[s];
#endif
    /* Borrowed: the payload is still what it was when it is read. */
    assert(slot[s] == sequence);
    isRead[s] = true;
    ack[s] = mine[s]
  fi
}

active proctype Reader() {
  byte mine[SEGMENTS], s, sequence;
  bool isRead[SEGMENTS];
  read(expected0, ack0)
}

active proctype Joiner() {
  byte mine[SEGMENTS], s, sequence;
  bool isRead[SEGMENTS];
  toJoiner ? expected1;
  read(expected1, ack1)
}

/* When nothing more happens, all is published, and both have read all of it. */
active proctype End() {
  end: timeout ->
  assert(isDone);
  assert(expected0 == MESSAGES + 1);
  assert(hasJoined && expected1 == MESSAGES + 1)
}

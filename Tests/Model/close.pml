/* A node ends the connection of a publisher that lives, and goes on writing.
 *
 * One segment of two messages, renewed as often as it is read; one reader. What is checked: each message whose publishing
 * succeeded is read; of those whose publishing failed, one at the most.
 *
 * What stands for what:
 *   commit     SegmentWriter.commit                     look       PublisherCore.requireOpen, SegmentWriter.isClosed
 *   note       SegmentFile.noteClosed                   end        NodeCore.close, NodeCore.end(of:_:contents:)
 *   begin      SegmentWriter.begin(epoch:after:)        ack        HeldSegment.release
 *
 * Mutants: LOOK_EARLY      the publisher looks before what it has committed can be seen
 *          NOTE_LATE       the node looks at what is committed before it says that it takes no more
 *          NEVER_TOLD      the node says nothing
 */
#ifndef MESSAGES
#define MESSAGES 5
#endif
#define ROOM 2

/* The segment's header. */
byte epoch = 1, count;
bool isClosed;
byte ack;

byte published, failed, received;
bool isEnded;          /* the node has told the reader that the stream has ended, and how this life ends: */
byte endEpoch, end;
bool isOver;           /* the publisher writes nothing more */

active proctype Publisher() {
  byte sequence;
  bool closed;
  for (sequence : 1 .. MESSAGES) {
    if
    :: count < ROOM
    :: count == ROOM -> (ack == epoch || isEnded); /* its next lease fails when there is no node for it */
      if
      :: ack == epoch -> d_step { epoch++; count = 0 } /* begin */
      :: else -> break
      fi
    fi;
#ifdef LOOK_EARLY
    closed = isClosed;
#endif
    count++; /* commit */
#ifndef LOOK_EARLY
    closed = isClosed; /* look */
#endif
    if
    :: closed -> failed++; break
    :: else -> published++
    fi
  }
  isOver = true
}

active proctype Node() {
  byte e, c;
#ifdef NOTE_LATE
  e = epoch;
  c = (epoch == e -> count : 0);
#endif
#ifndef NEVER_TOLD
  isClosed = true; /* note */
#endif
#ifndef NOTE_LATE
  e = epoch; /* end */
  c = (epoch == e -> count : 0);
#endif
  atomic { endEpoch = e; end = c; isEnded = true }
}

active proctype Reader() {
  byte e = 1, next;
  do
  :: atomic { epoch == e && next < count && !(isEnded && endEpoch == e && next >= end) -> next++; received++ }
  :: atomic { epoch == e && next == ROOM -> ack = e }
  :: atomic { epoch > e -> e = epoch; next = 0 }
  /* All is read, up to where the node says that it ends; or a later life has begun. */
  :: atomic { isEnded && endEpoch == e && next >= end && isOver && epoch == e -> break }
  :: atomic { isEnded && endEpoch < e && isOver && epoch == e -> break }
  od;
  assert(received >= published && received <= published + failed)
}

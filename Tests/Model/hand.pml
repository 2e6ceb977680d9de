/* A reader finds a segment's next life in the memory itself, and the node's word of it comes late.
 *
 * One segment, LIVES lives of one message each. When the publisher has written one it waits for the acknowledgement in the
 * reader's wake page and begins the next by itself; or gives the segment back to the node, which takes it as read if that
 * is acknowledged, or waits for the reader to say so, and hands the next life on. With EVICTS it may keep a life back, and
 * take one that is not acknowledged: the segment is not written again then. What is checked: no life is begun while the last
 * one is borrowed; nobody waits for ever.
 *
 * What stands for what:
 *   follow     StreamCursor.followPublisher             handed     StreamCursor.add, HeldSegment.repeatRelease
 *   sealed     HeldSegment.sealed                       drop       HeldSegment.release
 *   seal       NodeCore.end(of:_:contents:)             begin      SegmentWriter.begin(epoch:after:)
 *   evict      Ledger.lag, SegmentRecord.mayBeRead(by:)
 *
 * Mutants: HAND_RELEASES   a life that the node hands is acknowledged if it was read already
 *          EVICTS_UNHANDED what was not handed is written again, though it is mapped
 *          SEAL_UNTOLD     the reader does not say again, when it hears that the node waits, what it has released
 */
#ifndef LIVES
#define LIVES 4
#endif

mtype = { Handed, Sealed };
chan toReader = [4] of { mtype, byte };
chan toNode = [4] of { byte };        /* released */
chan toPublisher = [1] of { byte };   /* granted */
chan sealing = [1] of { byte };

byte epoch = 1, count = 1, ack;       /* the segment, and the wake page */
byte borrowed;                        /* the life of which a sample is out; 0: none */

active proctype Publisher() {
  byte granted;
  do
  :: epoch < LIVES ->
    if
    :: ack == epoch -> granted = epoch + 1
    :: sealing ! epoch; toPublisher ? granted
    fi;
    if
    :: granted == 0 -> break
    :: else
    fi;
    assert(borrowed != epoch);
    d_step { epoch = granted; count = 0 }; /* begin */
    count = 1
  :: else -> break
  od
}

active proctype Node() {
  byte e, released;
  bool isHanded = true;
  end: do
  :: sealing ? e ->
    if
    :: ack == e /* seal */
#ifdef EVICTS
    :: ack != e -> /* evict */
#ifdef EVICTS_UNHANDED
      if
      :: !isHanded -> goto grant
      :: else
      fi;
#endif
      toPublisher ! 0;
      goto end
#endif
    :: ack != e ->
      toReader ! Sealed, e;
      do
      :: toNode ? released -> if :: released >= e -> break :: else fi
      od
    fi;
  grant:
    toPublisher ! e + 1;
#ifdef EVICTS
    isHanded = false;
    if
    :: true -> goto end /* the window is full */
    :: true
    fi;
#endif
    isHanded = true;
    toReader ! Handed, e + 1
  :: toNode ? released
  od
}

/* The reader's cursor, and whoever holds its sample. */
active proctype Reader() {
  byte at = 1, e, released, awaited;
  bool isRead;
  end: do
  :: atomic { epoch > at && borrowed != at -> at = epoch; isRead = false } /* follow */
  :: atomic { epoch == at && count == 1 && !isRead -> isRead = true; borrowed = at } /* take */
  :: borrowed > 0 -> /* drop */
    atomic { e = borrowed; borrowed = 0; ack = e };
    released = e;
    if
    :: awaited == e -> toNode ! e
    :: else
    fi
  :: toReader ? Sealed, e ->
    awaited = e; /* sealed */
#ifndef SEAL_UNTOLD
    if
    :: released >= e -> toNode ! e
    :: else
    fi
#endif
  :: toReader ? Handed, e -> /* handed */
    if
    :: at < e -> at = e; isRead = false
    :: at >= e && isRead ->
#ifdef HAND_RELEASES
      ack = e;
      released = e;
#endif
      if
      :: released >= e && awaited == e -> toNode ! e
      :: else
      fi
    :: else
    fi
  od
}

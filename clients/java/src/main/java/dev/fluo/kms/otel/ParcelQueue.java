package dev.fluo.kms.otel;

import io.opentelemetry.sdk.common.CompletableResultCode;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * Parcels in order, bounded by their spans and bytes until each is finished. Two readers follow each other: one takes
 * parcels to sign them, one to deliver them.
 */
final class ParcelQueue {
  private final long mostSpans;
  private final long mostBytes;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Deque<Parcel> parcels = new ArrayDeque<>();
  private final Deque<Parcel> unsigned = new ArrayDeque<>();
  private final List<Flush> flushes = new ArrayList<>();
  private long spans;
  private long bytes;
  private long added;
  private long finished;
  private boolean isClosed;

  private record Flush(long upTo, CompletableResultCode result) {}

  /** Whether a parcel was taken in. */
  enum Admission {
    ADDED,
    FULL,
    CLOSED
  }

  ParcelQueue(long mostSpans, long mostBytes) {
    this.mostSpans = mostSpans;
    this.mostBytes = mostBytes;
  }

  /** Waits for room. A parcel that is larger than the whole queue goes into an empty one. */
  Admission add(Parcel parcel, long nanos) throws InterruptedException {
    long left = nanos;
    lock.lockInterruptibly();
    try {
      while (!isClosed && !parcels.isEmpty() && !fits(parcel)) {
        if (left <= 0) {
          return Admission.FULL;
        }
        left = changed.awaitNanos(left);
      }
      if (isClosed) {
        return Admission.CLOSED;
      }
      parcels.add(parcel);
      unsigned.add(parcel);
      spans += parcel.batch().spans();
      bytes += parcel.batch().bytes();
      added++;
      changed.signalAll();
      return Admission.ADDED;
    } finally {
      lock.unlock();
    }
  }

  private boolean fits(Parcel parcel) {
    return spans + parcel.batch().spans() <= mostSpans && bytes + parcel.batch().bytes() <= mostBytes;
  }

  /** Waits for the next parcel to sign. */
  Parcel takeUnsigned() throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (unsigned.isEmpty()) {
        changed.await();
      }
      return unsigned.remove();
    } finally {
      lock.unlock();
    }
  }

  /** Waits for the next parcel to deliver, which stays in the queue until it is finished. */
  Parcel first() throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (parcels.isEmpty()) {
        changed.await();
      }
      return parcels.element();
    } finally {
      lock.unlock();
    }
  }

  /** Removes the first parcel, which is delivered or lost. */
  void finish(Parcel parcel) {
    List<CompletableResultCode> due = new ArrayList<>();
    lock.lock();
    try {
      if (parcels.peek() != parcel) {
        return;
      }
      parcels.remove();
      unsigned.remove(parcel);
      spans -= parcel.batch().spans();
      bytes -= parcel.batch().bytes();
      finished++;
      flushes.removeIf(each -> each.upTo <= finished && due.add(each.result));
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    due.forEach(CompletableResultCode::succeed);
  }

  /** Returns what the parcels take of the bounds. */
  Waiting held() {
    lock.lock();
    try {
      return new Waiting(spans, bytes);
    } finally {
      lock.unlock();
    }
  }

  /** Succeeds once all that is here now is finished. */
  CompletableResultCode flush() {
    lock.lock();
    try {
      if (parcels.isEmpty()) {
        return CompletableResultCode.ofSuccess();
      }
      CompletableResultCode result = new CompletableResultCode();
      flushes.add(new Flush(added, result));
      return result;
    } finally {
      lock.unlock();
    }
  }

  /** Takes no more, and waits until it is empty, but no longer than this. */
  void close(long nanos) throws InterruptedException {
    long left = nanos;
    lock.lockInterruptibly();
    try {
      isClosed = true;
      changed.signalAll();
      while (!parcels.isEmpty() && left > 0) {
        left = changed.awaitNanos(left);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Removes what is left. Each parcel is given to {@code losing} first, for a flush that waits for it then looks for losses. */
  void drain(Consumer<Parcel> losing) {
    List<Parcel> left = new ArrayList<>();
    lock.lock();
    try {
      isClosed = true;
      left.addAll(parcels);
    } finally {
      lock.unlock();
    }
    for (Parcel each : left) {
      losing.accept(each);
      finish(each);
    }
  }
}

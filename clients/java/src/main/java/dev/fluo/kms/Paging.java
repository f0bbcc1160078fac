package dev.fluo.kms;

import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.function.Function;

/** Pages of a list, one behind the other. */
final class Paging {
  private Paging() {}

  /** @param next the token of the page behind; empty for the last */
  record Page<T>(List<T> items, String next) {}

  static <T> Iterable<T> of(String first, Function<String, Page<T>> read) {
    return () -> new Pages<>(first, read);
  }

  private static final class Pages<T> implements Iterator<T> {
    private final Function<String, Page<T>> read;
    private Iterator<T> page = List.<T>of().iterator();
    private String token;
    private boolean isLast;

    Pages(String first, Function<String, Page<T>> read) {
      this.token = first;
      this.read = read;
    }

    @Override
    public boolean hasNext() {
      // A page may be empty, and others follow.
      while (!page.hasNext() && !isLast) {
        Page<T> next = read.apply(token);
        if (next.next().equals(token) && !token.isEmpty()) {
          throw new IllegalStateException("the service gave the same page twice");
        }
        page = next.items().iterator();
        token = next.next();
        isLast = token.isEmpty();
      }
      return page.hasNext();
    }

    @Override
    public T next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      return page.next();
    }
  }
}

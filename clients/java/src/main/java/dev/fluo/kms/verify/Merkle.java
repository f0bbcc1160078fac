package dev.fluo.kms.verify;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A log's Merkle tree (RFC 6962, SHA-256) and its proofs (RFC 9162, 2.1.3.2). A path has the hashes that lead from a
 * leaf up, and just those that it needs. The frontier of a tree has the hashes of the complete subtrees that it is made
 * of, one for each bit of its size, widest first.
 */
final class Merkle {
  private Merkle() {}

  /** The hash of a leaf's entry. */
  static byte[] leaf(byte[] entry) {
    return Sha256.of(new byte[] {0}, entry);
  }

  static byte[] node(byte[] left, byte[] right) {
    return Sha256.of(new byte[] {1}, left, right);
  }

  /** Returns whether the leaf is at the index of the tree. */
  static boolean includes(long size, byte[] root, byte[] leaf, long index, List<byte[]> path) {
    if (index >= size) {
      return false;
    }
    Climb climb = new Climb(index, size);
    byte[] hash = leaf;
    for (byte[] sibling : path) {
      if (climb.isAtRoot()) {
        return false;
      }
      hash = climb.siblingIsLeft() ? node(sibling, hash) : node(hash, sibling);
    }
    return climb.isAtRoot() && Arrays.equals(hash, root);
  }

  /** Returns the frontier of all leaves before one: the left siblings of its path in a tree of that size. */
  static List<byte[]> frontierBefore(long index, List<byte[]> path, long size) {
    Climb climb = new Climb(index, size);
    List<byte[]> frontier = new ArrayList<>();
    for (byte[] sibling : path) {
      if (climb.siblingIsLeft()) {
        frontier.add(0, sibling);
      }
    }
    return frontier;
  }

  /** Returns the hash of the complete subtree of a level that the leaf is in, by its path, which holds. */
  static byte[] subtree(byte[] leaf, long index, List<byte[]> path, int level) {
    byte[] hash = leaf;
    for (int i = 0; i < level; i++) {
      hash = (index >>> i & 1) == 1 ? node(path.get(i), hash) : node(hash, path.get(i));
    }
    return hash;
  }

  /** The way from a leaf to the root: {@code node} counts at its level, {@code last} is the last node there. */
  private static final class Climb {
    private long node;
    private long last;

    Climb(long index, long size) {
      node = index;
      last = size - 1;
    }

    boolean isAtRoot() {
      return last == 0;
    }

    /** Goes up past one sibling. The last node of a level may have none, and is then that of the next. */
    boolean siblingIsLeft() {
      boolean isLeft = (node & 1) == 1 || node == last;
      if (isLeft) {
        while ((node & 1) == 0 && node != 0) {
          up();
        }
      }
      up();
      return isLeft;
    }

    private void up() {
      node >>>= 1;
      last >>>= 1;
    }
  }

  /** A tree that grows leaf by leaf. */
  static final class GrowingTree {
    private long size;
    private final List<byte[]> frontier;

    GrowingTree(long size, List<byte[]> frontier) {
      this.size = size;
      this.frontier = new ArrayList<>(frontier);
    }

    long size() {
      return size;
    }

    byte[] root() {
      if (frontier.isEmpty()) {
        return Sha256.of();
      }
      byte[] root = frontier.get(frontier.size() - 1);
      for (int i = frontier.size() - 2; i >= 0; i--) {
        root = node(frontier.get(i), root);
      }
      return root;
    }

    void add(byte[] leaf) {
      byte[] hash = leaf;
      for (long rest = size; (rest & 1) == 1; rest >>>= 1) {
        hash = node(frontier.remove(frontier.size() - 1), hash);
      }
      frontier.add(hash);
      size++;
    }

    /**
     * Returns the first of the subtrees that both trees are made of which the other one has with another hash; null for
     * none. Where one tree is larger, they share just the widest, up to the first that is not as wide in both.
     */
    Subtree differenceFrom(GrowingTree other) {
      long start = 0;
      for (int i = 0; i < frontier.size(); i++) {
        int level = 63 - Long.numberOfLeadingZeros(size - start);
        if (level != 63 - Long.numberOfLeadingZeros(other.size - start)) {
          return null;
        }
        if (!Arrays.equals(frontier.get(i), other.frontier.get(i))) {
          return new Subtree(start, level, other.frontier.get(i));
        }
        start += 1L << level;
      }
      return null;
    }
  }

  /** A complete subtree of 2^level leaves. */
  record Subtree(long start, int level, byte[] hash) {
    Range range() {
      return new Range(start, start + (1L << level));
    }
  }

  /** Leaves from {@code start} until before {@code end}. */
  record Range(long start, long end) {
    boolean has(long index) {
      return index >= start && index < end;
    }
  }
}

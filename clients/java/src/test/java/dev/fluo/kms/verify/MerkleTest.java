package dev.fluo.kms.verify;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.fluo.kms.verify.Merkle.GrowingTree;
import dev.fluo.kms.verify.Merkle.Subtree;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Compared with the recursive definitions of RFC 6962, 2.1. */
class MerkleTest {
  private static final int MOST_LEAVES = 33;
  private static final List<byte[]> LEAVES =
      IntStream.range(0, MOST_LEAVES).mapToObj(i -> Merkle.leaf(new byte[] {(byte) i})).toList();

  @Test
  void includesEachLeafByItsPathAndByNoOther() {
    for (int size = 1; size <= MOST_LEAVES; size++) {
      byte[] root = root(LEAVES.subList(0, size));
      for (int index = 0; index < size; index++) {
        List<byte[]> path = path(index, LEAVES.subList(0, size));
        assertTrue(Merkle.includes(size, root, LEAVES.get(index), index, path));
        assertFalse(Merkle.includes(size, root, LEAVES.get((index + 1) % MOST_LEAVES), index, path));
        assertFalse(Merkle.includes(size, root, LEAVES.get(index), index + size, path));
        List<byte[]> longer = new ArrayList<>(path);
        longer.add(root);
        assertFalse(Merkle.includes(size, root, LEAVES.get(index), index, longer));
        assertFalse(size > 1 && Merkle.includes(size, root, LEAVES.get(index), index, path.subList(1, path.size())));
      }
    }
  }

  @Test
  void growsFromTheTreeThatAPathTellsOf() {
    for (int size = 1; size <= MOST_LEAVES; size++) {
      for (int index = 0; index < size; index++) {
        List<byte[]> path = path(index, LEAVES.subList(0, size));
        GrowingTree tree = new GrowingTree(index, Merkle.frontierBefore(index, path, size));
        for (int i = index; i < size; i++) {
          assertArrayEquals(root(LEAVES.subList(0, i)), tree.root());
          tree.add(LEAVES.get(i));
        }
        assertEquals(size, tree.size());
        assertArrayEquals(root(LEAVES.subList(0, size)), tree.root());
      }
    }
  }

  @Test
  void namesTheSubtreeThatDiffers() {
    GrowingTree tree = new GrowingTree(0, List.of());
    LEAVES.subList(0, 7).forEach(tree::add);
    List<byte[]> frontier = List.of(root(LEAVES.subList(0, 4)), root(LEAVES.subList(5, 7)), LEAVES.get(6));
    Subtree difference = tree.differenceFrom(new GrowingTree(7, frontier));
    assertEquals(new Merkle.Range(4, 6), difference.range());
    assertArrayEquals(frontier.get(1), difference.hash());
    List<byte[]> path = path(5, LEAVES.subList(0, 7));
    assertArrayEquals(root(LEAVES.subList(4, 6)), Merkle.subtree(LEAVES.get(5), 5, path, 1));
    List<byte[]> same = List.of(root(LEAVES.subList(0, 4)), root(LEAVES.subList(4, 6)), LEAVES.get(6));
    assertNull(tree.differenceFrom(new GrowingTree(7, same)));
  }

  static byte[] root(List<byte[]> leaves) {
    if (leaves.size() < 2) {
      return leaves.isEmpty() ? Sha256.of() : leaves.get(0);
    }
    int left = Integer.highestOneBit(leaves.size() - 1);
    return Merkle.node(root(leaves.subList(0, left)), root(leaves.subList(left, leaves.size())));
  }

  static List<byte[]> path(int index, List<byte[]> leaves) {
    if (leaves.size() == 1) {
      return List.of();
    }
    int left = Integer.highestOneBit(leaves.size() - 1);
    List<byte[]> lower = leaves.subList(0, left);
    List<byte[]> upper = leaves.subList(left, leaves.size());
    List<byte[]> path = new ArrayList<>(index < left ? path(index, lower) : path(index - left, upper));
    path.add(root(index < left ? upper : lower));
    return path;
  }
}

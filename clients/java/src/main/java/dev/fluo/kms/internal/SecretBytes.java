package dev.fluo.kms.internal;

import java.util.Arrays;
import javax.crypto.SecretKey;

/** A key that is overwritten when it is closed; {@code SecretKeySpec} keeps its copy until it is collected. */
public final class SecretBytes implements SecretKey, AutoCloseable {
  private static final long serialVersionUID = 1;

  private final String algorithm;
  private final transient byte[] bytes;

  /** @param bytes are the key's from now on */
  public SecretBytes(String algorithm, byte[] bytes) {
    this.algorithm = algorithm;
    this.bytes = bytes;
  }

  @Override
  public String getAlgorithm() {
    return algorithm;
  }

  @Override
  public String getFormat() {
    return "RAW";
  }

  @Override
  public byte[] getEncoded() {
    return bytes.clone();
  }

  @Override
  public void close() {
    Arrays.fill(bytes, (byte) 0);
  }

  @Override
  public String toString() {
    return algorithm + " key";
  }
}

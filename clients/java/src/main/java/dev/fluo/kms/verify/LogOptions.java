package dev.fluo.kms.verify;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/**
 * What of the logs to verify. Immutable; each method returns options with one thing changed.
 *
 * @param tenant who must have signed; null: whom each span names
 * @param checkpoints those that were kept
 * @param from how many entries of the log to pass over; without it, verification begins at the first span, or at the
 *     smallest kept checkpoint if that is earlier
 * @param to how many entries the log must have; without it, as many as the largest checkpoint has, kept or in a span's
 *     proof
 * @param anyOrder whether the spans are in no order, as from a store that keeps none
 */
public record LogOptions(
    String tenant, List<KeptCheckpoint> checkpoints, OptionalLong from, OptionalLong to, boolean anyOrder) {

  /**
   * Checkpoints that somebody kept: one signed note, or several one behind the other.
   *
   * @param name by which the result names them, such as that of a file
   * @param text as GetCheckpoint gives it
   */
  public record KeptCheckpoint(String name, String text) {}

  /** Options that ask for all that the spans and their proofs tell of. */
  public LogOptions() {
    this(null, List.of(), OptionalLong.empty(), OptionalLong.empty(), false);
  }

  /** Names who must have signed. */
  public LogOptions withTenant(String name) {
    return new LogOptions(name, checkpoints, from, to, anyOrder);
  }

  /** Adds checkpoints that were kept. They alone show that whoever has the key rewrote the log, or cut off its end. */
  public LogOptions withCheckpoint(String name, String text) {
    List<KeptCheckpoint> all = new ArrayList<>(checkpoints);
    all.add(new KeptCheckpoint(name, text));
    return new LogOptions(tenant, List.copyOf(all), from, to, anyOrder);
  }

  /** Begins behind the first entries, of which there are so many. */
  public LogOptions withFrom(long size) {
    return new LogOptions(tenant, checkpoints, OptionalLong.of(size), to, anyOrder);
  }

  /** Ends with the first entries, of which there are so many. */
  public LogOptions withTo(long size) {
    return new LogOptions(tenant, checkpoints, from, OptionalLong.of(size), anyOrder);
  }

  /** Takes spans in any order. */
  public LogOptions withAnyOrder() {
    return new LogOptions(tenant, checkpoints, from, to, true);
  }
}

package dev.fluo.kms.verify;

import dev.fluo.kms.verify.JsonText.NotJson;
import dev.fluo.kms.verify.LogHistory.UnprovenEntry;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.regex.Pattern;

/**
 * A tenant's public keys: the JWKS (RFC 7517) that the service serves at {@code
 * /api/kms/tenants/{tenant}/jwks.json}, with each key's state and times, and what there is of logs. Immutable.
 */
public final class KeySet {
  /** RFC 8037's name, and RFC 9864's. */
  private static final Set<Object> ALGORITHMS = Set.of("EdDSA", "Ed25519");

  /** Members that hold the secret of an asymmetric key, of a symmetric one, and of one of RFC 9964's. */
  private static final List<String> SECRETS = List.of("d", "k", "priv");

  /** Digits behind the milliseconds of a time, which are cut off. */
  private static final Pattern PAST_MILLISECONDS = Pattern.compile("(\\.[0-9]{3})[0-9]{1,6}(?![0-9])");

  private final Map<String, PublishedKey> byId;
  private final List<LogKey> logKeys;
  private final Rest rest;

  /**
   * What is the same whichever of the keys are trusted.
   *
   * @param unused handovers that were not used
   * @param ended heads of logs that a restored backup or an accepted loss ended
   * @param passedOver how many keys are of a kind that is unknown here
   */
  private record Rest(List<Handover> handovers, List<UnprovenEntry> unused, List<Checkpoint> ended, int passedOver) {}

  private KeySet(Map<String, PublishedKey> byId, List<LogKey> logKeys, Rest rest) {
    this.byId = byId;
    this.logKeys = logKeys;
    this.rest = rest;
  }

  /**
   * Reads a key set as it is served. Keys of a kind that is unknown here are passed over (RFC 7517, §5), and so is a
   * byte order mark at its start.
   *
   * @throws KeySetException if a member is wrong, there twice or missing, if the text is one page of several, and if it
   *     holds a private key
   */
  public static KeySet parse(String jwks) {
    Object tree;
    try {
      tree = JsonText.parse(JsonText.withoutMark(jwks));
    } catch (NotJson e) {
      throw new KeySetException("the key set is not JSON; save what /api/kms/tenants/{tenant}/jwks.json answers");
    } catch (Malformed e) {
      throw new KeySetException("the key set has a member twice: " + e.getMessage());
    }
    Map<?, ?> members = tree instanceof Map<?, ?> map ? map : Map.of();
    if (!(members.get("keys") instanceof List<?> keys)) {
      throw new KeySetException("the key set has no list \"keys\"; it must be a JWKS");
    }
    if (isPage(members, keys.size())) {
      throw new KeySetException(
          "the key set is one page of the tenant's keys; save all of them, as jwks.json serves them");
    }
    Map<String, PublishedKey> byId = new LinkedHashMap<>();
    List<LogKey> logKeys = new ArrayList<>();
    int passedOver = 0;
    for (int i = 0; i < keys.size(); i++) {
      String at = "keys[" + i + "]";
      Map<String, Object> jwk = JsonMembers.object(keys.get(i), at);
      if (!isEd25519(jwk, at)) {
        passedOver++;
        continue;
      }
      PublishedKey key = key(jwk, at);
      if (byId.put(key.id(), key) != null) {
        throw new KeySetException(at + ".kid is there twice; keep one");
      }
      Object marked = jwk.get("compromised_log");
      Checkpoint compromisedLog = marked == null ? null : head(marked, at + ".compromised_log");
      each(
          jwk.get("vkeys"),
          at + ".vkeys",
          (vkey, where) -> logKeys.add(new LogKey(key, name(vkey, key, where), compromisedLog)));
    }
    List<Handover> handovers = new ArrayList<>();
    List<UnprovenEntry> unused = new ArrayList<>();
    List<Checkpoint> ended = new ArrayList<>();
    each(members.get("handovers"), "handovers", (value, at) -> readHandover(value, at, handovers, unused));
    each(members.get("unused_handovers"), "unused_handovers", (value, at) -> unused.add(unusedHandover(value, at)));
    each(members.get("ended_logs"), "ended_logs", (value, at) -> ended.add(head(value, at)));
    return new KeySet(byId, List.copyOf(logKeys), new Rest(handovers, unused, ended, passedOver));
  }

  /**
   * Returns the keys that can be reached from these, by a chain of handovers in the log: what else is in the set is not
   * trusted. Nothing is, where the set has none of these.
   *
   * @param vkeys C2SP verifier keys, as the key set has them
   * @throws KeySetException if one is not in its form
   */
  public KeySet trusting(Collection<String> vkeys) {
    List<byte[]> first = new ArrayList<>();
    for (String vkey : vkeys) {
      VerifierKey key = VerifierKey.parse(vkey);
      if (key == null) {
        throw new KeySetException("a vkey is NAME+ID+KEY, as the key set has them");
      }
      first.add(key.publicKey());
    }
    List<LogKey> trusted = reachable(first);
    Set<String> ids = new HashSet<>();
    trusted.forEach(each -> ids.add(each.key().id()));
    Map<String, PublishedKey> reached = new LinkedHashMap<>(byId);
    reached.keySet().retainAll(ids);
    return new KeySet(reached, trusted, rest);
  }

  /** Whether the set has the key, by whatever name. */
  boolean has(VerifierKey key) {
    return logKeys.stream().anyMatch(each -> Arrays.equals(each.key().publicKey(), key.publicKey()));
  }

  private List<LogKey> reachable(List<byte[]> first) {
    List<LogKey> trusted = withKeys(List.of(), first);
    while (true) {
      List<byte[]> reached = new ArrayList<>();
      for (Handover handover : rest.handovers) {
        if (handover.holds(logKeys, trusted)) {
          reached.add(handover.to().publicKey());
        }
      }
      List<LogKey> more = withKeys(trusted, reached);
      if (more.size() == trusted.size()) {
        return trusted;
      }
      trusted = more;
    }
  }

  private List<LogKey> withKeys(List<LogKey> trusted, List<byte[]> publicKeys) {
    return logKeys.stream()
        .filter(
            each ->
                trusted.contains(each)
                    || publicKeys.stream().anyMatch(key -> Arrays.equals(key, each.key().publicKey())))
        .toList();
  }

  Set<String> ids() {
    return byId.keySet();
  }

  Optional<PublishedKey> find(String keyId) {
    return Optional.ofNullable(byId.get(keyId));
  }

  /** Says that a key is not in the set, and whether others could not be read. */
  String noSuchKey() {
    String others = LogReport.counted(rest.passedOver, "key", "keys");
    return "no such key of this tenant in the keys file"
        + (rest.passedOver == 0 ? "" : ", which has " + others + " of a kind that is unknown here");
  }

  List<Handover> handovers() {
    return rest.handovers;
  }

  /** Handovers in this log that were not used. */
  List<UnprovenEntry> unused(String origin) {
    return rest.unused.stream().filter(each -> each.origin().equals(origin)).toList();
  }

  /** The head at which this log ended, if it did. */
  Optional<Checkpoint> ended(String origin) {
    return rest.ended.stream().filter(head -> head.origin().equals(origin)).findFirst();
  }

  /** The names of the tenant's logs, in their order. */
  List<String> logs() {
    return logKeys.stream().map(LogKey::name).distinct().toList();
  }

  /** The keys of the tenant by this log's name. */
  List<LogKey> ofLog(String origin) {
    return logKeys.stream().filter(key -> key.name().equals(origin)).toList();
  }

  /** Whether the set says that there are more keys. Spans of the others would look as if they were forged. */
  private static boolean isPage(Map<?, ?> members, int keys) {
    Object token = members.get("next_page_token") != null ? members.get("next_page_token") : members.get("nextPageToken");
    boolean hasTotal = members.get("total_keys") != null || members.containsKey("totalKeys");
    Object total = members.get("total_keys") != null ? members.get("total_keys") : members.get("totalKeys");
    boolean isTotal = total instanceof JsonNumber number && number.nearest() == keys;
    return token != null && !token.equals("") || hasTotal && !isTotal;
  }

  /** Whether the key is of the kind that is read here: of any other, only that it is not a private one. */
  private static boolean isEd25519(Map<String, Object> jwk, String at) {
    for (String secret : SECRETS) {
      if (jwk.containsKey(secret)) {
        throw new KeySetException(
            at
                + " HAS A PRIVATE KEY ("
                + secret
                + "): whoever has read this file can sign with it. Replace the key, destroy the file, and verify by"
                + " public keys");
      }
    }
    return JsonMembers.text(jwk.get("kty"), at + ".kty").equals("OKP")
        && JsonMembers.text(jwk.get("crv"), at + ".crv").equals("Ed25519");
  }

  private static PublishedKey key(Map<?, ?> jwk, String at) {
    byte[] publicKey = publicKey(jwk, at);
    if (!(jwk.get("kid") instanceof String id) || id.isEmpty()) {
      throw new KeySetException(at + ".kid is missing");
    }
    return new PublishedKey(
        id,
        publicKey,
        state(jwk.get("state"), at),
        date(jwk.get("compromised_at"), at + ".compromised_at"),
        date(jwk.get("valid_from"), at + ".valid_from"),
        date(jwk.get("valid_until"), at + ".valid_until"));
  }

  /** An Ed25519 public key that is for signatures, as RFC 8037 and RFC 7517 have it. */
  private static byte[] publicKey(Map<?, ?> jwk, String at) {
    if (jwk.containsKey("alg") && (jwk.get("alg") == null || !ALGORITHMS.contains(jwk.get("alg")))) {
      throw new KeySetException(at + ".alg must be one of EdDSA, Ed25519, or left out");
    }
    if (jwk.containsKey("use") && !"sig".equals(jwk.get("use"))) {
      throw new KeySetException(at + ".use must be sig, or left out");
    }
    if (jwk.containsKey("key_ops") && !List.of("verify").equals(jwk.get("key_ops"))) {
      throw new KeySetException(at + ".key_ops must be [\"verify\"], or left out");
    }
    byte[] publicKey = jwk.get("x") instanceof String x ? Base64Text.decodeUrl(x) : null;
    if (publicKey == null || publicKey.length != Ed25519.KEY_BYTES) {
      throw new KeySetException(at + ".x must be " + Ed25519.KEY_BYTES + " bytes in base64url, without padding");
    }
    return publicKey;
  }

  private static KeyState state(Object state, String at) {
    for (KeyState known : KeyState.values()) {
      if (known.name().equals(state)) {
        return known;
      }
    }
    throw new KeySetException(at + ".state must be one of " + Arrays.toString(KeyState.values()));
  }

  private static String name(Object vkey, PublishedKey of, String at) {
    VerifierKey key = VerifierKey.parse(JsonMembers.text(vkey, at));
    if (key == null || !Arrays.equals(key.publicKey(), of.publicKey())) {
      throw new KeySetException(at + " must be a verifier key of the same key");
    }
    return key.name();
  }

  private static Checkpoint head(Object value, String at) {
    Map<String, Object> head = JsonMembers.object(value, at);
    byte[] root = JsonMembers.base64(head.get("root"), at + ".root");
    if (root.length != Sha256.BYTES) {
      throw new KeySetException(at + ".root must be " + Sha256.BYTES + " bytes");
    }
    return new Checkpoint(
        JsonMembers.text(head.get("origin"), at + ".origin"), JsonMembers.index(head.get("size"), at + ".size"), root);
  }

  private static void each(Object list, String at, BiConsumer<Object, String> read) {
    List<?> items = JsonMembers.list(list, at);
    for (int i = 0; i < items.size(); i++) {
      read.accept(items.get(i), at + "[" + i + "]");
    }
  }

  /** Releases of 0.1 list a handover that was not used among the others, with an empty proof. */
  private static void readHandover(Object value, String at, List<Handover> used, List<UnprovenEntry> unused) {
    Map<String, Object> members = JsonMembers.object(value, at);
    byte[] entry = JsonMembers.base64(members.get("entry"), at + ".entry");
    String proof = JsonMembers.text(members.get("proof"), at + ".proof");
    if (proof.isEmpty()) {
      unused.add(unusedHandover(value, at));
      return;
    }
    Handover handover = Handover.parse(entry, proof);
    if (handover == null) {
      throw new KeySetException(at + " is not a handover's entry and its log proof");
    }
    used.add(handover);
  }

  private static UnprovenEntry unusedHandover(Object value, String at) {
    Map<String, Object> members = JsonMembers.object(value, at);
    byte[] entry = JsonMembers.base64(members.get("entry"), at + ".entry");
    if (Handover.parseEntry(entry) == null) {
      throw new KeySetException(at + " is not a handover's entry");
    }
    return new UnprovenEntry(
        JsonMembers.text(members.get("origin"), at + ".origin"),
        JsonMembers.index(members.get("leaf_index"), at + ".leaf_index"),
        Merkle.leaf(entry));
  }

  /** A time, cut to the millisecond, as the service keeps times. */
  private static Instant date(Object value, String at) {
    if (value == null) {
      return null;
    }
    String canonical =
        value instanceof String text ? SignedAt.canonical(PAST_MILLISECONDS.matcher(text).replaceAll("$1")) : null;
    if (canonical == null) {
      throw new KeySetException(at + " must be a date of RFC 3339 in UTC, or null");
    }
    return SignedAt.parse(canonical);
  }
}

package dev.fluo.kms.verify;

import dev.fluo.kms.verify.Evidence.LogProof;
import dev.fluo.kms.verify.Evidence.SignedStatement;
import dev.fluo.kms.verify.Integrity.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Verifies spans by a tenant's published keys, without a service. What is not canonical, unknown or there twice does
 * not verify: what was not signed must not look signed. Immutable; may be shared between threads.
 *
 * <p>Where several reasons hold, the first of this order is given. Of a signature: form ({@code MALFORMED}); tenant and
 * key ({@code UNKNOWN_KEY}); a key that never became active ({@code KEY_STATE}); the signature ({@code
 * SIGNATURE_MISMATCH}); the span ({@code SPAN_MISMATCH}); compromise ({@code KEY_COMPROMISED}); the key's times ({@code
 * KEY_STATE}). Of a log proof: form; tenant, log and key; a key that never became active; the checkpoint's signature and
 * the path ({@code PROOF_INVALID}); the span; compromise.
 */
public final class Verifier {
  private static final String ALGORITHM = "EdDSA";
  private static final Pattern KEY_ID = Pattern.compile("[0-9a-f]{32}");

  private final KeySet keys;

  /** The spans of a batch share their checkpoint, whose signatures are checked once. */
  private volatile Checked lastChecked = new Checked("", null);

  /** @param signers null where a signature does not hold */
  private record Checked(String note, List<LogKey> signers) {}

  /** @param keys the tenant's keys */
  public Verifier(KeySet keys) {
    this.keys = keys;
  }

  /**
   * Verifies a span by the attributes on it.
   *
   * @param tenant who must have signed
   * @param resource OTLP's Resource in protobuf; empty where there is none
   * @param scope OTLP's InstrumentationScope in protobuf; empty where there is none
   * @param span OTLP's Span
   */
  public Verdict verify(String tenant, byte[] resource, byte[] scope, byte[] span) {
    return verify(tenant, resource, scope, span, null);
  }

  /**
   * Verifies a span by evidence beside it.
   *
   * @param tenant who must have signed
   * @param resource OTLP's Resource in protobuf; empty where there is none
   * @param scope OTLP's InstrumentationScope in protobuf; empty where there is none
   * @param span OTLP's Span
   * @param evidence null: the attributes on the span
   */
  public Verdict verify(String tenant, byte[] resource, byte[] scope, byte[] span, Evidence evidence) {
    ReadSpan read;
    try {
      read = ResourceSpansReader.read(resource, scope, span);
    } catch (Malformed e) {
      return Verdict.malformed(e.getMessage());
    }
    return judge(tenant, read, evidence).verdict();
  }

  /**
   * Verifies each span of an OTLP trace export, whoever signed: see {@link #verifyExport(byte[], String)}.
   *
   * @throws NotAnExportException if the bytes are no such export
   */
  public List<Verdict> verifyExport(byte[] export) {
    return verifyExport(export, null);
  }

  /**
   * Verifies each span of an OTLP trace export: protobuf, JSON, or JSON lines, ids in hex or base64. Returns a verdict
   * for each span in order; one for a whole ResourceSpans whose spans cannot be told apart.
   *
   * @param tenant who must have signed; null: whom each span names
   * @throws NotAnExportException if the bytes are no such export
   */
  public List<Verdict> verifyExport(byte[] export, String tenant) {
    return judge(export, tenant).stream().map(Judged::verdict).toList();
  }

  /**
   * Verifies that the spans of an OTLP trace export are all of their logs', unchanged and in order, from the first to
   * the last: what the proof of a span cannot tell of the others.
   *
   * @throws NotAnExportException if the bytes are no such export
   * @throws LogException if the key set names no log, if a kept checkpoint is none or no key of the set signed it, and
   *     if the spans are of several logs and the options say from where or to where
   */
  public LogReport verifyLog(byte[] export, LogOptions options) {
    return LogVerifier.verify(keys, judge(export, options.tenant()), options);
  }

  List<Judged> judge(byte[] export, String tenant) {
    List<Judged> judged = new ArrayList<>();
    ResourceSpansReader.Spans each =
        new ResourceSpansReader.Spans() {
          @Override
          public void span(ReadSpan span) {
            String owner = tenant != null ? tenant : span.integrity().getOrEmpty(Field.TENANT);
            judged.add(judge(owner, span, null));
          }

          @Override
          public void unreadable(Malformed why) {
            judged.add(Judged.unreadable(why));
          }
        };
    SpanFile.read(export, each);
    return judged;
  }

  private Judged judge(String tenant, ReadSpan span, Evidence evidence) {
    return verdict(tenant, span, evidence).about(span);
  }

  private Judged verdict(String tenant, ReadSpan span, Evidence evidence) {
    if (evidence instanceof LogProof proof) {
      return byLogProof(tenant, span, proof);
    }
    if (evidence instanceof SignedStatement signed) {
      return Judged.apart(byStatement(tenant, span, signed));
    }
    return TreeProof.FORMAT.equals(span.integrity().get(Field.ALGORITHM))
        ? byLogAttributes(tenant, span)
        : Judged.apart(byAttributes(tenant, span));
  }

  /** Only attributes are given: the statement is rebuilt from span and attributes, so that any change breaks it. */
  private Verdict byAttributes(String tenant, ReadSpan span) {
    Integrity integrity = span.integrity();
    if (!ALGORITHM.equals(integrity.get(Field.ALGORITHM))) {
      return malformed(integrity, Field.ALGORITHM);
    }
    byte[] signature = Base64Text.decode(integrity.getOrEmpty(Field.VALUE));
    if (signature == null || signature.length != Ed25519.SIGNATURE_BYTES) {
      return malformed(integrity, Field.VALUE);
    }
    String keyId = integrity.get(Field.KEY_ID);
    if (keyId == null || !KEY_ID.matcher(keyId).matches()) {
      return malformed(integrity, Field.KEY_ID);
    }
    String signedAt = SignedAt.canonical(integrity.getOrEmpty(Field.SIGNED_AT));
    Verdict refusal = refusal(tenant, integrity, keyId, signedAt);
    if (refusal != null) {
      return refusal;
    }
    Statement statement =
        new Statement(keyId, signedAt, tenant, span.digest(), span.traceId(), span.spanId());
    return bySignature(statement, statement.bytes(), signature, true, span.lacks());
  }

  /** Judges what both kinds of attributes say of time and tenant. Returns null where it is in order. */
  private static Verdict refusal(String tenant, Integrity integrity, String keyId, String signedAt) {
    if (signedAt == null) {
      return malformed(integrity, Field.SIGNED_AT);
    }
    String signer = integrity.get(Field.TENANT);
    if (signer == null) {
      return malformed(integrity, Field.TENANT);
    }
    return signer.equals(tenant)
        ? null
        : Verdict.of(Reason.UNKNOWN_KEY).byKey(keyId, null).at(signedAt).saying(Integrity.namesAnotherTenant());
  }

  /** The statement is given: it must be the canonical text, and then be about this span. */
  private Verdict byStatement(String tenant, ReadSpan span, SignedStatement signed) {
    Statement statement = Statement.parseSigned(signed.statement());
    if (statement == null) {
      return Verdict.malformed("the statement must be the exact text that SignSpan returned");
    }
    if (signed.signature().length != Ed25519.SIGNATURE_BYTES) {
      return Verdict.malformed("the signature must have " + Ed25519.SIGNATURE_BYTES + " bytes");
    }
    if (!statement.tenant().equals(tenant)) {
      return Verdict.of(Reason.UNKNOWN_KEY)
          .byKey(statement.keyId(), null)
          .at(statement.signedAt())
          .saying("the statement names another tenant");
    }
    boolean matches = isAbout(statement, span);
    return bySignature(statement, signed.statement(), signed.signature(), matches, matches ? "" : span.lacks());
  }

  private Verdict bySignature(
      Statement statement, byte[] bytes, byte[] signature, boolean matches, String lacks) {
    String signedAt = statement.signedAt();
    Optional<PublishedKey> found = keys.find(statement.keyId());
    if (found.isEmpty()) {
      return Verdict.of(Reason.UNKNOWN_KEY).byKey(statement.keyId(), null).at(signedAt).saying(keys.noSuchKey());
    }
    PublishedKey key = found.get();
    Reason reason = key.reason();
    if (reason != Reason.KEY_STATE) {
      if (!Ed25519.verifies(key.publicKey(), signature, Statement.encodingHead(bytes.length), bytes)) {
        reason = Reason.SIGNATURE_MISMATCH;
      } else if (!matches) {
        reason = Reason.SPAN_MISMATCH;
      } else if (reason == Reason.OK && !key.wasValid(SignedAt.parse(signedAt))) {
        reason = Reason.KEY_STATE;
      }
    }
    return Verdict.of(reason).byKey(key.id(), key.state()).at(signedAt).saying(mismatch(reason, lacks));
  }

  private Judged byLogAttributes(String tenant, ReadSpan span) {
    Integrity integrity = span.integrity();
    TreeProof proof = proofOf(Base64Text.decode(integrity.getOrEmpty(Field.VALUE)));
    if (proof == null) {
      return Judged.apart(malformed(integrity, Field.VALUE));
    }
    if (integrity.get(Field.KEY_ID) != null) {
      return Judged.apart(malformed(integrity, Field.KEY_ID));
    }
    String signedAt = SignedAt.canonical(integrity.getOrEmpty(Field.SIGNED_AT));
    Verdict refusal = refusal(tenant, integrity, null, signedAt);
    if (refusal != null) {
      return Judged.apart(refusal);
    }
    Statement statement =
        new Statement(null, signedAt, tenant, span.digest(), span.traceId(), span.spanId());
    return byProof(signedAt, proof, Merkle.leaf(statement.bytes()), true, span.lacks());
  }

  private Judged byLogProof(String tenant, ReadSpan span, LogProof given) {
    Statement statement = Statement.parseLogged(given.statement());
    TreeProof proof = TreeProof.parse(given.proof());
    if (statement == null) {
      return Judged.apart(Verdict.malformed("the statement must be the exact text of the log's entry"));
    }
    if (proof == null) {
      return Judged.apart(Verdict.malformed("the proof must be the text of a tlog-proof"));
    }
    if (!statement.tenant().equals(tenant)) {
      return Judged.apart(
          Verdict.of(Reason.UNKNOWN_KEY).at(statement.signedAt()).saying("the statement names another tenant"));
    }
    boolean matches = isAbout(statement, span);
    byte[] leaf = Merkle.leaf(given.statement());
    return byProof(statement.signedAt(), proof, leaf, matches, matches ? "" : span.lacks());
  }

  private Judged byProof(String signedAt, TreeProof proof, byte[] leaf, boolean matches, String lacks) {
    List<LogKey> signers = signers(proof);
    Verdict verdict =
        signers == null
            ? Verdict.of(Reason.PROOF_INVALID).saying("a signature of the proof's checkpoint does not hold")
            : bySigners(signers, proof, proof.proves(leaf), matches, lacks);
    return new Judged(verdict.at(signedAt).in(proof), false, new Judged.Place(proof, leaf, signers));
  }

  private Verdict bySigners(
      List<LogKey> signers, TreeProof proof, boolean isIncluded, boolean matches, String lacks) {
    Verdict first = null;
    for (LogKey signer : signers) {
      Reason reason = reason(signer, proof, isIncluded, matches);
      Verdict verdict =
          Verdict.of(reason).byKey(signer.key().id(), signer.key().state()).saying(mismatch(reason, lacks));
      if (verdict.verified()) {
        return verdict;
      }
      first = first == null ? verdict : first;
    }
    return first != null ? first : Verdict.of(Reason.UNKNOWN_KEY).saying(keys.noSuchKey());
  }

  private List<LogKey> signers(TreeProof proof) {
    Checked checked = lastChecked;
    if (!checked.note.equals(proof.note().whole())) {
      List<LogKey> signers = proof.note().signers(keys.ofLog(proof.checkpoint().origin()));
      checked = new Checked(proof.note().whole(), signers);
      lastChecked = checked;
    }
    return checked.signers;
  }

  /** The reason by one of the keys that signed. When a key was in use means nothing: a later checkpoint proves an earlier entry. */
  private static Reason reason(LogKey signer, TreeProof proof, boolean isIncluded, boolean matches) {
    Reason ofKey = signer.key().reason();
    if (ofKey == Reason.KEY_STATE) {
      return ofKey;
    }
    if (!isIncluded) {
      return Reason.PROOF_INVALID;
    }
    if (!matches) {
      return Reason.SPAN_MISMATCH;
    }
    // The head that was recorded when the key was marked proves what the key alone no longer does.
    boolean isRecorded = signer.compromisedLog() != null && signer.compromisedLog().isSame(proof.checkpoint());
    return isRecorded ? Reason.OK : ofKey;
  }

  private static boolean isAbout(Statement statement, ReadSpan span) {
    return statement.digest().equals(span.digest())
        && statement.traceId().equals(span.traceId())
        && statement.spanId().equals(span.spanId());
  }

  private static Verdict malformed(Integrity integrity, Field field) {
    return Verdict.malformed(integrity.wrong(field));
  }

  /** Returns what to say where span and evidence differ, as they do if less of the span is given; null otherwise. */
  private static String mismatch(Reason reason, String lacks) {
    boolean differs =
        reason == Reason.SIGNATURE_MISMATCH || reason == Reason.SPAN_MISMATCH || reason == Reason.PROOF_INVALID;
    if (!differs) {
      return null;
    }
    String more = "; if it was signed with a " + lacks + ", give that too, as it was then";
    return reason.explanation() + (lacks.isEmpty() ? "" : more);
  }

  private static TreeProof proofOf(byte[] bytes) {
    String text = bytes == null ? null : Utf8.decode(bytes);
    return text == null ? null : TreeProof.parse(text);
  }
}

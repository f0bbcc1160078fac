package dev.fluo.kms.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import dev.fluo.kms.v1.LogProof;
import dev.fluo.kms.v1.SignedStatement;
import dev.fluo.kms.verify.Evidence;
import dev.fluo.kms.verify.KeySet;
import dev.fluo.kms.verify.KeySetException;
import dev.fluo.kms.verify.LogException;
import dev.fluo.kms.verify.LogOptions;
import dev.fluo.kms.verify.NotAnExportException;
import dev.fluo.kms.verify.Verdict;
import dev.fluo.kms.verify.Verifier;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** {@code judge}: what this client says of cases, against what the service says. */
final class Judge {
  private final Map<String, KeySet> keySets = new HashMap<>();
  private final Checks checks;

  private Judge(Checks checks) {
    this.checks = checks;
  }

  static void run(World world, Checks checks) throws IOException {
    Judge judge = new Judge(checks);
    try (BufferedReader lines = Files.newBufferedReader(world.path("cases"))) {
      int number = 0;
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        number++;
        if (!line.isBlank()) {
          World each = new World(JsonParser.parseString(line).getAsJsonObject());
          checks.step("line " + number, () -> judge.judge(each));
        }
      }
    }
  }

  private void judge(World line) throws IOException {
    if (line.has("refused")) {
      refused(line);
    } else if (line.has("jwks")) {
      keySets.put(line.text("keySet"), keySet(line));
      checks.that(true, "key set", "");
    } else if (line.has("request")) {
      Verdict verdict = verdict(keys(line), line.base64("request"));
      checks.equal(line.members().get("want"), wordsOf(verdict), "request");
    } else if (line.has("log")) {
      checks.equal(line.members().get("want"), log(line), "log");
    } else {
      export(line);
    }
  }

  /** What the command says in JSON, without messages; or why the logs cannot be verified. */
  private JsonElement log(World line) {
    World asked = line.object("log");
    LogOptions options = new LogOptions().withTenant(line.textOr("tenant", null));
    if (asked.has("checkpoints")) {
      List<String> texts = asked.texts("checkpoints");
      for (int i = 0; i < texts.size(); i++) {
        options = options.withCheckpoint("checkpoint-" + i, texts.get(i));
      }
    }
    options = asked.has("from") ? options.withFrom(asked.members().get("from").getAsLong()) : options;
    options = asked.has("to") ? options.withTo(asked.members().get("to").getAsLong()) : options;
    boolean anyOrder = asked.has("anyOrder") && asked.members().get("anyOrder").getAsBoolean();
    try {
      return LogWords.of(keys(line).verifyLog(line.base64("export"), anyOrder ? options.withAnyOrder() : options));
    } catch (NotAnExportException e) {
      return new JsonPrimitive("unreadable");
    } catch (LogException e) {
      return new JsonPrimitive("refused");
    }
  }

  private void refused(World line) {
    try {
      keySet(line);
      checks.that(false, "key set", "is taken, and must be refused");
    } catch (KeySetException e) {
      checks.that(true, "key set", "");
    }
  }

  private static KeySet keySet(World line) {
    KeySet keys = KeySet.parse(line.text("jwks"));
    return line.has("vkeys") ? keys.trusting(line.texts("vkeys")) : keys;
  }

  private Verifier keys(World line) {
    return new Verifier(keySets.get(line.text("keySet")));
  }

  private void export(World line) {
    byte[] export = line.has("json") ? line.text("json").getBytes(StandardCharsets.UTF_8) : line.base64("export");
    JsonElement wanted = line.members().get("want");
    JsonElement found;
    try {
      List<Verdict> verdicts = keys(line).verifyExport(export, line.textOr("tenant", null));
      JsonArray words = new JsonArray();
      verdicts.forEach(verdict -> words.add(wordsOf(verdict)));
      found = words;
    } catch (NotAnExportException e) {
      found = new JsonPrimitive("unreadable");
    }
    checks.equal(wanted, found, "export");
  }

  /** What lies in span, resource and scope may be wrong in any way: it is taken as bytes. */
  private static Verdict verdict(Verifier verifier, byte[] request) throws IOException {
    byte[][] fields = new byte[7][0];
    boolean[] isThere = new boolean[7];
    CodedInputStream in = CodedInputStream.newInstance(request);
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      int number = WireFormat.getTagFieldNumber(tag);
      fields[number] = in.readByteArray();
      isThere[number] = true;
    }
    Evidence evidence = null;
    if (isThere[5]) {
      SignedStatement signed = SignedStatement.parseFrom(fields[5]);
      evidence =
          new Evidence.SignedStatement(signed.getStatement().toByteArray(), signed.getSignature().toByteArray());
    }
    if (isThere[6]) {
      LogProof proof = LogProof.parseFrom(fields[6]);
      evidence = new Evidence.LogProof(proof.getStatement().toByteArray(), proof.getProof());
    }
    String tenant = new String(fields[1], StandardCharsets.UTF_8);
    return verifier.verify(tenant, fields[3], fields[4], fields[2], evidence);
  }

  private static JsonObject wordsOf(Verdict verdict) {
    JsonObject words = new JsonObject();
    words.addProperty("reason", verdict.reason().name());
    verdict.traceId().ifPresent(id -> words.addProperty("traceId", id));
    verdict.spanId().ifPresent(id -> words.addProperty("spanId", id));
    verdict.keyId().ifPresent(id -> words.addProperty("keyId", id));
    verdict.keyState().ifPresent(state -> words.addProperty("keyState", state.name()));
    verdict.signedAt().ifPresent(time -> words.addProperty("signedAt", time));
    verdict.log().ifPresent(log -> words.addProperty("log", log));
    verdict.leafIndex().ifPresent(index -> words.addProperty("leafIndex", index));
    return words;
  }
}

package dev.fluo.kms.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.fluo.kms.Vectors;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MainTest {
  @TempDir Path folder;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  @Test
  void exitsWith0WhenAllSpansVerify() throws Exception {
    assertEquals(0, run("--keys", keys(), spans()));
    assertTrue(printed().matches("(?s)span +verdict  signed at +key +state   log\n.*"), printed());
    assertTrue(
        printed().contains("  OK       " + Signer.SIGNED_AT + "  " + Signer.KEY_ID + "  ACTIVE\n"), printed());
    String closing =
        "The following checks were performed: each span's signature or log proof; the state of each key.\n"
            + "Not shown: that what a span says is true; spans never sent or sampled away; whether spans are missing; "
            + "whose the keys are.\n";
    assertTrue(printed().matches("(?s).*\n(\\d+) of \\1 verified\n" + Pattern.quote(closing)), printed());
  }

  @Test
  void exitsWith1WhenOneDoesNotAndWhenThereIsNone() throws Exception {
    assertEquals(1, run("--keys=" + keys(), "--tenant", "other", spans()));
    assertTrue(printed().contains("UNKNOWN_KEY  audit.integrity.tenant names another tenant"), printed());
    Path none = Files.write(folder.resolve("none"), new byte[0]);
    out.reset();
    assertEquals(1, run("--keys", keys(), none.toString()));
    assertEquals("there are no spans in the file\n", printed());
  }

  @Test
  void printsJson() throws Exception {
    assertEquals(0, run("--json", "--keys", keys(), spans()));
    JsonObject printed = JsonParser.parseString(printed()).getAsJsonObject();
    assertEquals(0, printed.get("failed").getAsInt());
    JsonObject span = printed.getAsJsonArray("spans").get(0).getAsJsonObject();
    assertEquals(Signer.KEY_ID, Vectors.text(span, "key_id"));
    assertTrue(span.get("verified").getAsBoolean());
  }

  @Test
  void printsHelp() throws Exception {
    assertEquals(0, run("--help"));
    assertTrue(printed().contains("  --any-order  "), printed());
  }

  @Test
  void exitsWith2ForWrongUsage() throws Exception {
    assertEquals(2, run(spans()));
    assertEquals(2, run("--keys", keys()));
    assertEquals(2, run("--keys", keys(), "--from", "1", spans()));
    assertEquals(2, run("--keys", keys(), "--log", "--from", "01", spans()));
    assertEquals(2, run("--keys", keys(), "--log", "--from", "7", "--to", "7", spans()));
    assertEquals(2, run("--keys", keys(), "--log", "--checkpoint", "absent", spans()));
    assertEquals(2, run("--keys", keys(), "--any-order", spans()));
    assertEquals(1, run("--keys", keys(), "--log", spans()));
    assertEquals(2, run("--keys", folder.resolve("absent").toString(), spans()));
    assertEquals(2, run("--keys", keys(), "--vkey", "x", spans()));
    assertEquals(1, run("--keys", spans(), spans()));
    String vkey = Vectors.text(Signer.vectors().getAsJsonObject("vkey"), "text");
    assertEquals(1, run("--keys", keys(), "--vkey", vkey, spans()));
  }

  private int run(String... arguments) {
    PrintStream stream = new PrintStream(out, true, StandardCharsets.UTF_8);
    PrintStream ignored = new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8);
    return Main.run(arguments, stream, ignored);
  }

  private String printed() {
    return out.toString(StandardCharsets.UTF_8);
  }

  private String keys() throws Exception {
    String jwks = "{\"keys\":[" + Signer.jwk(",\"state\":\"ACTIVE\"") + "]}";
    return Files.writeString(folder.resolve("keys.json"), jwks).toString();
  }

  private String spans() throws Exception {
    byte[] export = Vectors.hex(Vectors.read("span/exported.json").getAsJsonObject(), "protobuf");
    return Files.write(folder.resolve("spans"), export).toString();
  }
}

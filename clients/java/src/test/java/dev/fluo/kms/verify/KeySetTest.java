package dev.fluo.kms.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.fluo.kms.Vectors;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class KeySetTest {
  private static final String ACTIVE = ",\"state\":\"ACTIVE\"";

  @Test
  void takesAKeyAndItsNameInALog() throws Exception {
    String vkey = vkey();
    KeySet keys = Signer.keys(ACTIVE + ",\"alg\":\"EdDSA\",\"use\":\"sig\",\"vkeys\":[\"" + vkey + "\"]");
    assertTrue(keys.find(Signer.KEY_ID).isPresent());
    assertTrue(keys.trusting(List.of(vkey)).find(Signer.KEY_ID).isPresent());
    assertTrue(Signer.active().trusting(List.of(vkey)).find(Signer.KEY_ID).isEmpty());
    assertThrows(KeySetException.class, () -> keys.trusting(List.of("kms.example.com/acme")));
  }

  @TestFactory
  Stream<DynamicTest> readsEachKeySetOfTheVectorsAndRefusesTheOthers() throws Exception {
    return Vectors.elements(Vectors.read("span/key-sets.json").getAsJsonArray())
        .map(vector -> DynamicTest.dynamicTest(Vectors.text(vector, "name"), () -> judge(vector)));
  }

  private static void judge(JsonObject vector) {
    String text = Vectors.text(vector, "text");
    if (vector.get("keyIds").isJsonNull()) {
      assertThrows(KeySetException.class, () -> KeySet.parse(text));
      return;
    }
    List<String> wanted = vector.getAsJsonArray("keyIds").asList().stream().map(JsonElement::getAsString).toList();
    assertEquals(wanted, List.copyOf(KeySet.parse(text).ids()));
  }

  @Test
  void namesTheMemberThatIsWrong() throws Exception {
    Map<String, String> wrong =
        Map.ofEntries(
            Map.entry(ACTIVE + ",\"d\":\"AAAA\"", "PRIVATE KEY"),
            Map.entry(ACTIVE + ",\"alg\":\"RS256\"", ".alg"),
            Map.entry(ACTIVE + ",\"use\":\"enc\"", ".use"),
            Map.entry(ACTIVE + ",\"key_ops\":[\"sign\"]", ".key_ops"),
            Map.entry(ACTIVE + ",\"kid\":\"x\"", "kid"),
            Map.entry(",\"state\":\"active\"", ".state"),
            Map.entry("", ".state"),
            Map.entry(ACTIVE + ",\"valid_from\":\"yesterday\"", ".valid_from"),
            Map.entry(ACTIVE + ",\"valid_until\":\"2026-02-30T00:00:00Z\"", ".valid_until"),
            Map.entry(ACTIVE + ",\"compromised_at\":5", ".compromised_at"),
            Map.entry(ACTIVE + ",\"vkeys\":{}", ".vkeys"),
            Map.entry(ACTIVE + ",\"vkeys\":[\"" + vkey().replace("+d", "+e") + "\"]", ".vkeys[0]"),
            Map.entry(ACTIVE + ",\"compromised_log\":{\"origin\":\"a\",\"size\":-1,\"root\":\"\"}", ".compromised_log"));
    for (Map.Entry<String, String> each : wrong.entrySet()) {
      KeySetException error = assertThrows(KeySetException.class, () -> Signer.keys(each.getKey()), each.getKey());
      assertTrue(error.getMessage().contains(each.getValue()), error.getMessage());
    }
  }

  @Test
  void refusesWhatIsNoWholeKeySet() throws Exception {
    String key = Signer.jwk(ACTIVE);
    for (String text :
        List.of(
            "",
            "[]",
            "{}",
            "{\"keys\":{}}",
            "{\"keys\":[" + key + "," + key + "]}",
            "{\"keys\":[" + key + "],\"keys\":[]}",
            "{\"keys\":[" + key + "],\"next_page_token\":\"x\"}",
            "{\"keys\":[" + key + "],\"totalKeys\":2}",
            "{\"keys\":[" + key + "],\"handovers\":[{}]}",
            "{\"keys\":[" + key.replace("\"x\":\"A", "\"x\":\"+") + "]}",
            "{'keys':[]}",
            "{\"keys\":[]} {}",
            "// none\n{\"keys\":[]}")) {
      assertThrows(KeySetException.class, () -> KeySet.parse(text), text);
    }
    assertTrue(KeySet.parse("{\"keys\":[" + key + "],\"next_page_token\":\"\"}").find(Signer.KEY_ID).isPresent());
  }

  private static String vkey() throws Exception {
    JsonObject vectors = Signer.vectors();
    return Vectors.text(vectors.getAsJsonObject("vkey"), "text");
  }
}

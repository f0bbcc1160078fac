package dev.fluo.kms.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.fluo.kms.Vectors;
import org.junit.jupiter.api.Test;

class SignedAtTest {
  @Test
  void givesTheCanonicalFormOfWhatPrintersWrite() throws Exception {
    for (JsonElement each : vectors("accepted")) {
      JsonObject vector = each.getAsJsonObject();
      assertEquals(Vectors.text(vector, "canonical"), SignedAt.canonical(Vectors.text(vector, "spelling")));
    }
  }

  @Test
  void refusesAllElse() throws Exception {
    for (JsonElement each : vectors("refused")) {
      JsonObject vector = each.getAsJsonObject();
      assertNull(SignedAt.canonical(Vectors.text(vector, "spelling")), Vectors.text(vector, "what"));
    }
  }

  private static com.google.gson.JsonArray vectors(String kind) throws Exception {
    return Vectors.read("signed-at/vectors.json").getAsJsonObject().getAsJsonArray(kind);
  }
}

package dev.fluo.kms;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HexFormat;
import java.util.stream.Stream;

/** The repository's fixed vectors. */
public final class Vectors {
  private static final Path FOLDER = Path.of("../../test/vectors");

  private Vectors() {}

  public static JsonElement read(String name) throws IOException {
    return JsonParser.parseString(Files.readString(FOLDER.resolve(name)));
  }

  /** A file of Wycheproof's, which may not be there. */
  public static Path wycheproof(String name) {
    String folder = System.getenv("WYCHEPROOF");
    return Path.of(folder == null ? "../../../shared/vectors/wycheproof" : folder).resolve(name);
  }

  public static byte[] hex(JsonObject members, String name) {
    return HexFormat.of().parseHex(members.get(name).getAsString());
  }

  public static byte[] base64(JsonObject members, String name) {
    return Base64.getDecoder().decode(members.get(name).getAsString());
  }

  public static String text(JsonObject members, String name) {
    return members.get(name).getAsString();
  }

  public static Stream<JsonObject> elements(JsonArray array) {
    return array.asList().stream().map(JsonElement::getAsJsonObject);
  }
}

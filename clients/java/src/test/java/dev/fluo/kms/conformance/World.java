package dev.fluo.kms.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.fluo.kms.KmsClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;

/** Members of JSON, typed: of the world that a command is given, and of the files that it names. */
record World(JsonObject members) {
  static World read(Path file) throws IOException {
    return new World(JsonParser.parseString(Files.readString(file)).getAsJsonObject());
  }

  boolean has(String name) {
    return members.has(name) && !members.get(name).isJsonNull();
  }

  String text(String name) {
    return members.get(name).getAsString();
  }

  String textOr(String name, String otherwise) {
    return has(name) ? text(name) : otherwise;
  }

  int number(String name) {
    return members.get(name).getAsInt();
  }

  /** Opens a client of the command's service, without TLS, and with time. */
  KmsClient client() {
    return KmsClient.builder(text("service")).insecure().deadline(Main.PATIENCE).build();
  }

  Path path(String name) {
    return Path.of(text(name));
  }

  byte[] base64(String name) {
    return Base64.getDecoder().decode(text(name));
  }

  World object(String name) {
    return new World(members.getAsJsonObject(name));
  }

  World file(String name) throws IOException {
    return read(path(name));
  }

  List<World> objects(String name) {
    return elements(name).stream().map(each -> new World(each.getAsJsonObject())).collect(Collectors.toList());
  }

  List<String> texts(String name) {
    return elements(name).stream().map(JsonElement::getAsString).collect(Collectors.toList());
  }

  Map<String, String> map(String name) {
    Map<String, String> map = new LinkedHashMap<>();
    members.getAsJsonObject(name).entrySet().forEach(each -> map.put(each.getKey(), each.getValue().getAsString()));
    return map;
  }

  private List<JsonElement> elements(String name) {
    JsonArray array = members.getAsJsonArray(name);
    return StreamSupport.stream(array.spliterator(), false).collect(Collectors.toList());
  }
}

package dev.fluo.kms;

import com.google.protobuf.ByteString;
import dev.fluo.kms.v1.DecryptPiiRequest;
import dev.fluo.kms.v1.DecryptedField;
import dev.fluo.kms.v1.EncryptPiiRequest;
import dev.fluo.kms.v1.EncryptedField;
import dev.fluo.kms.v1.ItemError;
import dev.fluo.kms.v1.PlainField;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Encrypts the components of a record that {@link Pii} marks, with one call a record, and decrypts them again.
 *
 * <pre>{@code
 * record Customer(String id, @Pii("email") String email) {}
 * Customer stored = PiiRecords.encrypt(kms, "acme", customer, Map.of("table", "customers"));
 * }</pre>
 *
 * <p>A string becomes the text of its token, bytes the token's ASCII bytes. Other components, and null, stay as they are.
 * An empty value is encrypted. Calls of the service fail with {@link io.grpc.StatusRuntimeException}.
 */
public final class PiiRecords {
  private static final Pattern PLACE = Pattern.compile("fields\\[([0-9]{1,6})\\]");

  private PiiRecords() {}

  /** {@link #encrypt(Kms, String, Record, Map)} without an encryption context. */
  public static <R extends Record> R encrypt(Kms kms, String tenant, R record) {
    return encrypt(kms, tenant, record, Map.of());
  }

  /**
   * Returns the record with tokens in the place of what is marked.
   *
   * @param context non-secret pairs that must be given again to decrypt: at most 16, and 4 KiB
   * @throws PiiException if the service refuses fields; it names each
   * @throws IllegalArgumentException if the record has no marks, or one on a type that is neither string nor bytes
   */
  public static <R extends Record> R encrypt(
      Kms kms, String tenant, R record, Map<String, String> context) {
    return replaced(record, components -> tokens(kms, tenant, components, context));
  }

  private static List<Object> tokens(
      Kms kms, String tenant, List<MarkedRecord.Component> components, Map<String, String> context) {
    EncryptPiiRequest.Builder request =
        EncryptPiiRequest.newBuilder().setTenantId(tenant).putAllEncryptionContext(context);
    for (MarkedRecord.Component each : components) {
      request.addFields(PlainField.newBuilder().setName(each.name()).setValue(each.bytes()));
    }
    List<EncryptedField> answers = encrypted(kms, request.build(), components);
    requireAll(answers.size(), components.size());
    List<Object> values = new ArrayList<>();
    for (int i = 0; i < answers.size(); i++) {
      String token = answers.get(i).getToken();
      values.add(components.get(i).isText() ? token : token.getBytes(StandardCharsets.US_ASCII));
    }
    return values;
  }

  /** {@link #decrypt(Kms, String, Record, Map)} without an encryption context. */
  public static <R extends Record> R decrypt(Kms kms, String tenant, R record) {
    return decrypt(kms, tenant, record, Map.of());
  }

  /**
   * Returns the record with the values in the place of their tokens.
   *
   * @param context exactly the pairs with which it was encrypted
   * @throws PiiException if the service refuses tokens, or a value is no text in a string; it names each
   * @throws IllegalArgumentException if the record has no marks, or one on a type that is neither string nor bytes
   */
  public static <R extends Record> R decrypt(
      Kms kms, String tenant, R record, Map<String, String> context) {
    return replaced(record, components -> values(kms, tenant, components, context));
  }

  private static List<Object> values(
      Kms kms, String tenant, List<MarkedRecord.Component> components, Map<String, String> context) {
    DecryptPiiRequest.Builder request =
        DecryptPiiRequest.newBuilder().setTenantId(tenant).putAllEncryptionContext(context);
    for (MarkedRecord.Component each : components) {
      String token = each.bytes().toString(StandardCharsets.ISO_8859_1);
      request.addFields(EncryptedField.newBuilder().setName(each.name()).setToken(token));
    }
    List<DecryptedField> answers = kms.decryptPii(request.build()).getFieldsList();
    requireAll(answers.size(), components.size());
    Failures failures = new Failures();
    List<Object> values = new ArrayList<>();
    for (int i = 0; i < answers.size(); i++) {
      DecryptedField answer = answers.get(i);
      MarkedRecord.Component component = components.get(i);
      if (answer.hasError()) {
        ItemError error = answer.getError();
        failures.add(component, Status.fromCodeValue(error.getCode()).getCode(), error.getMessage());
      }
      values.add(component.isText() ? text(component, answer.getValue(), failures) : answer.getValue().toByteArray());
    }
    failures.throwIfAny();
    return values;
  }

  /** Returns the record with its marked values replaced; the record itself, without a call, if all are null. */
  private static <R extends Record> R replaced(R record, Function<List<MarkedRecord.Component>, List<Object>> others) {
    MarkedRecord<R> marked = MarkedRecord.of(record);
    List<MarkedRecord.Component> components = marked.present();
    return components.isEmpty() ? record : marked.with(others.apply(components));
  }

  /** A request that is refused for some of its fields says which; the record's names say more than their places. */
  private static List<EncryptedField> encrypted(
      Kms kms, EncryptPiiRequest request, List<MarkedRecord.Component> components) {
    try {
      return kms.encryptPii(request).getFieldsList();
    } catch (StatusRuntimeException e) {
      Failures failures = new Failures();
      for (ErrorDetails.FieldViolation each : ErrorDetails.of(e).fields()) {
        Matcher place = PLACE.matcher(each.field());
        if (place.lookingAt() && Integer.parseInt(place.group(1)) < components.size()) {
          MarkedRecord.Component component = components.get(Integer.parseInt(place.group(1)));
          failures.add(component, e.getStatus().getCode(), each.description());
        }
      }
      failures.throwIfAny();
      throw e;
    }
  }

  private static String text(MarkedRecord.Component component, ByteString value, Failures failures) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value.toByteArray())).toString();
    } catch (CharacterCodingException e) {
      failures.add(component, Status.Code.INVALID_ARGUMENT, "the value is no text: make the component a byte[]");
      return "";
    }
  }

  /** UTF-8, or IllegalArgumentException: a lone surrogate would come back as another character. */
  static ByteString utf8(String component, String text) {
    try {
      return ByteString.copyFrom(StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text)));
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(component + " is no text: it has half a surrogate pair");
    }
  }

  private static void requireAll(int answers, int fields) {
    if (answers != fields) {
      throw new IllegalStateException("the service answered " + answers + " fields where " + fields + " were asked");
    }
  }

  private static final class Failures {
    private final List<PiiException.Field> fields = new ArrayList<>();

    void add(MarkedRecord.Component component, Status.Code code, String message) {
      fields.add(new PiiException.Field(component.name(), code, message));
    }

    void throwIfAny() {
      if (!fields.isEmpty()) {
        throw new PiiException(fields);
      }
    }
  }
}

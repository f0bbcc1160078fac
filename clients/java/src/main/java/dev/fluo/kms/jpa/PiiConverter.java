package dev.fluo.kms.jpa;

import dev.fluo.kms.Kms;
import dev.fluo.kms.PiiRecords;
import jakarta.persistence.AttributeConverter;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;

/**
 * Keeps a record of personal data in one column, as JSON with a token for each component. One call of the service encrypts
 * a record with all its components, and one opens it.
 *
 * <pre>{@code
 * record Contact(@Pii("email") String email, @Pii("phone") String phone) {}
 *
 * @Converter
 * public class ContactConverter extends PiiConverter<Contact> {
 *   public ContactConverter() {
 *     super(Contact.class, Clients::kms, Tenants::current, Map.of("table", "customers", "column", "contact"));
 *   }
 * }
 *
 * @Convert(converter = ContactConverter.class)
 * @Column(length = 4_000)
 * private Contact contact;
 * }</pre>
 *
 * <p>All components are marked {@code @Pii}, and are a {@code String} or a {@code byte[]}. A null record is a null column; a
 * null component is left out. The record's constructor is called with tokens too, so it must not check values. A token has
 * 4/3 of the bytes of its value and about 125 characters: choose the length of the column for it.
 *
 * <p>Where JPA providers or Spring make converters as beans, the constructor may take the client. Calls block the thread that
 * flushes or loads, and there is one a value: a query of 1,000 rows opens 1,000 records. A token is another each time, so no
 * query finds a value by it, and no index is unique. After a rotation what is stored opens as before.
 *
 * <p>Providers wrap what a converter throws: Hibernate in a {@link jakarta.persistence.PersistenceException}, whose cause is
 * the {@link dev.fluo.kms.PiiException} or the {@link io.grpc.StatusRuntimeException}.
 *
 * <p>Hibernate writes all columns of a changed row: mark the entity {@code @DynamicUpdate}, so that a change of another column
 * does not encrypt the record anew. Its log of level DEBUG prints entities, and records by their {@code toString}: override
 * it. Keep such entities out of the second-level cache, which has records in clear.
 *
 * @param <R> type of the record
 */
public abstract class PiiConverter<R extends Record> implements AttributeConverter<R, String> {
  private final TokenColumn<R> column;
  private final Supplier<? extends Kms> kms;
  private final Supplier<String> tenant;
  private final Map<String, String> context;

  /**
   * Makes a converter.
   *
   * @param type of the record
   * @param kms gives the client, each time a value is converted
   * @param tenant gives the tenant, each time a value is converted: such as that of the request
   * @param context encryption context. Name the table and the column in it: a value that is moved to another opens no more
   * @throws IllegalArgumentException if there is no component, or one that is not marked, has the mark of another, or is
   *     neither string nor bytes
   */
  protected PiiConverter(
      Class<R> type, Supplier<? extends Kms> kms, Supplier<String> tenant, Map<String, String> context) {
    this.column = new TokenColumn<>(type);
    this.kms = Objects.requireNonNull(kms, "kms");
    this.tenant = Objects.requireNonNull(tenant, "tenant");
    this.context = Map.copyOf(context);
  }

  /**
   * Encrypts a record.
   *
   * @throws dev.fluo.kms.PiiException if the service refuses fields; it names each
   */
  @Override
  public final String convertToDatabaseColumn(R attribute) {
    return attribute == null ? null : column.write(PiiRecords.encrypt(kms.get(), tenant.get(), attribute, context));
  }

  /**
   * Opens a record.
   *
   * @throws dev.fluo.kms.PiiException if tokens do not open; it names each
   * @throws IllegalArgumentException if the column holds no such JSON
   */
  @Override
  public final R convertToEntityAttribute(String dbData) {
    return dbData == null ? null : PiiRecords.decrypt(kms.get(), tenant.get(), column.read(dbData), context);
  }
}

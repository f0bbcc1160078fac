package dev.fluo.kms.jpa;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.fluo.kms.Kms;
import dev.fluo.kms.KmsClient;
import dev.fluo.kms.Pii;
import dev.fluo.kms.PiiException;
import dev.fluo.kms.TestService;
import dev.fluo.kms.v1.DecryptPiiRequest;
import dev.fluo.kms.v1.DecryptPiiResponse;
import dev.fluo.kms.v1.EncryptPiiRequest;
import dev.fluo.kms.v1.EncryptPiiResponse;
import dev.fluo.kms.v1.KeyPurpose;
import dev.fluo.kms.v1.RotateRequest;
import jakarta.persistence.Column;
import jakarta.persistence.Convert;
import jakarta.persistence.Converter;
import jakarta.persistence.Entity;
import jakarta.persistence.Id;
import jakarta.persistence.PersistenceException;
import jakarta.persistence.Table;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.hibernate.SessionFactory;
import org.hibernate.annotations.DynamicUpdate;
import org.hibernate.cfg.Configuration;
import org.hibernate.resource.beans.container.spi.BeanContainer;
import org.hibernate.resource.beans.container.spi.ContainedBean;
import org.hibernate.resource.beans.spi.BeanInstanceProducer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The converter under Hibernate, with a table in memory and the real service, whose calls are counted. */
@Timeout(300)
class HibernateTest {
  record Contact(@Pii("email") String email, @Pii("phone") String phone, @Pii("photo") byte[] photo) {}

  /** Hibernate makes it. */
  @Converter
  static class ContactConverter extends PiiConverter<Contact> {
    ContactConverter() {
      super(Contact.class, () -> kms, () -> tenant, Map.of("table", "customers", "column", "contact"));
    }
  }

  /** The container of beans makes it. */
  @Converter
  static class BillingConverter extends PiiConverter<Contact> {
    BillingConverter(Kms kms) {
      super(Contact.class, () -> kms, () -> tenant, Map.of("table", "customers", "column", "billing"));
    }
  }

  @Entity(name = "Customer")
  @Table(name = "customers")
  @DynamicUpdate
  static class Customer {
    @Id Integer id;

    String city;

    @Convert(converter = ContactConverter.class)
    @Column(length = 4_000)
    Contact contact;

    @Convert(converter = BillingConverter.class)
    @Column(length = 4_000)
    Contact billing;

    Customer() {}

    Customer(int id, Contact contact) {
      this.id = id;
      this.contact = contact;
    }
  }

  private static final class Counting implements Kms {
    private final KmsClient client;
    private final List<String> calls = Collections.synchronizedList(new ArrayList<>());

    Counting(KmsClient client) {
      this.client = client;
    }

    @Override
    public EncryptPiiResponse encryptPii(EncryptPiiRequest request) {
      calls.add("encrypt " + request.getFieldsCount());
      return client.encryptPii(request);
    }

    @Override
    public DecryptPiiResponse decryptPii(DecryptPiiRequest request) {
      calls.add("decrypt " + request.getFieldsCount());
      return client.decryptPii(request);
    }
  }

  private static final Contact ANN = new Contact("ann@example.com", "", new byte[] {0, -1});
  private static final Contact BOB = new Contact("bob@example.com", "2", null);

  @AutoClose private static TestService service;
  @AutoClose private static KmsClient client;
  private static Counting kms;
  private static String tenant;

  private SessionFactory factory;

  @BeforeAll
  static void startService() throws Exception {
    service = TestService.start();
    client = service.client();
  }

  @BeforeEach
  void createTable() {
    kms = new Counting(client);
    tenant = "acme";
    Configuration configuration =
        new Configuration()
            .addAnnotatedClass(Customer.class)
            .setProperty("hibernate.connection.url", "jdbc:h2:mem:")
            .setProperty("hibernate.connection.pool_size", "1")
            .setProperty("hibernate.hbm2ddl.auto", "create");
    configuration.getProperties().put("hibernate.resource.beans.container", new Beans());
    factory = configuration.buildSessionFactory();
  }

  @AfterEach
  void dropTable() {
    factory.close();
  }

  @Test
  void keepsTokensInTheTableAndOpensThem() {
    persist(new Customer(1, ANN));
    String kept = kept(1);
    assertTrue(
        kept.matches("\\{\"email\":\"fk1\\.[\\w-]+\",\"phone\":\"fk1\\.[\\w-]+\",\"photo\":\"fk1\\.[\\w-]+\"}"), kept);
    Contact found = find(1).contact;
    assertEquals("ann@example.com", found.email());
    assertEquals("", found.phone());
    assertArrayEquals(new byte[] {0, -1}, found.photo());
    assertEquals(List.of("encrypt 3", "decrypt 3"), kms.calls);
  }

  @Test
  void makesOneCallForEachValueOfManyRows() {
    persist(new Customer(1, ANN), new Customer(2, BOB), new Customer(3, ANN));
    assertEquals(List.of("encrypt 3", "encrypt 2", "encrypt 3"), kms.calls);
    kms.calls.clear();
    List<Customer> all =
        factory.fromTransaction(session -> session.createQuery("from Customer order by id", Customer.class).getResultList());
    assertEquals(List.of("decrypt 3", "decrypt 2", "decrypt 3"), kms.calls);
    assertEquals(BOB, all.get(1).contact);
  }

  @Test
  void makesNoCallForAQueryOfOtherColumns() {
    persist(new Customer(1, ANN));
    kms.calls.clear();
    factory.inTransaction(
        session -> assertEquals(1, session.createQuery("select id from Customer", Integer.class).getSingleResult()));
    assertEquals(List.of(), kms.calls);
  }

  @Test
  void keepsNullAsNullAndCallsNobodyForIt() {
    persist(new Customer(1, null), new Customer(2, new Contact(null, null, null)));
    assertNull(kept(1));
    assertEquals("{}", kept(2));
    assertNull(find(1).contact);
    assertEquals(new Contact(null, null, null), find(2).contact);
    assertEquals(List.of(), kms.calls);
  }

  @Test
  void encryptsAnewOnlyARecordThatIsAnother() {
    persist(new Customer(1, ANN));
    String first = kept(1);
    kms.calls.clear();
    factory.inTransaction(session -> session.find(Customer.class, 1));
    factory.inTransaction(session -> session.find(Customer.class, 1).city = "Bonn");
    assertEquals(List.of("decrypt 3", "decrypt 3"), kms.calls);
    assertEquals(first, kept(1));
    factory.inTransaction(session -> session.find(Customer.class, 1).contact = BOB);
    assertEquals(List.of("decrypt 3", "decrypt 3", "decrypt 3", "encrypt 2"), kms.calls);
    assertEquals(BOB, find(1).contact);
    factory.inTransaction(session -> session.find(Customer.class, 1).contact = null);
    assertNull(kept(1));
  }

  @Test
  void opensAValueInAnotherRowOfItsColumnAlone() {
    persist(new Customer(1, ANN), new Customer(2, BOB));
    execute("update customers set contact = (select contact from customers where id = 2) where id = 1");
    assertEquals(BOB, find(1).contact);
    execute("update customers set billing = contact, contact = null where id = 1");
    PiiException moved = refused(1);
    assertEquals(List.of("email", "phone"), moved.fields().stream().map(PiiException.Field::name).toList());
    assertFalse(moved.getMessage().contains("bob"));
  }

  @Test
  void opensNoValueOfAnotherTenant() {
    persist(new Customer(1, BOB));
    tenant = "globex";
    assertEquals("email", refused(1).fields().get(0).name());
    tenant = "acme";
    assertEquals(BOB, find(1).contact);
  }

  @Test
  void writesNothingIfTheServiceRefusesAField() {
    Customer large = new Customer(1, new Contact("ann@example.com", "x".repeat(70_000), null));
    PersistenceException error = assertThrows(PersistenceException.class, () -> persist(large));
    assertEquals("phone", assertInstanceOf(PiiException.class, error.getCause()).fields().get(0).name());
    factory.inTransaction(
        session -> assertEquals(0L, session.createQuery("select count(*) from Customer", Long.class).getSingleResult()));
  }

  @Test
  void findsNoValueByAQuery() {
    persist(new Customer(1, BOB));
    List<Customer> found =
        factory.fromTransaction(
            session ->
                session
                    .createQuery("from Customer where contact = :contact", Customer.class)
                    .setParameter("contact", BOB)
                    .getResultList());
    assertEquals(List.of(), found);
  }

  @Test
  void opensAfterARotationWhatWasKeptBefore() {
    tenant = "rotated";
    persist(new Customer(1, BOB));
    RotateRequest rotation =
        RotateRequest.newBuilder().setTenantId(tenant).setPurpose(KeyPurpose.KEY_PURPOSE_DATA).setForce(true).build();
    assertEquals(1, client.kms().rotate(rotation).getRotatedCount());
    assertEquals(BOB, find(1).contact);
  }

  @Test
  void takesAConverterThatAContainerMakes() {
    Customer customer = new Customer(1, null);
    customer.billing = BOB;
    persist(customer);
    assertEquals(BOB, find(1).billing);
    assertEquals(List.of("encrypt 2", "decrypt 2"), kms.calls);
  }

  private void persist(Customer... customers) {
    factory.inTransaction(session -> List.of(customers).forEach(session::persist));
  }

  private Customer find(int id) {
    return factory.fromTransaction(session -> session.find(Customer.class, id));
  }

  private PiiException refused(int id) {
    return assertInstanceOf(
        PiiException.class, assertThrows(PersistenceException.class, () -> find(id)).getCause());
  }

  /** The text in the table. */
  private String kept(int id) {
    return factory.fromTransaction(
        session ->
            session.createNativeQuery("select contact from customers where id = " + id, String.class).getSingleResult());
  }

  private void execute(String statement) {
    factory.inTransaction(session -> session.createNativeMutationQuery(statement).executeUpdate());
  }

  /** Stands in for Spring's: it makes the converter whose constructor takes the client. */
  private static final class Beans implements BeanContainer {
    @Override
    public <B> ContainedBean<B> getBean(Class<B> type, LifecycleOptions options, BeanInstanceProducer others) {
      boolean isOurs = type == BillingConverter.class;
      return bean(type, isOurs ? type.cast(new BillingConverter(kms)) : others.produceBeanInstance(type));
    }

    @Override
    public <B> ContainedBean<B> getBean(
        String name, Class<B> type, LifecycleOptions options, BeanInstanceProducer others) {
      return bean(type, others.produceBeanInstance(name, type));
    }

    private static <B> ContainedBean<B> bean(Class<B> type, B instance) {
      return new ContainedBean<>() {
        @Override
        public B getBeanInstance() {
          return instance;
        }

        @Override
        public Class<B> getBeanClass() {
          return type;
        }
      };
    }

    @Override
    public void stop() {}
  }
}

package dev.fluo.kms.example;

import java.util.List;
import org.hibernate.SessionFactory;
import org.hibernate.cfg.Configuration;

/** Keeps customers in a database in memory, and shows what it holds. */
public final class Main {
  private Main() {}

  /** Runs the example. */
  public static void main(String[] args) {
    Configuration configuration =
        new Configuration()
            .addAnnotatedClass(Customer.class)
            .setProperty("hibernate.connection.url", "jdbc:h2:mem:customers")
            .setProperty("hibernate.hbm2ddl.auto", "create");
    try (SessionFactory factory = configuration.buildSessionFactory()) {
      Customer ann = new Customer("Berlin", new Contact("ann@example.com", "+49 30 123456"));
      factory.inTransaction(
          session -> {
            session.persist(ann);
            session.persist(new Customer("Rome", new Contact("bob@example.com", null)));
            session.persist(new Customer("Oslo", null));
          });
      factory.inTransaction(session -> session.find(Customer.class, ann.id()).move("Bonn"));
      factory.inTransaction(
          session -> {
            Customer found = session.find(Customer.class, ann.id());
            System.out.println(found.city() + ": " + found.contact());
            List<String> kept =
                session.createNativeQuery("select contact from customers where contact is not null", String.class)
                    .getResultList();
            if (String.join("", kept).matches(".*(@|\\+49).*")) {
              throw new IllegalStateException("the table holds clear text");
            }
            int tokens = String.join("", kept).split("fk1\\.", -1).length - 1;
            System.out.println("the table holds " + tokens + " tokens and no clear text");
          });
    } finally {
      ContactConverter.close();
    }
  }
}

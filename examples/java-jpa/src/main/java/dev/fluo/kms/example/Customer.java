package dev.fluo.kms.example;

import jakarta.persistence.Column;
import jakarta.persistence.Convert;
import jakarta.persistence.Entity;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.Id;
import jakarta.persistence.Table;
import org.hibernate.annotations.DynamicUpdate;

/** A customer, whose contact is a column of tokens. With {@code @DynamicUpdate} a change of the city encrypts no contact anew. */
@Entity
@DynamicUpdate
@Table(name = "customers")
public class Customer {
  @Id @GeneratedValue private Long id;

  private String city;

  @Convert(converter = ContactConverter.class)
  @Column(length = 4_000)
  private Contact contact;

  /** For JPA. */
  protected Customer() {}

  Customer(String city, Contact contact) {
    this.city = city;
    this.contact = contact;
  }

  Long id() {
    return id;
  }

  String city() {
    return city;
  }

  Contact contact() {
    return contact;
  }

  void move(String newCity) {
    city = newCity;
  }
}

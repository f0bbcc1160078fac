/** A column of personal data for Jakarta Persistence. Needs {@code jakarta.persistence-api}, which a program with JPA has. */
package dev.fluo.kms.jpa;

package dev.fluo.kms.example;

import dev.fluo.kms.Pii;

/**
 * What somebody asks for. Name and e-mail address are kept encrypted alone.
 *
 * @param amount in euros
 */
record Application(String id, @Pii("name") String name, @Pii("email") String email, int amount) {}

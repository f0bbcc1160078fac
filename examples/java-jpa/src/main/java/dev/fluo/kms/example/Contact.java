package dev.fluo.kms.example;

import dev.fluo.kms.Pii;

/** What is encrypted of a customer. */
public record Contact(@Pii("email") String email, @Pii("phone") String phone) {}

/** Cryptography that packages of this client share. Not for programs: it changes without notice. */
package dev.fluo.kms.internal;

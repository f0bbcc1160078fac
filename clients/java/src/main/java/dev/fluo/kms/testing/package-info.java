/**
 * A fake of fluo-kms for the tests of a program. Needs {@code io.grpc:grpc-inprocess}, which is an optional dependency:
 * add it with the scope {@code test}.
 *
 * <pre>{@code
 * class CustomersTest {
 *   @AutoClose FakeKms fake = FakeKms.start();
 *
 *   @Test
 *   void keepsACustomerOutOfTheTableWhenTheServiceIsOverloaded() {
 *     fake.refuse("EncryptPii", "OVERLOADED");
 *     assertThrows(StatusRuntimeException.class, () -> new Customers(fake.client()).add(ann));
 *   }
 * }
 * }</pre>
 */
package dev.fluo.kms.testing;

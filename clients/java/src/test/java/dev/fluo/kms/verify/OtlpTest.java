package dev.fluo.kms.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.EnumValueDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.verify.Otlp.Field;
import dev.fluo.kms.verify.Otlp.Message;
import dev.fluo.kms.verify.Otlp.Type;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class OtlpTest {
  private final Set<String> compared = new HashSet<>();

  @Test
  void hasEachFieldOfTheProtoAndNoOther() {
    compare(ResourceSpans.getDescriptor(), Otlp.RESOURCE_SPANS);
    assertEquals(13, compared.size());
  }

  private void compare(Descriptor proto, Message message) {
    if (!compared.add(proto.getName())) {
      return;
    }
    for (int number = 1; number <= 20; number++) {
      FieldDescriptor wanted = proto.findFieldByNumber(number);
      Field found = message.field(number);
      if (wanted == null) {
        assertNull(found, proto.getName() + " " + number);
        continue;
      }
      assertEquals(wanted.getName(), found.name());
      assertEquals(wanted.getJsonName(), found.jsonName());
      assertEquals(wanted.isRepeated(), found.isList());
      assertEquals(wanted.getLiteType().getWireType(), found.type().wireType);
      if (wanted.getType() == FieldDescriptor.Type.MESSAGE) {
        compare(wanted.getMessageType(), found.message());
      } else if (wanted.getType() == FieldDescriptor.Type.ENUM) {
        assertEquals(
            wanted.getEnumType().getValues().stream().map(EnumValueDescriptor::getName).toList(), found.values());
      } else {
        boolean isNamedAlike =
            found.type() == Type.ID
                ? wanted.getType() == FieldDescriptor.Type.BYTES
                : found.type().name().equals(wanted.getType().name().replace("STRING", "TEXT"));
        assertTrue(isNamedAlike, wanted.getFullName());
      }
    }
  }
}

package dev.fluo.kms;

import com.google.protobuf.ByteString;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** A record taken apart: which of its components {@link Pii} marks, and the same record with others in their place. */
final class MarkedRecord<R extends Record> {
  /**
   * A marked component that is not null.
   *
   * @param index among all components
   * @param name of its mark
   * @param isText whether it is a string
   */
  record Component(int index, String name, boolean isText, ByteString bytes) {
    @Override
    public String toString() {
      return name;
    }
  }

  private final Constructor<R> constructor;
  private final Object[] values;
  private final List<Component> present;

  private MarkedRecord(Constructor<R> constructor, Object[] values, List<Component> present) {
    this.constructor = constructor;
    this.values = values;
    this.present = present;
  }

  static <R extends Record> MarkedRecord<R> of(R record) {
    @SuppressWarnings("unchecked")
    Class<R> type = (Class<R>) record.getClass();
    RecordComponent[] components = type.getRecordComponents();
    Object[] values = new Object[components.length];
    List<Component> present = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (int i = 0; i < components.length; i++) {
      values[i] = valueOf(record, components[i]);
      Pii mark = components[i].getAnnotation(Pii.class);
      if (mark == null) {
        continue;
      }
      String component = type.getSimpleName() + "." + components[i].getName();
      boolean isText = components[i].getType() == String.class;
      if (!isText && components[i].getType() != byte[].class) {
        throw new IllegalArgumentException(component + " is marked @Pii, and is neither a String nor a byte[]");
      }
      if (!names.add(mark.value())) {
        throw new IllegalArgumentException(component + " has the mark of another component: " + mark.value());
      }
      if (values[i] instanceof String text) {
        present.add(new Component(i, mark.value(), true, PiiRecords.utf8(component, text)));
      } else if (values[i] instanceof byte[] bytes) {
        present.add(new Component(i, mark.value(), false, ByteString.copyFrom(bytes)));
      }
    }
    if (names.isEmpty()) {
      throw new IllegalArgumentException(type.getSimpleName() + " has no component that is marked @Pii");
    }
    return new MarkedRecord<>(constructorOf(type, components), values, present);
  }

  List<Component> present() {
    return present;
  }

  /** The record with these values in the place of those that are {@link #present}. */
  R with(List<Object> others) {
    Object[] all = values.clone();
    for (int i = 0; i < others.size(); i++) {
      all[present.get(i).index()] = others.get(i);
    }
    try {
      return constructor.newInstance(all);
    } catch (InvocationTargetException e) {
      // What the record's own constructor says may show a value: it is told as it is, and by nobody else.
      throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e.getCause());
    } catch (ReflectiveOperationException e) {
      throw new IllegalArgumentException(e);
    }
  }

  private static Object valueOf(Record record, RecordComponent component) {
    try {
      Method accessor = component.getAccessor();
      accessor.setAccessible(true);
      return accessor.invoke(record);
    } catch (ReflectiveOperationException | RuntimeException e) {
      throw new IllegalArgumentException(
          component.getName() + " of " + record.getClass().getSimpleName() + " cannot be read", e);
    }
  }

  private static <R extends Record> Constructor<R> constructorOf(Class<R> type, RecordComponent[] components) {
    try {
      Class<?>[] types = Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
      Constructor<R> constructor = type.getDeclaredConstructor(types);
      constructor.setAccessible(true);
      return constructor;
    } catch (ReflectiveOperationException | RuntimeException e) {
      throw new IllegalArgumentException(type.getSimpleName() + " cannot be made", e);
    }
  }
}

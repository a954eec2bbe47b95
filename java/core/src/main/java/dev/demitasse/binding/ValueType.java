package dev.demitasse.binding;

import dev.demitasse.exception.UsageException;
import java.lang.reflect.Array;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A type of Java as values of JSON.
 *
 * @param schema of the values
 * @param reader makes an object of Java of a value
 */
record ValueType(Map<String, @Nullable Object> schema, Function<@Nullable Object, @Nullable Object> reader) {
    private static final Map<Type, ValueType> SIMPLE = new HashMap<>();

    static {
        simple(Map.of("type", "string"), value -> value, String.class);
        simple(Map.of("type", "boolean"), value -> value, boolean.class, Boolean.class);
        whole(Byte.MIN_VALUE, Byte.MAX_VALUE, Number::byteValue, byte.class, Byte.class);
        whole(Short.MIN_VALUE, Short.MAX_VALUE, Number::shortValue, short.class, Short.class);
        whole(Integer.MIN_VALUE, Integer.MAX_VALUE, Number::intValue, int.class, Integer.class);
        whole(Long.MIN_VALUE, Long.MAX_VALUE, Number::longValue, long.class, Long.class);
        simple(Map.of("type", "number"), value -> number(value).doubleValue(), double.class, Double.class);
        simple(Map.of("type", "number"), ValueType::real, float.class, Float.class);
        simple(Map.of("type", "number"), value -> new BigDecimal(String.valueOf(value)), BigDecimal.class);
        text("date", LocalDate::parse, LocalDate.class);
        text("local-time", LocalTime::parse, LocalTime.class);
        text("local-date-time", LocalDateTime::parse, LocalDateTime.class);
        text("date-time", OffsetDateTime::parse, OffsetDateTime.class);
        text("date-time", text -> OffsetDateTime.parse(text).toInstant(), Instant.class);
        text("uuid", UUID::fromString, UUID.class);
    }

    private static void simple(
            Map<String, @Nullable Object> schema,
            Function<@Nullable Object, @Nullable Object> reader,
            Class<?>... types) {
        for (Class<?> type : types) {
            SIMPLE.put(type, new ValueType(schema, reader));
        }
    }

    private static void whole(long least, long most, Function<Number, Object> reader, Class<?>... types) {
        Map<String, @Nullable Object> schema = new LinkedHashMap<>();
        schema.put("type", "integer");
        schema.put("minimum", least);
        schema.put("maximum", most);
        simple(schema, value -> reader.apply(number(value)), types);
    }

    private static void text(String format, Function<String, Object> reader, Class<?> type) {
        simple(Map.of("type", "string", "format", format), value -> reader.apply(String.valueOf(value)), type);
    }

    private static float real(@Nullable Object value) {
        float real = number(value).floatValue();
        if (Float.isInfinite(real)) {
            throw new UsageException("A number is " + value + ", which is more than a float holds.");
        }
        return real;
    }

    private static Number number(@Nullable Object value) {
        if (value instanceof Number number && Double.isFinite(number.doubleValue())) {
            return number;
        }
        throw new UsageException("A number is " + value + ", which is more than a double holds.");
    }

    /**
     * A component's type.
     *
     * @param place where it stands, for the message
     * @throws UsageException where it is not supported
     */
    static ValueType of(Type type, String place, Map<Class<?>, RecordType> records) {
        ValueType simple = SIMPLE.get(type);
        if (simple != null) {
            return simple;
        }
        if (type instanceof Class<?> plain) {
            if (plain.isRecord()) {
                RecordType record = RecordType.of(plain, records);
                return new ValueType(
                        record.reference(), value -> record.read(value instanceof Map<?, ?> map ? map : Map.of()));
            }
            if (plain.isEnum()) {
                return ofEnum(plain);
            }
            if (plain.isArray()) {
                return ofArray(plain.getComponentType(), of(plain.getComponentType(), place, records));
            }
        }
        if (type instanceof ParameterizedType generic && generic.getRawType() instanceof Class<?> raw) {
            Type[] of = generic.getActualTypeArguments();
            if (raw == Optional.class) {
                ValueType value = of(of[0], place, records);
                return new ValueType(
                        value.orNull().schema,
                        x -> Optional.ofNullable(value.orNull().read(x)));
            }
            if (raw == List.class || raw == Collection.class || raw == Set.class) {
                return ofList(of(of[0], place, records), raw == Set.class);
            }
            if (raw == Map.class && of[0] == String.class) {
                return ofMap(of(of[1], place, records));
            }
        }
        throw new UsageException(place + " is of the type " + type.getTypeName() + ", which cannot be filled. Text,"
                + " numbers, booleans, enums, dates and times of java.time, UUID and records can, and Optional, List,"
                + " Set, Map by String and arrays of those.");
    }

    private static ValueType ofEnum(Class<?> type) {
        Map<String, Object> constants = new LinkedHashMap<>();
        for (Object constant : type.getEnumConstants()) {
            constants.put(((Enum<?>) constant).name(), constant);
        }
        return new ValueType(
                Map.of("enum", List.copyOf(constants.keySet())), value -> constants.get(String.valueOf(value)));
    }

    private static ValueType ofArray(Class<?> component, ValueType items) {
        return new ValueType(Map.of("type", "array", "items", items.schema), value -> {
            List<@Nullable Object> list = items.list(value);
            Object array = Array.newInstance(component, list.size());
            for (int i = 0; i < list.size(); i++) {
                Array.set(array, i, list.get(i));
            }
            return array;
        });
    }

    private static ValueType ofList(ValueType items, boolean set) {
        return new ValueType(
                Map.of("type", "array", "items", items.schema),
                value -> set ? new LinkedHashSet<>(items.list(value)) : List.copyOf(items.list(value)));
    }

    private static ValueType ofMap(ValueType values) {
        return new ValueType(Map.of("type", "object", "additionalProperties", values.schema), value -> {
            Map<String, @Nullable Object> map = new LinkedHashMap<>();
            if (value instanceof Map<?, ?> members) {
                members.forEach((name, each) -> map.put(String.valueOf(name), values.read(each)));
            }
            return map;
        });
    }

    private List<@Nullable Object> list(@Nullable Object value) {
        List<@Nullable Object> list = new ArrayList<>();
        if (value instanceof List<?> items) {
            items.forEach(each -> list.add(read(each)));
        }
        return list;
    }

    /** The same, or null. */
    ValueType orNull() {
        return new ValueType(
                Map.of("anyOf", Arrays.asList(schema, Map.of("type", "null"))),
                value -> value == null ? null : reader.apply(value));
    }

    /** The object of Java that a value is. */
    @Nullable
    Object read(@Nullable Object value) {
        return reader.apply(value);
    }
}

package dev.demitasse.binding;

import dev.demitasse.chat.Description;
import dev.demitasse.exception.UsageException;
import dev.demitasse.json.Json;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A record as an object of JSON, with a member for each component. Immutable. */
public final class RecordType {
    /** A component's name, type and meaning. */
    private record Member(
            String name, ValueType type, @Nullable String description) {}

    private final Class<?> type;
    private final String name; // of its schema
    private final Constructor<?> constructor;
    private final List<Member> members = new ArrayList<>();
    private final Map<Class<?>, RecordType> others; // this one and all that are within it

    /**
     * The type of a record.
     *
     * @throws UsageException where it is no record, or has a component of a type that is not supported
     */
    public static RecordType of(Class<?> type) {
        return of(type, new LinkedHashMap<>());
    }

    static RecordType of(Class<?> type, Map<Class<?>, RecordType> others) {
        RecordType known = others.get(type);
        return known != null ? known : new RecordType(type, others);
    }

    private RecordType(Class<?> type, Map<Class<?>, RecordType> others) {
        if (!type.isRecord()) {
            throw new UsageException(type.getName() + " is no record; only records can be filled.");
        }
        this.type = type;
        this.others = others;
        boolean taken =
                others.keySet().stream().anyMatch(other -> other.getSimpleName().equals(type.getSimpleName()));
        name = taken ? type.getName() : type.getSimpleName();
        others.put(type, this); // before its components: one may be of the same type
        RecordComponent[] components = type.getRecordComponents();
        Class<?>[] parameters =
                Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
        try {
            constructor = type.getDeclaredConstructor(parameters);
        } catch (NoSuchMethodException e) {
            throw new IllegalStateException("a record without its constructor: " + type, e);
        }
        if (!constructor.trySetAccessible()) {
            throw new UsageException(type.getName()
                    + " cannot be made from here: make it public in an exported package,"
                    + " or open its package to dev.demitasse (opens " + type.getPackageName() + " to dev.demitasse).");
        }
        for (RecordComponent component : components) {
            ValueType value = ValueType.of(component.getGenericType(), place(component), others);
            boolean nullable = Stream.of(
                            component.getAnnotations(),
                            component.getAnnotatedType().getAnnotations())
                    .flatMap(Arrays::stream)
                    .anyMatch(annotation ->
                            annotation.annotationType().getSimpleName().equals("Nullable"));
            members.add(new Member(
                    component.getName(),
                    nullable && !component.getType().isPrimitive() ? value.orNull() : value,
                    described(component.getAnnotation(Description.class))));
        }
    }

    private static String place(RecordComponent component) {
        return component.getDeclaringRecord().getSimpleName() + "." + component.getName();
    }

    private static @Nullable String described(@Nullable Description description) {
        return description == null ? null : description.value();
    }

    /** A reference to its schema. */
    Map<String, @Nullable Object> reference() {
        return Map.of("$ref", "#/$defs/" + name);
    }

    /** Its JSON schema, as text. */
    public String schema() {
        Map<String, @Nullable Object> schema = new LinkedHashMap<>(ofMembers());
        Map<String, @Nullable Object> definitions = new LinkedHashMap<>();
        others.values().forEach(other -> definitions.put(other.name, other.ofMembers()));
        String plain = Json.write(schema);
        if (!plain.contains("\"$ref\"")) {
            return plain;
        }
        schema.put("$defs", definitions);
        return Json.write(schema);
    }

    private Map<String, @Nullable Object> ofMembers() {
        Map<String, @Nullable Object> properties = new LinkedHashMap<>();
        for (Member member : members) {
            Map<String, @Nullable Object> schema = new LinkedHashMap<>(member.type.schema());
            if (member.description != null) {
                schema.put("description", member.description);
            }
            properties.put(member.name, schema);
        }
        Map<String, @Nullable Object> schema = new LinkedHashMap<>();
        schema.put("type", "object");
        String description = described(type.getAnnotation(Description.class));
        if (description != null) {
            schema.put("description", description);
        }
        schema.put("properties", properties);
        schema.put("required", members.stream().map(Member::name).toList());
        schema.put("additionalProperties", false);
        return schema;
    }

    /**
     * The record that a text is, which is valid by the schema.
     *
     * @throws UsageException where the record refuses the values
     */
    public Object read(String text) {
        Json.Read whole = Json.exact(text);
        if (whole == null || !(whole.value() instanceof Map<?, ?> values)) {
            throw new UsageException("The values of " + type.getSimpleName() + " are no JSON object: " + text);
        }
        return read(values);
    }

    Object read(Map<?, ?> values) {
        Object[] arguments = new Object[members.size()];
        for (int i = 0; i < arguments.length; i++) {
            arguments[i] = members.get(i).type.read(values.get(members.get(i).name));
        }
        try {
            return constructor.newInstance(arguments);
        } catch (InvocationTargetException e) {
            throw new UsageException(type.getSimpleName() + " refuses " + Json.write(values) + ": " + e.getCause(), e);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("a record that cannot be made: " + type, e);
        }
    }
}

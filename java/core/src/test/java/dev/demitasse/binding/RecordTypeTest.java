package dev.demitasse.binding;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.Grammar;
import dev.demitasse.chat.Description;
import dev.demitasse.exception.UsageException;
import java.math.BigDecimal;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class RecordTypeTest {
    enum Size {
        SMALL,
        LARGE
    }

    @Description("One order.")
    record Order(
            String name,
            @Description("how many") int count,
            double price,
            BigDecimal total,
            boolean paid,
            Size size,
            LocalDate date,
            LocalTime time,
            LocalDateTime at,
            Instant instant,
            UUID id,
            List<String> tags,
            Set<Integer> sizes,
            long[] numbers,
            Map<String, Float> weights,
            Optional<String> note,
            @Nullable Address address) {}

    record Address(String street, Short number) {}

    record Tree(String name, List<Tree> children) {}

    record Positive(int value) {
        Positive {
            if (value < 0) {
                throw new IllegalArgumentException("below zero");
            }
        }
    }

    private static final String ORDER = """
            {"name": "a \\"cup\\"", "count": -3, "price": 2.5, "total": 19.99, "paid": true, "size": "LARGE",\
             "date": "2024-02-29", "time": "23:59:00", "at": "2026-11-30T05:12:44.5", "instant":\
             "2026-11-30T05:12:44Z", "id": "01234567-89ab-cdef-0123-456789ABCDEF", "tags": ["x", "y"], "sizes": [2, 1],\
             "numbers": [-9223372036854775808], "weights": {"a": 1.5}, "note": null, "address":\
             {"street": "Main", "number": 7}}""";

    @Test
    void everyComponentIsReadOfWhatTheSchemaAllows() {
        RecordType type = RecordType.of(Order.class);
        assertThat(Grammar.jsonSchema(type.schema()).matches(ORDER)).isTrue();
        Order order = (Order) type.read(ORDER);
        assertThat(order.name).isEqualTo("a \"cup\"");
        assertThat(order.count).isEqualTo(-3);
        assertThat(order.total).isEqualTo(new BigDecimal("19.99"));
        assertThat(order.size).isEqualTo(Size.LARGE);
        assertThat(order.date).isEqualTo(LocalDate.of(2024, 2, 29));
        assertThat(order.instant).isEqualTo(Instant.parse("2026-11-30T05:12:44Z"));
        assertThat(order.sizes).containsExactly(2, 1);
        assertThat(order.numbers).containsExactly(Long.MIN_VALUE);
        assertThat(order.weights).isEqualTo(Map.of("a", 1.5f));
        assertThat(order.note).isEmpty();
        assertThat(order.address).isEqualTo(new Address("Main", (short) 7));
    }

    @Test
    void theSchemaDescribesAndRefusesWhatDoesNotFit() {
        String schema = RecordType.of(Order.class).schema();
        assertThat(schema).contains("\"One order.\"", "\"how many\"", "\"$defs\"");
        Grammar grammar = Grammar.jsonSchema(schema);
        for (String wrong : List.of("\"count\": 2147483648", "\"count\": 1.5", "\"count\": null")) {
            assertThat(grammar.matches(ORDER.replace("\"count\": -3", wrong)))
                    .as(wrong)
                    .isFalse();
        }
        assertThat(grammar.matches(ORDER.replace("2024-02-29", "2023-02-29"))).isFalse();
        assertThat(grammar.matches(ORDER.replace("{\"street\": \"Main\", \"number\": 7}", "null")))
                .isTrue();
        assertThat(grammar.matches(ORDER.replace("\"LARGE\"", "\"large\""))).isFalse();
    }

    @Test
    void aRecordMayHoldOthersOfItsKind() {
        RecordType type = RecordType.of(Tree.class);
        String text = "{\"name\": \"a\", \"children\": [{\"name\": \"b\", \"children\": []}]}";
        assertThat(Grammar.jsonSchema(type.schema()).matches(text)).isTrue();
        assertThat(type.read(text)).isEqualTo(new Tree("a", List.of(new Tree("b", List.of()))));
    }

    @Test
    void whatARecordRefusesIsToldWithTheReason() {
        assertThatThrownBy(() -> RecordType.of(Positive.class).read("{\"value\": -1}"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("Positive refuses {\"value\":-1}")
                .hasMessageContaining("below zero");
        assertThatThrownBy(() -> RecordType.of(Order.class).read(ORDER.replace("2.5", "1e999")))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("more than a double");
    }

    record Optionally(
            String name,
            Optional<Optionally> next,
            @Nullable Optionally other) {}

    @Test
    void recordsWithinRecordsMayBeMissing() {
        RecordType type = RecordType.of(Optionally.class);
        String text =
                "{\"name\": \"a\", \"next\": {\"name\": \"b\", \"next\": null, \"other\": null}, \"other\": null}";
        assertThat(Grammar.jsonSchema(type.schema()).matches(text)).isTrue();
        assertThat(type.read(text))
                .isEqualTo(new Optionally("a", Optional.of(new Optionally("b", Optional.empty(), null)), null));
    }

    record Numbers(float real, BigDecimal exact) {}

    @Test
    void numbersKeepTheirDigitsOrAreRefused() {
        RecordType type = RecordType.of(Numbers.class);
        assertThat(type.read("{\"real\": 1, \"exact\": 12345678901234567890.12}"))
                .isEqualTo(new Numbers(1, new BigDecimal("12345678901234567890.12")));
        assertThatThrownBy(() -> type.read("{\"real\": 1e39, \"exact\": 1}"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("float");
    }

    record Odd(Thread thread) {}

    record Endless(Endless next) {}

    @Test
    void typesThatCannotBeFilledAreRefusedByTheirPlace() {
        assertThatThrownBy(() -> RecordType.of(Odd.class))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("Odd.thread");
        assertThatThrownBy(() -> RecordType.of(String.class))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("no record");
        assertThatThrownBy(() -> Grammar.jsonSchema(RecordType.of(Endless.class).schema()))
                .isInstanceOf(UsageException.class);
    }
}

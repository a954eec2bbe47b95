package dev.demitasse.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.DemitasseException;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.testkit.Seeds;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class SafetensorsTest {
    private static final String GOOD = "{\"__metadata__\":{\"format\":\"pt\"},"
            + "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[16,22]},"
            + "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}";

    @TempDir
    Path folder = Path.of("");

    private static byte[] file(String header, int dataBytes) {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer out = ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        out.putLong(json.length).put(json);
        for (int i = 0; i < dataBytes; i++) {
            out.put((byte) i);
        }
        return out.array();
    }

    private static Safetensors parse(byte[] bytes) {
        return Safetensors.parse("test", MemorySegment.ofArray(bytes));
    }

    @Test
    void tensorsHaveTheirTypesShapesAndBytes() {
        try (Safetensors model = parse(file(GOOD + "   ", 22))) { // headers are padded with blanks
            assertThat(model.metadata()).containsEntry("format", "pt");
            assertThat(model.tensors()).extracting(SafetensorsTensor::name).containsExactly("b", "a");
            SafetensorsTensor a = Objects.requireNonNull(model.tensor("a"));
            assertThat(a.type()).isEqualTo(ElementType.F32);
            assertThat(a.shape()).containsExactly(2L, 2L);
            SafetensorsTensor b = Objects.requireNonNull(model.tensor("b"));
            assertThat(b.data().toArray(ValueLayout.JAVA_BYTE)).containsExactly(16, 17, 18, 19, 20, 21);
            assertThat(model.tensor("c")).isNull();
        }
    }

    @Test
    void singleElementsAndEmptyTensorsAreTensors() {
        String header = "{\"one\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
                + "\"none\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[8,8]},"
                + "\"four\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[8,10]}}";
        try (Safetensors model = parse(file(header, 10))) {
            assertThat(model.tensors()).hasSize(3);
        }
        assertThat(parse(file("{}", 0)).tensors()).isEmpty();
    }

    private static Arguments bad(String name, String header, int dataBytes, String words) {
        return Arguments.of(name, file(header, dataBytes), words);
    }

    private static String tensor(String fields) {
        return "{\"a\":{" + fields + "}}";
    }

    static Stream<Arguments> hostile() {
        byte[] pickle = new byte[64];
        pickle[0] = (byte) 0x80;
        pickle[1] = 2;
        Arrays.fill(pickle, 2, 64, (byte) 'q');
        byte[] huge = file(GOOD, 22);
        ByteBuffer.wrap(huge).order(ByteOrder.LITTLE_ENDIAN).putLong(0, Long.MAX_VALUE);
        String ok = "\"dtype\":\"F32\",\"shape\":[2],";
        return Stream.of(
                Arguments.of("empty", new byte[0], "fewer than"),
                Arguments.of("a pickle", pickle, "no safetensors file"),
                Arguments.of("a header longer than the file", huge, "no safetensors file"),
                Arguments.of("a zip", "PK\3\4 and so on and so on".getBytes(StandardCharsets.UTF_8), "no safetensors"),
                bad("no object", "[1,2]", 0, "START_OBJECT belongs"),
                bad("no JSON", "{\"a\":", 0, "no valid JSON"),
                bad("two objects", "{} {}", 0, "more than one JSON object"),
                bad("nested deeply", "{\"a\":".repeat(1_000_000), 0, "which the format has not"),
                bad("lists nested deeply", "{\"a\":{\"shape\":" + "[".repeat(1_000_000), 0, "END_ARRAY belongs"),
                bad("a name twice", "{\"a\":{" + ok + "\"data_offsets\":[0,8]},\"a\":{}}", 8, "Duplicate field 'a'"),
                bad(
                        "a field twice",
                        tensor("\"dtype\":\"F32\"," + ok + "\"data_offsets\":[0,8]"),
                        8,
                        "Duplicate field"),
                bad("a field of its own", tensor(ok + "\"data_offsets\":[0,8],\"x\":1"), 8, "\"x\""),
                bad("no shape", tensor("\"dtype\":\"F32\",\"data_offsets\":[0,8]"), 8, "no shape"),
                bad("one offset", tensor(ok + "\"data_offsets\":[0]"), 8, "data_offsets"),
                bad("a negative offset", tensor(ok + "\"data_offsets\":[-8,0]"), 8, "negative"),
                bad("offsets reversed", tensor(ok + "\"data_offsets\":[0,-8]"), 8, "negative"),
                bad("an end before its begin", tensor(ok + "\"data_offsets\":[8,0]"), 8, "at 8 to 0"),
                bad("a fraction", tensor(ok + "\"data_offsets\":[0.5,8]"), 8, "END_ARRAY belongs"),
                bad("a number beyond 64 bits", tensor(ok + "\"data_offsets\":[0,99999999999999999999]"), 8, "range"),
                bad("beyond the file", tensor(ok + "\"data_offsets\":[0,8]"), 4, "4 bytes of tensors"),
                bad("less than the file", tensor(ok + "\"data_offsets\":[0,8]"), 12, "12 bytes of tensors"),
                bad(
                        "a wrong size",
                        tensor("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]"),
                        8,
                        "takes others"),
                bad(
                        "a shape that overflows",
                        tensor("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]"),
                        8,
                        "takes others"),
                bad("half a byte", tensor("\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,0]"), 0, "takes others"),
                bad(
                        "overlapping",
                        "{\"a\":{" + ok + "\"data_offsets\":[0,8]},\"b\":{" + ok + "\"data_offsets\":[4,12]}}",
                        12,
                        "ends at 8"),
                bad(
                        "a hole",
                        "{\"a\":{" + ok + "\"data_offsets\":[0,8]},\"b\":{" + ok + "\"data_offsets\":[9,17]}}",
                        17,
                        "ends at 8"),
                bad("metadata of numbers", "{\"__metadata__\":{\"a\":1}}", 0, "VALUE_STRING belongs"),
                bad("many dimensions", tensor("\"shape\":[" + "1,".repeat(99) + "1]"), 0, "dimensions"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("hostile")
    void damagedFilesAreRefusedWithThePlace(String name, byte[] bytes, String words) {
        assertThatThrownBy(() -> parse(bytes))
                .as(name)
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("test")
                .hasMessageContaining(words);
    }

    @Test
    void unknownElementTypesAreUnsupported() {
        byte[] bytes = file(tensor("\"dtype\":\"F128\",\"shape\":[1],\"data_offsets\":[0,16]"), 16);
        assertThatThrownBy(() -> parse(bytes))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("F128");
    }

    @Test
    void everyMutationParsesOrGivesTheTypedException() {
        byte[] good = file(GOOD, 22);
        Seeds.forEach(20_000, random -> {
            byte[] bytes = mutated(good, random);
            try {
                parse(bytes).close();
            } catch (DemitasseException e) {
                // the typed exception: what this test asks for
            }
        });
    }

    private static byte[] mutated(byte[] good, SplittableRandom random) {
        byte[] bytes = Arrays.copyOf(good, random.nextInt(8) == 0 ? random.nextInt(good.length + 8) : good.length);
        for (int i = random.nextInt(1, 5); i > 0 && bytes.length > 0; i--) {
            bytes[random.nextInt(bytes.length)] = random.nextBoolean()
                    ? (byte) random.nextInt()
                    : (byte) "{}[]\",:0123456789-e.".charAt(random.nextInt(20));
        }
        return bytes;
    }

    private Path write(String name, byte[] bytes) throws IOException {
        return Files.write(folder.resolve(name), bytes);
    }

    private Path index(String json) throws IOException {
        return write("model.safetensors.index.json", json.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void anIndexOpensTheFilesThatItNames() throws IOException {
        write("m-1.safetensors", file(tensor("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]"), 1));
        write("m-2.safetensors", file(GOOD.replace("\"a\"", "\"c\""), 22));
        Path index = index("{\"metadata\":{\"total_size\":23,\"x\":[{}]},\"weight_map\":{\"a\":\"m-1.safetensors\","
                + "\"b\":\"m-2.safetensors\",\"c\":\"m-2.safetensors\"}}");
        try (Safetensors model = Safetensors.open(index)) {
            assertThat(model.tensors()).extracting(SafetensorsTensor::name).containsExactlyInAnyOrder("a", "b", "c");
            assertThat(model.fileBytes()).isGreaterThan(23);
        }
        assertThat(Safetensors.isNamed(index)).isTrue();
        assertThat(Safetensors.isNamed(folder.resolve("model.gguf"))).isFalse();
    }

    @Test
    void indexesThatNameOtherThingsAreRefused() throws IOException {
        write("m.safetensors", file(GOOD, 22));
        write("n.safetensors", file(GOOD, 22));
        assertThatThrownBy(() -> Safetensors.open(index("{\"weight_map\":{\"a\":\"../m.safetensors\"}}")))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("beside it");
        assertThatThrownBy(() -> Safetensors.open(index("{\"weight_map\":{\"a\":\"none.safetensors\"}}")))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("missing");
        assertThatThrownBy(() -> Safetensors.open(index("{\"weight_map\":{\"z\":\"m.safetensors\"}}")))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("no file has");
        assertThatThrownBy(() ->
                        Safetensors.open(index("{\"weight_map\":{\"a\":\"m.safetensors\",\"b\":\"n.safetensors\"}}")))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("repeats");
        for (String json : new String[] {
            "",
            "[]",
            "{\"weight_map\":{}}",
            "{\"weight_map\":[]}",
            "{\"weight_map\":{\"a\":1}}",
            "{\"x\":" + "[".repeat(1_000_000)
        }) {
            assertThatThrownBy(() -> Safetensors.open(index(json))).isInstanceOf(ModelFormatException.class);
        }
        assertThatThrownBy(() -> Safetensors.open(folder.resolve("gone.safetensors")))
                .isInstanceOf(UsageException.class);
    }
}

package dev.demitasse.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.DemitasseException;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.testkit.Golden;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Files that are damaged on purpose: each ends in the typed exception, with the words that say what is wrong. */
class GgufHostileInputTest {
    private record Case(
            String name, Consumer<ByteBuffer> content, Class<? extends DemitasseException> type, String words) {}

    private static ByteBuffer header(ByteBuffer out, int version, long tensors, long metadata) {
        return out.put("GGUF".getBytes(StandardCharsets.US_ASCII))
                .putInt(version)
                .putLong(tensors)
                .putLong(metadata);
    }

    private static ByteBuffer text(ByteBuffer out, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        return out.putLong(bytes.length).put(bytes);
    }

    private static void tensor(ByteBuffer out, String name, int type, long offset, long... dimensions) {
        text(out, name).putInt(dimensions.length);
        for (long dimension : dimensions) {
            out.putLong(dimension);
        }
        out.putInt(type).putLong(offset);
    }

    private static Case bad(String name, String words, Consumer<ByteBuffer> content) {
        return new Case(name, content, ModelFormatException.class, words);
    }

    private static List<Case> cases() {
        List<Case> cases = new ArrayList<>();
        cases.add(bad("empty", "fewer than a GGUF header", out -> {}));
        cases.add(bad("magic", "does not begin with", out -> out.put(new byte[64])));
        cases.add(bad("byte-swapped", "byte-swapped", out -> header(out, 3 << 24, 0, 0)));
        for (int version : new int[] {0, 1, 4, -1}) {
            cases.add(new Case(
                    "version " + version,
                    out -> header(out, version, 0, 0),
                    UnsupportedModelException.class,
                    "versions 2 and 3"));
        }
        for (long count : new long[] {-1, Long.MIN_VALUE, Long.MAX_VALUE, 1 << 20}) {
            cases.add(bad(
                    "tensor count " + count,
                    "more than the file has room",
                    out -> header(out, 3, count, 0).put(new byte[64])));
            cases.add(bad(
                    "metadata count " + count,
                    "more than the file has room",
                    out -> header(out, 3, 0, count).put(new byte[64])));
            cases.add(bad(
                    "string length " + count,
                    "more than the file has left",
                    out -> header(out, 3, 0, 1).putLong(count).put(new byte[64])));
            cases.add(bad(
                    "array length " + count,
                    "more than the file has room",
                    out -> text(header(out, 3, 0, 1), "a")
                            .putInt(9)
                            .putInt(5)
                            .putLong(count)
                            .put(new byte[64])));
        }
        cases.add(bad(
                "key that is not UTF-8",
                "not UTF-8",
                out -> header(out, 3, 0, 1)
                        .putLong(2)
                        .put(new byte[] {(byte) 0xC3, 0x28})
                        .putInt(4)
                        .putInt(1)
                        .put(new byte[32])));
        cases.add(bad(
                "long key",
                "at most 65535",
                out -> header(out, 3, 0, 1).putLong(70_000).put(new byte[70_032])));
        cases.add(bad(
                "unknown metadata type",
                "unknown metadata type",
                out -> text(header(out, 3, 0, 1), "a").putInt(99).put(new byte[32])));
        cases.add(bad(
                "boolean of 2",
                "boolean",
                out -> text(header(out, 3, 0, 1), "a").putInt(7).put((byte) 2).put(new byte[32])));
        cases.add(bad(
                "nested array",
                "nested",
                out -> text(header(out, 3, 0, 1), "a")
                        .putInt(9)
                        .putInt(9)
                        .putLong(1)
                        .put(new byte[32])));
        cases.add(bad(
                "duplicate key",
                "twice",
                out -> text(text(header(out, 3, 0, 2), "a").putInt(4).putInt(1), "a")
                        .putInt(4)
                        .putInt(1)
                        .put(new byte[32])));
        for (int alignment : new int[] {0, 3, -32}) {
            cases.add(bad(
                    "alignment " + alignment,
                    "power of two",
                    out -> text(header(out, 3, 0, 1), "general.alignment")
                            .putInt(4)
                            .putInt(alignment)
                            .put(new byte[64])));
        }
        cases.add(bad("duplicate tensor", "twice", out -> {
            header(out, 3, 2, 0);
            tensor(out, "t", 0, 0, 8);
            tensor(out, "t", 0, 32, 8);
            out.put(new byte[128]);
        }));
        for (long[] dimensions : new long[][] {{}, {8, 1, 1, 1, 1}, {0}, {-8}, {8, -1}, {8, 0}}) {
            cases.add(bad("dimensions " + java.util.Arrays.toString(dimensions), "dimensions", out -> {
                header(out, 3, 1, 0);
                tensor(out, "t", 0, 0, dimensions);
                out.put(new byte[128]);
            }));
        }
        for (long[] dimensions :
                new long[][] {{1L << 32, 1L << 32, 4}, {1L << 62, 4}, {8, Long.MAX_VALUE, 3}, {Long.MAX_VALUE / 2, 2}
                }) {
            cases.add(bad("overflow " + java.util.Arrays.toString(dimensions), "overflow", out -> {
                header(out, 3, 1, 0);
                tensor(out, "t", 0, 0, dimensions);
                out.put(new byte[128]);
            }));
        }
        cases.add(new Case(
                "unknown tensor type",
                out -> {
                    header(out, 3, 1, 0);
                    tensor(out, "t", 28, 0, 256);
                    out.put(new byte[128]);
                },
                UnsupportedModelException.class,
                "F64"));
        cases.add(bad("row that is no multiple of a block", "no multiple", out -> {
            header(out, 3, 1, 0);
            tensor(out, "t", 2, 0, 33);
            out.put(new byte[128]);
        }));
        cases.add(bad("misaligned offset", "not aligned", out -> {
            header(out, 3, 1, 0);
            tensor(out, "t", 0, 4, 8);
            out.put(new byte[128]);
        }));
        cases.add(bad("negative offset", "not aligned", out -> {
            header(out, 3, 1, 0);
            tensor(out, "t", 0, -32, 8);
            out.put(new byte[128]);
        }));
        cases.add(bad("overlap", "overlaps", out -> {
            header(out, 3, 2, 0);
            tensor(out, "t", 0, 0, 16);
            tensor(out, "u", 0, 32, 16);
            out.put(new byte[256]);
        }));
        cases.add(bad("past the end", "ends before", out -> {
            header(out, 3, 1, 0);
            tensor(out, "t", 0, 1 << 20, 8);
            out.put(new byte[128]);
        }));
        cases.add(bad("huge offset", "ends before", out -> {
            header(out, 3, 1, 0);
            tensor(out, "t", 0, Long.MAX_VALUE - 31, 8);
            out.put(new byte[128]);
        }));
        return cases;
    }

    @TestFactory
    Stream<DynamicTest> refusesDamagedFiles(@TempDir Path folder) {
        return cases().stream()
                .map(c -> DynamicTest.dynamicTest(c.name, () -> {
                    ByteBuffer out = ByteBuffer.allocate(1 << 17).order(ByteOrder.LITTLE_ENDIAN);
                    c.content.accept(out);
                    byte[] bytes = new byte[out.position()];
                    out.flip().get(bytes);
                    Path file = folder.resolve("case" + Integer.toHexString(c.name.hashCode()) + ".gguf");
                    Files.write(file, bytes);
                    assertThatThrownBy(() -> Gguf.open(file).close())
                            .isInstanceOf(c.type)
                            .hasMessageContaining(c.words)
                            .hasMessageContaining(file.getFileName().toString());
                }));
    }

    @Test
    void refusesTruncationAtEveryByteOfTheHeader() throws IOException {
        byte[] bytes = Files.readAllBytes(Golden.tiny("qwen2"));
        long header = bytes.length - dataBytes(bytes);
        for (int length = 0; length < header; length++) {
            MemorySegment cut = MemorySegment.ofArray(bytes).asSlice(0, length);
            assertThatThrownBy(() -> Gguf.parse("cut", cut).close())
                    .as("cut after %d bytes", length)
                    .isInstanceOf(ModelFormatException.class);
        }
    }

    private static long dataBytes(byte[] bytes) {
        try (Gguf gguf = Gguf.parse("whole", MemorySegment.ofArray(bytes))) {
            return gguf.tensors().stream()
                    .mapToLong(tensor -> (tensor.data().byteSize() + 31) / 32 * 32)
                    .sum();
        }
    }

    @Test
    void writesBackEveryGoldenFileByteForByte() throws IOException {
        for (String architecture : Golden.TINY) {
            Path file = Golden.tiny(architecture);
            try (Gguf gguf = Gguf.open(file)) {
                ByteArrayOutputStream out = new ByteArrayOutputStream();
                GgufWriter.copyOf(gguf).write(out);
                assertThat(out.toByteArray()).as(architecture).isEqualTo(Files.readAllBytes(file));
            }
        }
    }

    @Test
    void loadsSplitFilesAsOne(@TempDir Path folder) throws IOException {
        try (Gguf gguf = Gguf.open(Golden.tiny("llama"))) {
            GgufWriter first = new GgufWriter(3, 32);
            gguf.metadata().all().forEach(first::metadata);
            GgufWriter second = new GgufWriter(3, 32);
            int i = 0;
            for (var tensor : gguf.tensors()) {
                GgufWriter part = i++ % 2 == 0 ? first : second;
                part.tensor(tensor.name(), tensor.type(), tensor.dimensions(), tensor.data());
            }
            for (GgufWriter part : List.of(first, second)) {
                part.metadata("split.count", MetadataValue.of(MetadataType.UINT16, (short) 2));
                part.metadata("split.no", MetadataValue.of(MetadataType.UINT16, (short) (part == first ? 0 : 1)));
            }
            Path path = folder.resolve("m-00001-of-00002.gguf");
            first.write(path);
            assertThatThrownBy(() -> Gguf.open(path).close()).hasMessageContaining("Part 2 of 2 is missing");
            second.write(folder.resolve("m-00002-of-00002.gguf"));
            try (Gguf joined = Gguf.open(path)) {
                assertThat(joined.tensors()).hasSameSizeAs(gguf.tensors());
            }
            Path other = folder.resolve("m-00002-of-00002.gguf");
            assertThatThrownBy(() -> Gguf.open(other).close()).hasMessageContaining("not the first part");
        }
    }
}

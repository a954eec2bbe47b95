package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.exception.SessionFormatException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvType;
import dev.demitasse.testkit.Golden;
import dev.demitasse.testkit.Seeds;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files of saved sessions: what was said comes back, and what is damaged is told. */
class SessionFileTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(128);
    private static final GenerationOptions FEW =
            GenerationOptions.GREEDY.withMaximumTokens(4).withIgnoreEnd(true);
    private static final int[] PROMPT = IntStream.range(3, 73).toArray();
    private static final List<Message> HISTORY = List.of(
            Message.system("Be \"brief\".\n"),
            Message.user("What is it like in Turin? \u2603"),
            Message.assistant("", "I must look.", List.of(new ToolCall("call_1", "weather", "{\"city\":\"Turin\"}"))),
            Message.tool(new ToolCall("call_1", "weather", "{}"), "rain"));

    @TempDir
    private Path folder;

    private Path saved(String name) {
        Path file = folder.resolve(name);
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS);
                Session session = model.newSession()) {
            session.history(HISTORY);
            session.generate(PROMPT, FEW, text -> {});
            session.save(file);
        }
        return file;
    }

    @Test
    void allThatWasSaidComesBack() {
        Path file = saved("a");
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS);
                Session session = model.restoreSession(file)) {
            assertThat(session.history()).isEqualTo(HISTORY);
            assertThat(session.length()).isEqualTo(PROMPT.length + 3);
            assertThat(session.generate(PROMPT, FEW, text -> {}).cachedTokens()).isEqualTo(PROMPT.length - 1);
        }
    }

    @Test
    void aSessionThatWasNeverAskedComesBack() {
        try (Model model = Model.load(Golden.tiny("qwen35"), OPTIONS);
                Session session = model.newSession()) {
            session.history(HISTORY);
            session.save(folder.resolve("empty"));
            try (Session restored = model.restoreSession(folder.resolve("empty"))) {
                assertThat(restored.history()).isEqualTo(HISTORY);
                assertThat(restored.length()).isZero();
            }
        }
    }

    /** Of another type of cache, or where a context is shorter, what was said comes back, and is computed again. */
    @Test
    void aCacheThatDoesNotFitIsComputedAgain() {
        Path file = saved("a");
        for (ModelOptions other : List.of(
                OPTIONS.withKvType(KvType.F32), OPTIONS.withKvType(KvType.INT8), OPTIONS.withContextLength(64))) {
            try (Model model = Model.load(Golden.tiny("llama"), other);
                    Session session = model.restoreSession(file)) {
                assertThat(session.history()).isEqualTo(HISTORY);
                assertThat(session.length()).isZero();
                int[] few = Arrays.copyOf(PROMPT, 40);
                assertThat(session.generate(few, FEW, text -> {}).cachedTokens())
                        .isZero();
            }
        }
    }

    @Test
    void aSessionOfAnotherModelIsRefused() {
        Path file = saved("a");
        try (Model model = Model.load(Golden.tiny("qwen2"), OPTIONS)) {
            assertThatThrownBy(() -> model.restoreSession(file))
                    .isInstanceOf(SessionFormatException.class)
                    .hasMessageContaining("another model")
                    .hasMessageContaining(model.fingerprint());
        }
    }

    @Test
    void aSessionOfTheSameModelWithOtherWeightsIsRefused() throws IOException {
        Path file = saved("a");
        byte[] bytes = Files.readAllBytes(Golden.tiny("llama"));
        bytes[bytes.length - 100] ^= 1;
        Path other = Files.write(folder.resolve("other.gguf"), bytes);
        try (Model model = Model.load(other, OPTIONS)) {
            assertThatThrownBy(() -> model.restoreSession(file))
                    .isInstanceOf(SessionFormatException.class)
                    .hasMessageContaining("another model");
        }
    }

    /** Whatever bytes are cut off, added or changed: a typed exception, and no page is lost. */
    @Test
    void whatIsDamagedIsRefused() throws IOException {
        Path file = saved("a");
        byte[] whole = Files.readAllBytes(file);
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS)) {
            Seeds.forEach(400, random -> {
                byte[] bytes = whole.clone();
                switch (random.nextInt(4)) {
                    case 0 -> bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length));
                    case 1 -> bytes = Arrays.copyOf(bytes, bytes.length + 1 + random.nextInt(10));
                    case 2 -> bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
                    default -> bytes[random.nextInt(24)] ^= (byte) (1 << random.nextInt(8));
                }
                Path damaged = folder.resolve("damaged");
                write(damaged, bytes);
                assertThatThrownBy(() -> model.restoreSession(damaged)).isInstanceOf(SessionFormatException.class);
                assertThat(model.cacheUse()).isZero();
            });
            try (Session session = model.restoreSession(file)) {
                assertThat(session.length()).isPositive();
            }
        }
    }

    /** A cache that is damaged takes nobody's room. */
    @Test
    void whatOthersHaveCachedOutlivesADamagedFile() throws IOException {
        Path file = saved("a");
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 100] ^= 1;
        write(file, bytes);
        int[] other = IntStream.range(103, 173).toArray();
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS.withSequences(1))) {
            try (Session session = model.newSession()) {
                session.generate(other, FEW, text -> {});
            }
            assertThatThrownBy(() -> model.restoreSession(file))
                    .isInstanceOf(SessionFormatException.class)
                    .hasMessageContaining("its cache is not what was saved");
            try (Session session = model.newSession()) {
                assertThat(session.generate(other, FEW, text -> {}).cachedTokens())
                        .isPositive();
            }
        }
    }

    /** What a header says is checked, also where its check is right. */
    @Test
    void aHeaderThatMakesNoSenseIsRefused() throws IOException {
        byte[] whole = Files.readAllBytes(saved("a"));
        ByteBuffer first = ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN);
        int length = first.getInt(12);
        String json = new String(whole, 16, length, StandardCharsets.UTF_8);
        byte[] rows = Arrays.copyOfRange(whole, 16 + length + 4, whole.length);
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS)) {
            Path file = folder.resolve("made");
            write(file, file(json, rows));
            model.restoreSession(file).close();
            for (String[] change : new String[][] {
                {"\"dropped\":0", "\"dropped\":4"}, // one of four is the system's
                {"\"dropped\":0", "\"dropped\":-1"},
                {"\"dropped\":0", "\"dropped\":1.5"},
                {"\"promptTokens\":0", "\"promptTokens\":1000"},
                {"\"followed\":0", "\"followed\":9000000000"},
                {"\"tokens\":\"", "\"tokens\":\"AAAA"},
                {"\"tokens\":\"", "\"tokens\":\"*"},
                {"\"history\":[", "\"history\":[{},"},
                {"\"history\":[", "\"history\":[7,"},
                {"\"role\":\"user\"", "\"role\":null"},
                {"\"arguments\":\"{", "\"arguments\":\"["},
                {"{\"model\"", "[{\"model\""},
                {"\"layout\"", "\"other\""}
            }) {
                String changed = json.replace(change[0], change[1]);
                assertThat(changed).as(change[1]).isNotEqualTo(json);
                write(file, file(changed, rows));
                assertThatThrownBy(() -> model.restoreSession(file))
                        .as(change[1])
                        .isInstanceOf(SessionFormatException.class);
            }
        }
    }

    private static byte[] file(String json, byte[] rows) {
        byte[] header = json.getBytes(StandardCharsets.UTF_8);
        ByteBuffer file =
                ByteBuffer.allocate(16 + header.length + 4 + rows.length).order(ByteOrder.LITTLE_ENDIAN);
        file.put("DMTSESSN".getBytes(StandardCharsets.UTF_8))
                .putInt(1)
                .putInt(header.length)
                .put(header);
        CRC32C check = new CRC32C();
        check.update(file.array(), 0, 16 + header.length);
        return file.putInt((int) check.getValue()).put(rows).array();
    }

    /** What was said is for its owner, and a link to the file stays one. */
    @Test
    void aFileIsItsOwnersAndALinkStays() throws IOException {
        Path file = saved("a");
        Path link = Files.createSymbolicLink(folder.resolve("link"), file);
        assertThat(Files.getPosixFilePermissions(file))
                .containsExactlyInAnyOrder(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE);
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS);
                Session session = model.restoreSession(link)) {
            session.history(List.of(Message.user("other")));
            session.save(link);
        }
        assertThat(Files.isSymbolicLink(link)).isTrue();
        assertThat(Files.readString(file, StandardCharsets.ISO_8859_1)).contains("other");
    }

    private static void write(Path path, byte[] bytes) {
        try {
            Files.write(path, bytes);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void whatCannotBeWrittenOrReadIsTold() throws IOException {
        Path file = saved("a");
        byte[] before = Files.readAllBytes(file);
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS);
                Session session = model.restoreSession(file)) {
            Path nowhere = folder.resolve("missing").resolve("file");
            assertThatThrownBy(() -> session.save(nowhere))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining(nowhere.toString());
            assertThatThrownBy(() -> session.save(folder)).isInstanceOf(UsageException.class);
            assertThatThrownBy(() -> model.restoreSession(nowhere)).isInstanceOf(UsageException.class);
            Session closed = session.fork();
            closed.close();
            assertThatThrownBy(() -> closed.save(file)).isInstanceOf(UsageException.class);
        }
        assertThat(Files.readAllBytes(file)).isEqualTo(before);
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files).containsExactly(file);
        }
    }

    @Test
    void whatASessionSaysNextIsTheSameSavedOrNot() {
        Path file = folder.resolve("said");
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS);
                Session session = model.newSession()) {
            session.generate(PROMPT, FEW, text -> {});
            session.save(file);
            session.save(file); // over itself
            int[] next = Arrays.copyOf(PROMPT, PROMPT.length + 5);
            try (Session restored = model.restoreSession(file)) {
                assertThat(restored.generate(next, FEW, text -> {}).tokens())
                        .isEqualTo(session.generate(next, FEW, text -> {}).tokens());
            }
        }
    }
}

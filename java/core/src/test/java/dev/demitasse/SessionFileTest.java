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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
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

package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.chat.Message;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SessionTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(128).withSequences(2);
    private static final GenerationOptions GREEDY =
            GenerationOptions.GREEDY.withMaximumTokens(12).withIgnoreEnd(true);

    @TempDir
    static Path folder;

    private static Model model;
    private static Path file;

    /** A tiny model with a chat template. */
    @BeforeAll
    static void load() throws IOException {
        file = folder.resolve("chat.gguf");
        try (Gguf source = Gguf.open(Golden.tiny("llama"))) {
            String template = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}a:";
            GgufWriter.copyOf(source)
                    .metadata("tokenizer.chat_template", MetadataValue.of(MetadataType.STRING, template))
                    .write(file);
        }
        model = Model.load(file, OPTIONS);
    }

    @AfterAll
    static void close() {
        model.close();
    }

    @Test
    void aFurtherTurnGivesWhatAFreshSessionWithTheSameHistoryGives() {
        try (Session session = model.newSession();
                Session fresh = model.newSession()) {
            Generation first = session.chat("hi", GREEDY, text -> {});
            Generation second = session.chat("and", GREEDY, text -> {});
            fresh.history(List.of(Message.user("hi"), Message.assistant(first.text())));
            assertThat(fresh.chat("and", GREEDY, text -> {}).tokens()).isEqualTo(second.tokens());
            assertThat(session.history())
                    .extracting(Message::role)
                    .containsExactly("user", "assistant", "user", "assistant");
        }
    }

    @Test
    void listenerStreamAndPublisherGiveTheSameText() throws Exception {
        StringBuilder heard = new StringBuilder();
        String text;
        try (Session session = model.newSession()) {
            text = session.chat("tell", GREEDY, heard::append).text();
        }
        assertThat(heard.toString()).isEqualTo(text);
        try (Session session = model.newSession();
                Stream<String> stream = session.stream("tell", GREEDY)) {
            assertThat(String.join("", stream.toList())).isEqualTo(text);
        }
        try (Session session = model.newSession()) {
            CompletableFuture<String> all = new CompletableFuture<>();
            session.publisher("tell", GREEDY).subscribe(collector(all));
            assertThat(all.get(90, TimeUnit.SECONDS)).isEqualTo(text);
        }
    }

    /** A stream left open says that it holds the session; closing it, late too, ends its own answer and no other. */
    @Test
    void aStreamThatIsNotClosedSaysWhoseItIs() {
        GenerationOptions endless = GREEDY.withMaximumTokens(100);
        try (Session session = model.newSession()) {
            try (Stream<String> stream = session.stream("tell", endless)) {
                Iterator<String> pieces = stream.iterator();
                assertThat(pieces.hasNext()).isTrue();
                try {
                    session.chat("me too", GREEDY, text -> {});
                } catch (UsageException e) {
                    assertThat(e).hasMessageContaining("stream()"); // unless the answer has ended meanwhile
                }
            }
            try (Stream<String> first = session.stream("tell", GREEDY)) {
                assertThat(first.toList()).isNotEmpty();
                Runnable closing = first::close;
                Generation next = session.chat("go on", endless, text -> closing.run());
                assertThat(next.finishReason()).isEqualTo(FinishReason.LENGTH);
            }
        }
    }

    /** A subscriber that asks for no more holds nobody: the answer waits, and cancel or close ends it. */
    @Test
    void aSubscriberThatStopsAskingIsFreedByCancel() throws Exception {
        for (int i = 0; i < 2; i++) {
            try (Session session = model.newSession()) {
                CountDownLatch received = new CountDownLatch(1);
                CompletableFuture<Integer> completed = new CompletableFuture<>();
                session.publisher("tell", GREEDY.withMaximumTokens(60)).subscribe(new Flow.Subscriber<>() {
                    private int items;

                    @Override
                    public void onSubscribe(Flow.Subscription subscription) {
                        subscription.request(1);
                    }

                    @Override
                    public void onNext(String item) {
                        items++;
                        received.countDown();
                    }

                    @Override
                    public void onError(Throwable throwable) {
                        completed.completeExceptionally(throwable);
                    }

                    @Override
                    public void onComplete() {
                        completed.complete(items);
                    }
                });
                received.await();
                assertThatThrownBy(session::history)
                        .isInstanceOf(UsageException.class)
                        .hasMessageContaining("publisher()");
                if (i == 0) {
                    session.cancel();
                } else {
                    Runnable close = session::close;
                    close.run();
                }
                assertThat(completed.get(90, TimeUnit.SECONDS)).isEqualTo(1);
            }
        }
    }

    /** What is missing is a NullPointerException, what is wrong a UsageException: one rule. */
    @Test
    void missingArgumentsAreRefused() {
        String none = (new String[1])[0]; // null, which the compiler does not see
        Path nowhere = (new Path[1])[0];
        try (Session session = model.newSession()) {
            List<Runnable> calls = List.of(
                    () -> session.chat(none),
                    () -> session.chat("hi", (new GenerationOptions[1])[0], text -> {}),
                    () -> session.generate(none, GREEDY, text -> {}),
                    () -> session.generate((new int[1][])[0], GREEDY, text -> {}),
                    () -> Message.user(none),
                    () -> session.history(Arrays.asList((new Message[1])[0])),
                    () -> GREEDY.withSampling((new SamplingOptions[1])[0]),
                    () -> GREEDY.withStop(none),
                    () -> OPTIONS.withBackend(none),
                    () -> Model.load(nowhere).close(),
                    () -> Devices.open(none, DeviceOptions.defaults()).close());
            for (int i = 0; i < calls.size(); i++) {
                assertThatThrownBy(calls.get(i)::run).as("call %d", i).isInstanceOf(NullPointerException.class);
            }
            assertThat(session.chat("hi", GREEDY, text -> {}).tokens()).isNotEmpty();
        }
        assertThatThrownBy(() -> GREEDY.withDeadline(Duration.ofNanos(-1))).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> OPTIONS.withSequences(0)).isInstanceOf(UsageException.class);
    }

    private static Flow.Subscriber<String> collector(CompletableFuture<String> all) {
        return new Flow.Subscriber<>() {
            private final StringBuilder text = new StringBuilder();

            @Override
            public void onSubscribe(Flow.Subscription subscription) {
                subscription.request(Long.MAX_VALUE);
            }

            @Override
            public void onNext(String item) {
                text.append(item);
            }

            @Override
            public void onError(Throwable throwable) {
                all.completeExceptionally(throwable);
            }

            @Override
            public void onComplete() {
                all.complete(text.toString());
            }
        };
    }

    @Test
    void stopTextsCutTheAnswer() {
        try (Session session = model.newSession()) {
            String whole = session.chat("tell", GREEDY, text -> {}).text();
            String stop = whole.substring(2, 4);
            session.history(List.of());
            Generation cut = session.chat("tell", GREEDY.withStop(stop), text -> {});
            assertThat(cut.text()).isEqualTo(whole.substring(0, whole.indexOf(stop)));
            assertThat(cut.finishReason()).isEqualTo(FinishReason.STOP);
        }
    }

    @Test
    void cancelEndsAnAnswerAndTheSessionGoesOn() {
        try (Session session = model.newSession()) {
            GenerationOptions endless = GREEDY.withMaximumTokens(100);
            Generation cancelled = session.chat("tell", endless, text -> session.cancel());
            assertThat(cancelled.finishReason()).isEqualTo(FinishReason.CANCELLED);
            assertThat(cancelled.tokens()).hasSizeLessThan(100);
            assertThat(session.chat("more", GREEDY, text -> {}).tokens()).hasSize(12);
        }
    }

    @Test
    void theContextsEndIsALengthAndATooLongPromptIsRefused() {
        try (Session session = model.newSession()) {
            Generation filled = session.generate(new int[100], GREEDY.withMaximumTokens(1000), text -> {});
            assertThat(filled.finishReason()).isEqualTo(FinishReason.LENGTH);
            assertThat(filled.tokens()).hasSize(28);
            assertThatThrownBy(() -> session.generate(new int[128], GREEDY, text -> {}))
                    .isInstanceOf(ContextFullException.class)
                    .hasMessageContaining("128");
            assertThatThrownBy(() -> session.chat("x".repeat(500), GREEDY, text -> {}))
                    .isInstanceOf(ContextFullException.class);
            assertThat(session.history()).isEmpty();
        }
    }

    @Test
    void misuseIsRefusedWithWordsThatHelp() throws InterruptedException {
        Session session = model.newSession();
        AtomicReference<Throwable> seen = new AtomicReference<>();
        CountDownLatch tried = new CountDownLatch(1);
        session.chat("tell", GREEDY, text -> {
            if (tried.getCount() > 0) {
                Thread other = Thread.ofPlatform().start(() -> {
                    try {
                        session.chat("me too", GREEDY, more -> {});
                    } catch (RuntimeException e) {
                        seen.set(e);
                    }
                });
                try {
                    other.join();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
                tried.countDown();
            }
        });
        tried.await();
        assertThat(seen.get()).isInstanceOf(UsageException.class).hasMessageContaining("in use by thread");
        assertThatThrownBy(() -> session.generate(new int[] {99_999}, GREEDY, text -> {}))
                .isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> session.generate(new int[0], GREEDY, text -> {}))
                .isInstanceOf(UsageException.class);
        session.close();
        session.close();
        assertThatThrownBy(() -> session.chat("hi"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("closed");
        Model closed = Model.load(file, OPTIONS);
        Session orphan = closed.newSession();
        closed.close();
        closed.close();
        assertThatThrownBy(closed::newSession)
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("closed");
        assertThatThrownBy(() -> orphan.chat("hi"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("closed");
        orphan.close();
    }

    @Test
    void aModelWithoutTemplateSaysSo() {
        try (Model base = Model.load(Golden.tiny("llama"), OPTIONS);
                Session session = base.newSession()) {
            assertThatThrownBy(() -> session.chat("hi"))
                    .isInstanceOf(UnsupportedModelException.class)
                    .hasMessageContaining("no chat template");
        }
    }

    @Test
    void aBackendAskedForByNameNeverFallsBack() {
        assertThatThrownBy(
                        () -> Devices.open("nonesuch", DeviceOptions.defaults()).close())
                .isInstanceOf(BackendUnavailableException.class)
                .hasMessageContaining("reference");
        assertThatThrownBy(
                        () -> Model.load(file, OPTIONS.withBackend("nonesuch")).close())
                .isInstanceOf(BackendUnavailableException.class);
    }

    @Test
    void loadsAndSessionsLeaveMemoryAndFilesAsTheyWere() throws IOException {
        long memory = HostMemory.allocatedBytes();
        long files = openFiles();
        for (int i = 0; i < 20; i++) {
            try (Model loaded = Model.load(file, OPTIONS);
                    Session session = loaded.newSession()) {
                session.chat("hi", GREEDY.withMaximumTokens(2), text -> {});
            }
        }
        assertThat(HostMemory.allocatedBytes()).isEqualTo(memory);
        for (int i = 0; i < 200; i++) {
            try (Session session = model.newSession()) {
                session.chat("hi", GREEDY.withMaximumTokens(2), text -> {});
            }
        }
        assertThat(HostMemory.allocatedBytes()).isEqualTo(memory);
        assertThat(openFiles()).isLessThanOrEqualTo(files + 2);
    }

    private static long openFiles() throws IOException {
        Path descriptors = Path.of("/proc/self/fd");
        if (!Files.isDirectory(descriptors)) {
            return 0;
        }
        try (Stream<Path> all = Files.list(descriptors)) {
            return all.count();
        }
    }

    @Test
    void moreSessionsAtOnceThanTheCacheHoldsTakeTurns() throws Exception {
        Generation alone;
        try (Session session = model.newSession()) {
            alone = session.generate(new int[60], GREEDY, text -> {});
        }
        List<Thread> threads = new ArrayList<>();
        List<Object> results = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            threads.add(Thread.ofPlatform().start(() -> {
                Object result;
                try (Session session = model.newSession()) {
                    result = session.generate(new int[60], GREEDY, text -> {}).tokens();
                } catch (RuntimeException e) {
                    result = e;
                }
                synchronized (results) {
                    results.add(result);
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(results).hasSize(6).allMatch(alone.tokens()::equals);
    }

    @Test
    void idleSessionsGiveUpTheirCacheAndComputeItAgain() {
        try (Session one = model.newSession();
                Session two = model.newSession();
                Session three = model.newSession()) {
            List<Integer> first = one.generate(new int[100], GREEDY, text -> {}).tokens();
            two.generate(new int[100], GREEDY, text -> {});
            assertThat(three.generate(new int[100], GREEDY, text -> {}).tokens())
                    .isEqualTo(first);
            assertThat(one.generate(new int[100], GREEDY, text -> {}).tokens()).isEqualTo(first);
        }
    }
}

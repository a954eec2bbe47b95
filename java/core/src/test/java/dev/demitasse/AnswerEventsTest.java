package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AnswerEventsTest {
    private static final GenerationOptions OPTIONS =
            GenerationOptions.GREEDY.withMaximumTokens(9).withIgnoreEnd(true).withDrafts(0);

    private static Model load() {
        return Model.load(
                Golden.tiny("llama"),
                ModelOptions.DEFAULT.withBackend("reference").withContextLength(64));
    }

    @Test
    void aFlightRecorderHearsOfAnswersAndTokens(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("answers.jfr");
        try (Recording recording = new Recording();
                Model model = load();
                Session session = model.newSession()) {
            recording.enable("demitasse.Answer");
            recording.enable("demitasse.Tokens");
            recording.start();
            session.generate(new int[] {5, 6, 7}, OPTIONS, text -> {});
            assertThatThrownBy(() -> session.generate(new int[100], OPTIONS, text -> {}))
                    .isInstanceOf(ContextFullException.class);
            recording.stop();
            recording.dump(file);
        }
        List<RecordedEvent> events = RecordingFile.readAllEvents(file);
        List<RecordedEvent> answers = events.stream()
                .filter(event -> event.getEventType().getName().equals("demitasse.Answer"))
                .toList();
        assertThat(answers).hasSize(2);
        assertThat(answers.getFirst().getInt("promptTokens")).isEqualTo(3);
        assertThat(answers.getFirst().getInt("generatedTokens")).isEqualTo(9);
        assertThat(answers.getFirst().getString("finishReason")).isEqualTo("LENGTH");
        assertThat(answers.getLast().getString("finishReason")).isEqualTo("FAILED");
        List<RecordedEvent> tokens = events.stream()
                .filter(event -> event.getEventType().getName().equals("demitasse.Tokens"))
                .toList();
        assertThat(tokens)
                .isNotEmpty()
                .allMatch(event -> event.getLong("answer") == answers.getFirst().getLong("answer"));
        assertThat(answers.getLast().getLong("answer"))
                .isNotEqualTo(answers.getFirst().getLong("answer"));
        assertThat(tokens.stream().mapToInt(event -> event.getInt("count")).sum())
                .isEqualTo(9);
    }

    /** Of embeddings and of scores, and of those that end in an exception. */
    @Test
    void aFlightRecorderHearsOfEmbeddingsAndScores(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("embeddings.jfr");
        try (Recording recording = new Recording();
                EmbeddingModel model = EmbeddingModel.load(Golden.embedding("bert-mean"));
                Reranker reranker = Reranker.load(Golden.embedding("bert-rank"))) {
            recording.enable("demitasse.Embedding");
            recording.start();
            model.embedTokens(List.of(new int[] {5, 6, 7}, new int[] {8}));
            reranker.score("a", List.of("b", "c"));
            assertThatThrownBy(() -> model.embedTokens(List.of(new int[] {1_000_000})))
                    .isInstanceOf(UsageException.class);
            recording.stop();
            recording.dump(file);
        }
        List<RecordedEvent> events = RecordingFile.readAllEvents(file);
        assertThat(events).extracting(event -> event.getInt("texts")).containsExactly(2, 2, 1);
        assertThat(events.getFirst().getLong("tokens")).isEqualTo(4);
        assertThat(events).extracting(event -> event.getString("pooling")).containsExactly("MEAN", "RANK", "MEAN");
        assertThat(events).extracting(event -> event.getBoolean("failed")).containsExactly(false, false, true);
    }

    /** Every kind of model tells how far its load is, up to all of it. */
    @Test
    void listenersHearOfLoads() {
        List<Long> heard = new ArrayList<>();
        LoadListener listener = (done, total) -> {
            assertThat(done).isBetween(0L, total);
            heard.add(total - done);
        };
        Model.load(Golden.tiny("llama"), ModelOptions.DEFAULT.withBackend("reference"), listener)
                .close();
        EmbeddingModel.load(Golden.embedding("bert-mean"), EmbeddingOptions.DEFAULT, listener)
                .close();
        Reranker.load(Golden.embedding("bert-rank"), EmbeddingOptions.DEFAULT, listener)
                .close();
        assertThat(heard.stream().filter(left -> left == 0).count()).isGreaterThanOrEqualTo(3);
        assertThat(heard).hasSizeGreaterThan(30);
        assertThat(heard.getLast()).isZero();
    }

    @Test
    void aListenerHearsOfAnswersUntilItIsClosed() {
        List<Generation> heard = new ArrayList<>();
        try (Model model = load();
                Session session = model.newSession()) {
            assertThat(model.cacheUse()).isZero();
            assertThat(model.cacheBytes()).isPositive();
            try (Model.Listening listening = model.listen(heard::add);
                    Model.Listening failing = model.listen(answer -> {
                        throw new IllegalStateException("a listener's own");
                    })) {
                assertThat(listening).isNotNull();
                assertThat(failing).isNotNull();
                Generation answer = session.generate(new int[] {5, 6, 7}, OPTIONS, text -> {});
                assertThat(heard).containsExactly(answer);
            }
            assertThat(model.cacheUse()).isBetween(0.01, 1.0);
            session.generate(new int[] {5, 6, 7}, OPTIONS, text -> {});
            assertThat(heard).hasSize(1);
        }
    }
}

package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.ContextFullException;
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
        assertThat(events.stream()
                        .filter(event -> event.getEventType().getName().equals("demitasse.Tokens"))
                        .mapToInt(event -> event.getInt("count"))
                        .sum())
                .isEqualTo(9);
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

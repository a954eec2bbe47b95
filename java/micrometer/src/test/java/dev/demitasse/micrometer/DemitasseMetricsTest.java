package dev.demitasse.micrometer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Session;
import dev.demitasse.testkit.Golden;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import org.junit.jupiter.api.Test;

class DemitasseMetricsTest {
    @Test
    void answersTokensAndMemoryAreCountedUntilItIsClosed() {
        SimpleMeterRegistry registry = new SimpleMeterRegistry();
        GenerationOptions options = GenerationOptions.GREEDY
                .withMaximumTokens(5)
                .withIgnoreEnd(true)
                .withDrafts(0);
        try (Model model = Model.load(
                        Golden.tiny("llama"),
                        ModelOptions.DEFAULT.withBackend("reference").withContextLength(64));
                Session session = model.newSession()) {
            DemitasseMetrics metrics = new DemitasseMetrics(model);
            metrics.bindTo(registry);
            session.generate(new int[] {5, 6, 7}, options, text -> {});
            session.generate(new int[] {5, 6, 7, 8}, options, text -> {});
            metrics.close();
            session.generate(new int[] {5}, options, text -> {});
            assertThat(registry.get("demitasse.answer")
                            .tag("finish", "length")
                            .timer()
                            .count())
                    .isEqualTo(2);
            assertThat(registry.get("demitasse.answer.first.token").timer().count())
                    .isEqualTo(2);
            assertThat(registry.get("demitasse.tokens")
                            .tag("type", "prompt")
                            .counter()
                            .count())
                    .isEqualTo(7);
            assertThat(registry.get("demitasse.tokens")
                            .tag("type", "generated")
                            .counter()
                            .count())
                    .isEqualTo(10);
            assertThat(registry.get("demitasse.passes")
                            .tag("backend", "reference")
                            .counter()
                            .count())
                    .isEqualTo(10);
            assertThat(registry.get("demitasse.weights").gauge().value()).isPositive();
            assertThat(registry.get("demitasse.cache").gauge().value()).isPositive();
            assertThat(registry.get("demitasse.cache.use")
                            .tag("architecture", "llama")
                            .gauge()
                            .value())
                    .isBetween(0.01, 1.0);
        }
    }
}

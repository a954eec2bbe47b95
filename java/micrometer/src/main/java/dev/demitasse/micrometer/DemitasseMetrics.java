package dev.demitasse.micrometer;

import dev.demitasse.Generation;
import dev.demitasse.Model;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.binder.BaseUnits;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * Meters of a model, which all have its architecture and its backend as tags:
 *
 * <ul>
 *   <li>{@code demitasse.answer}: time of whole answers, by {@code finish} (stop, length, cancelled, deadline)
 *   <li>{@code demitasse.answer.first.token}: time from a call to the first token
 *   <li>{@code demitasse.tokens}: tokens, by {@code type} (prompt, cached of the prompt, generated)
 *   <li>{@code demitasse.passes}: passes of the model that generated tokens came of; fewer than those where drafts were
 *       right
 *   <li>{@code demitasse.weights} and {@code demitasse.cache}: bytes on the device; {@code demitasse.cache.use}: the
 *       share of the cache that sessions hold
 * </ul>
 *
 * Answers that an exception ends are not counted. Thread-safe.
 */
public final class DemitasseMetrics implements MeterBinder, AutoCloseable {
    private final Model model;
    private final Tags tags;
    private final List<Model.Listening> listening = new CopyOnWriteArrayList<>();

    /**
     * Meters of a model.
     *
     * @param model which stays the caller's
     * @param tags that all meters have beside those of the model
     */
    public DemitasseMetrics(Model model, Iterable<Tag> tags) {
        this.model = model;
        this.tags = Tags.of("architecture", model.architecture(), "backend", model.backend())
                .and(tags);
    }

    /**
     * Meters of a model without further tags.
     *
     * @param model which stays the caller's
     */
    public DemitasseMetrics(Model model) {
        this(model, Tags.empty());
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        gauge(registry, "demitasse.weights", "Weights on the device", BaseUnits.BYTES, Model::weightBytes);
        gauge(registry, "demitasse.cache", "Keys and values on the device", BaseUnits.BYTES, Model::cacheBytes);
        gauge(registry, "demitasse.cache.use", "Share of the cache that sessions hold", "share", Model::cacheUse);
        Timer firstToken = Timer.builder("demitasse.answer.first.token")
                .description("From a call to its first token")
                .tags(tags)
                .register(registry);
        Counter prompt = tokens(registry, "prompt");
        Counter generated = tokens(registry, "generated");
        Counter cached = tokens(registry, "cached");
        Counter passes = Counter.builder("demitasse.passes")
                .description("Passes of the model that tokens came of")
                .tags(tags)
                .register(registry);
        listening.add(model.listen(answer -> {
            time(registry, answer);
            firstToken.record(answer.promptTime());
            prompt.increment(answer.promptTokens().size());
            cached.increment(answer.cachedTokens());
            generated.increment(answer.tokens().size());
            passes.increment(answer.passes());
        }));
    }

    private void time(MeterRegistry registry, Generation answer) {
        Timer.builder("demitasse.answer")
                .description("Whole answers")
                .tags(tags.and("finish", answer.finishReason().name().toLowerCase(Locale.ROOT)))
                .register(registry)
                .record(answer.promptTime().plus(answer.decodeTime()));
    }

    private void gauge(
            MeterRegistry registry,
            String name,
            String description,
            String unit,
            java.util.function.ToDoubleFunction<Model> value) {
        Gauge.builder(name, model, value)
                .description(description)
                .baseUnit(unit)
                .tags(tags)
                .register(registry);
    }

    private Counter tokens(MeterRegistry registry, String type) {
        return Counter.builder("demitasse.tokens")
                .description("Tokens")
                .tags(tags.and("type", type))
                .register(registry);
    }

    /** Counts no more answers; what was counted stays in the registries. */
    @Override
    public void close() {
        listening.forEach(Model.Listening::close);
        listening.clear();
    }
}

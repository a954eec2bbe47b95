package dev.demitasse;

import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.sampling.Sampler;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** One answer as it comes: its tokens are read, and counted. */
final class Answering {
    private final Engine engine;
    private final Sequence sequence;
    private final GenerationOptions options;
    private final Sampler sampler;
    private final AnswerReader reader;
    private final Call call;
    private final List<Integer> tokens = new ArrayList<>();
    private final List<List<Logprobs.Entry>> top = new ArrayList<>();
    private int cached = -1; // of the prompt
    private int passes;
    private long firstToken;

    Answering(
            Engine engine,
            Sequence sequence,
            GenerationOptions options,
            Sampler sampler,
            AnswerReader reader,
            Call call) {
        this.engine = engine;
        this.sequence = sequence;
        this.options = options;
        this.sampler = sampler;
        this.reader = reader;
        this.call = call;
    }

    /** Answers a prompt, anew from within the window where the context ends and the options say so. */
    Generation run(int[] prompt, ContextWindow window) {
        long begin = System.nanoTime();
        firstToken = begin;
        FinishReason finish = read(prompt);
        while (finish == FinishReason.LENGTH
                && options.contextPolicy() == ContextPolicy.SLIDE
                && tokens.size() < options.maximumTokens()) {
            finish = read(window.slide(withAnswer(prompt)));
        }
        long end = System.nanoTime();
        reader.finish();
        return new Generation(
                Arrays.stream(prompt).boxed().toList(),
                List.copyOf(tokens),
                reader.text(),
                reader.thinking(),
                reader.toolCalls(),
                finish,
                options.logprobs() == 0 ? List.of() : List.copyOf(top),
                cached,
                passes,
                Duration.ofNanos(firstToken - begin),
                Duration.ofNanos(end - firstToken));
    }

    private int[] withAnswer(int[] prompt) {
        int[] all = Arrays.copyOf(prompt, prompt.length + tokens.size());
        for (int i = 0; i < tokens.size(); i++) {
            all[prompt.length + i] = tokens.get(i);
        }
        return all;
    }

    private FinishReason read(int[] prompt) {
        int before = tokens.size();
        int passesBefore = passes;
        int reused = engine.begin(
                sequence,
                prompt,
                sampler,
                options.maximumTokens() - before,
                options.logprobs(),
                options.drafts(),
                !options.ignoreEnd());
        cached = cached < 0 ? reused : cached;
        FinishReason finish = null;
        try {
            while (finish == null) {
                TokensEvent event = new TokensEvent();
                event.begin();
                Engine.Progress progress = engine.await(sequence, tokens.size() - before, call::ending);
                firstToken = tokens.isEmpty() ? System.nanoTime() : firstToken;
                finish = progress.finish();
                passes = passesBefore + progress.passes();
                event.complete(call.number, tokens.size(), progress.steps().size());
                for (Sequence.Step step : progress.steps()) {
                    tokens.add(step.token());
                    top.add(step.top());
                    reader.append(step.token());
                    if (reader.stopped()) {
                        finish = FinishReason.STOP;
                        break;
                    }
                }
            }
        } finally {
            engine.end(sequence, FinishReason.CANCELLED);
        }
        return finish;
    }
}

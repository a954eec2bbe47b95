package dev.demitasse.quantize.advise;

import dev.demitasse.kv.KvType;

/**
 * A prediction.
 *
 * @param weights the plan's name
 * @param cache the type of the cache
 * @param phase what runs
 * @param sessions that decode together; 1 for a prompt
 * @param tokens that each session has before a step, or of the prompt
 * @param time of a step that gives each session a token, or of the prompt
 */
public record Cell(String weights, KvType cache, Phase phase, int sessions, int tokens, Roofline.Time time) {
    /** What runs. */
    public enum Phase {
        /** Each session gets a token. */
        DECODE,
        /** A prompt is read. */
        PREFILL
    }

    /** {@return tokens a second, of all sessions} */
    public double tokensPerSecond() {
        return (phase == Phase.DECODE ? sessions : tokens) / time.seconds();
    }

    /** Whether another cell differs in its weights alone. */
    boolean isAlternative(Cell other) {
        return cache == other.cache && phase == other.phase && sessions == other.sessions && tokens == other.tokens;
    }
}

package dev.demitasse.dialect;

import org.jspecify.annotations.Nullable;

/** How models mark what they think before they answer. In the order in which they are looked for. */
enum ThinkingFormat {
    /** gpt-oss: its answers are read by {@link HarmonyParser}. */
    HARMONY("<|channel|>analysis", "<|channel|>analysis<|message|>", "<|end|>", null, null),
    /** Gemma 4. */
    GEMMA("<channel|>", "<|channel>thought\n", "<channel|>", null, null),
    /** Granite 3. */
    GRANITE("<response>", "<think>", "</think>", "<response>", "</response>"),
    /** Command R7B and later. */
    COHERE("<|END_THINKING|>", "<|START_THINKING|>", "<|END_THINKING|>", null, null),
    /** Magistral, Ministral 3. */
    MISTRAL("[/THINK]", "[THINK]", "[/THINK]", null, null),
    /** Apertus. */
    APERTUS("<|inner_suffix|>", "<|inner_prefix|>", "<|inner_suffix|>", null, null),
    /** Seed-OSS. */
    SEED("</seed:think>", "<seed:think>", "</seed:think>", null, null),
    /** Apriel. */
    APRIEL(
            "[BEGIN FINAL RESPONSE]",
            "Here are my reasoning steps:\n",
            "[BEGIN FINAL RESPONSE]",
            "",
            "[END FINAL RESPONSE]"),
    /** DeepSeek R1, Qwen 3, GLM 4.5, SmolLM3, Nemotron and most others. */
    TAGS("</think>", "<think>", "</think>", null, null);

    private final String sign;
    private final String begin;
    private final String end;
    private final @Nullable String answerBegin;
    private final @Nullable String answerEnd;

    ThinkingFormat(String sign, String begin, String end, @Nullable String answerBegin, @Nullable String answerEnd) {
        this.sign = sign;
        this.begin = begin;
        this.end = end;
        this.answerBegin = answerBegin;
        this.answerEnd = answerEnd;
    }

    /** That of a template by what its source has; null where it has none. */
    static @Nullable ThinkingFormat of(String template) {
        for (ThinkingFormat format : values()) {
            if (template.contains(format.sign)) {
                return format;
            }
        }
        return null;
    }

    /**
     * What a prompt is to be followed by, so that an answer begins with its text: the end of a thought that the prompt
     * has begun, or the header of the answer itself.
     */
    String without(String prompt) {
        String last = prompt.stripTrailing();
        if (this == HARMONY) {
            return "<|channel|>final<|message|>";
        }
        return last.endsWith(begin.strip()) ? "\n" + end + "\n\n" + (answerBegin == null ? "" : answerBegin) : "";
    }

    /** What begins a thought. */
    String begin() {
        return begin;
    }

    /** What ends it. */
    String end() {
        return end;
    }

    /** What begins the text after a thought; empty where the thought's end does; null for nothing. */
    @Nullable
    String answerBegin() {
        return answerBegin;
    }

    /** What ends that text then; null for nothing. */
    @Nullable
    String answerEnd() {
        return answerEnd;
    }
}

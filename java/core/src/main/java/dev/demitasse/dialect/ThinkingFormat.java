package dev.demitasse.dialect;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** How models mark what they think before they answer. In the order in which they are looked for. */
enum ThinkingFormat {
    /** gpt-oss (OpenAI, "Harmony response format", 2025): channels, of which one is for the person. */
    HARMONY(
            "<|channel|>analysis",
            "<|channel|>analysis<|message|>",
            "<|end|>",
            List.of(
                    "<|start|>assistant",
                    "<|channel|>final<|message|>",
                    "<|channel|>commentary<|message|>",
                    "<|channel|>commentary",
                    "<|channel|>analysis",
                    "<|constrain|>json")),
    /** Gemma 4. */
    GEMMA("<channel|>", "<|channel>thought\n", "<channel|>", List.of()),
    /** Granite 3: the answer has marks, too. */
    GRANITE("<response>", "<think>", "</think>", List.of("<response>", "</response>")),
    /** Command R7B and later. */
    COHERE(
            "<|END_THINKING|>",
            "<|START_THINKING|>",
            "<|END_THINKING|>",
            List.of("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>")),
    /** Magistral, Ministral 3. */
    MISTRAL("[/THINK]", "[THINK]", "[/THINK]", List.of()),
    /** Apertus. */
    APERTUS("<|inner_suffix|>", "<|inner_prefix|>", "<|inner_suffix|>", List.of()),
    /** Seed-OSS. */
    SEED("</seed:think>", "<seed:think>", "</seed:think>", List.of()),
    /** Apriel. */
    APRIEL(
            "[BEGIN FINAL RESPONSE]",
            "Here are my reasoning steps:\n",
            "[BEGIN FINAL RESPONSE]",
            List.of("[END FINAL RESPONSE]")),
    /** DeepSeek R1, Qwen 3, GLM 4.5, SmolLM3, Nemotron and most others. */
    TAGS("</think>", "<think>", "</think>", List.of());

    private final String sign;
    private final String begin;
    private final String end;
    private final List<String> dropped;

    ThinkingFormat(String sign, String begin, String end, List<String> dropped) {
        this.sign = sign;
        this.begin = begin;
        this.end = end;
        this.dropped = dropped;
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

    /** What begins a thought. */
    String begin() {
        return begin;
    }

    /** What ends it. */
    String end() {
        return end;
    }

    /** Marks of what is for the person, which are no part of it. */
    List<String> dropped() {
        return dropped;
    }
}

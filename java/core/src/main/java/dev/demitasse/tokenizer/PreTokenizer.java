package dev.demitasse.tokenizer;

import dev.demitasse.exception.UnsupportedModelException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Splits a text into the pieces within which byte pairs are merged. Each pattern in turn splits the pieces of the one
 * before; what a pattern does not match stays a piece.
 *
 * @param patterns applied in order
 * @param wholeWords whether a piece that is a token is that token, without merging (llama.cpp: ignore_merges)
 * @param addBos whether a begin-of-text token is the default
 */
record PreTokenizer(List<Pattern> patterns, boolean wholeWords, boolean addBos) {
    static final String GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
    private static final String CONTRACTION = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
    private static final String SPACES = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private static final String LLAMA3_PIECES =
            CONTRACTION + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*";
    private static final String LLAMA3 = LLAMA3_PIECES + SPACES;
    private static final String QWEN2 = LLAMA3.replace("\\p{N}{1,3}", "\\p{N}");
    private static final String QWEN35 =
            CONTRACTION + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" + SPACES;

    /** Letters that begin a word, capitals or without case, and those that go on; marks belong to both. */
    private static final String FIRST = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";

    private static final String LATER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";

    /**
     * Words that change from small letters to capitals are two (as tiktoken's o200k_base); {@code end} may follow a
     * word.
     */
    private static String cased(String end) {
        String lead = "[^\\r\\n\\p{L}\\p{N}]?";
        return lead + FIRST + "*" + LATER + "+" + end + "|" + lead + FIRST + "+" + LATER + "*" + end;
    }

    private static final String MARKS_AND_SPACES = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" + SPACES;
    private static final String TEKKEN = cased("") + "|\\p{N}" + MARKS_AND_SPACES;
    private static final String GPT4O = cased(CONTRACTION + "?") + "|\\p{N}{1,3}" + MARKS_AND_SPACES;
    private static final String KIMI = "\\p{IsHan}+|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}&&[^\\p{IsHan}]]+" + CONTRACTION
            + "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" + SPACES;

    /** A phrase is one piece; 255 words at most, since the JDK's matcher calls itself once a word. */
    private static final String EXAONE_MOE = CONTRACTION
            + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}[\\p{L}\\p{M}]*+(?: \\p{L}[\\p{L}\\p{M}]*+){0,255}+"
            + "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";

    private static final String SEED_CODER =
            CONTRACTION + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" + SPACES;
    private static final String DEEPSEEK_PIECES = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
            + "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+";
    private static final String DEEPSEEK_V3 = DEEPSEEK_PIECES + "[\\r\\n]*" + SPACES;
    private static final String SPARK = DEEPSEEK_PIECES + "|[\\r\\n]|\\s+(?!\\S)|\\s+";
    private static final String CHINESE_JAPANESE = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+";

    /** Groups of three digits from the right; of the last thousand digits, so that a number of a million is no wait. */
    private static final String THOUSANDS = "\\p{N}{1,3}(?=(?:\\p{N}{3}){0,333}+(?!\\p{N}))";

    private static final String MARKED_WORD = "[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+" + CONTRACTION + "?";

    /** Runs of spaces are powers of two long. */
    private static final String JAIS2 = LLAMA3_PIECES
            + "|\\s*[\\r\\n]+"
            + IntStream.of(512, 256, 128, 64, 32, 16, 8, 4)
                    .mapToObj(count -> "|\\s{" + count + "}(?!\\S)")
                    .collect(Collectors.joining())
            + "|\\s{1,2}(?!\\S)|\\s{1}";

    private static final String ASIAN =
            "[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f"
                    + "\u2f00-\u2fdf\u0e40-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff"
                    + "\uac00-\ud7af\u1100-\u11ff]+";
    private static final String YOUTU = "[\uac00-\ud7a3\u3131-\u318e]+"
            + "|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+"
            + "|[\u3105-\u312f]+|" + CHINESE_JAPANESE;
    private static final String EAST_ASIAN = "[[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]&&[^\\s]]+";
    private static final String NOT_PUNCTUATION = " ?[^(\\s|.,!?…。，、।۔،)]+";

    /** A splitter that is not compiled. */
    private record Row(boolean wholeWords, boolean addBos, List<String> patterns) {}

    /** {@code tokenizer.ggml.pre} to its splitter. The patterns are those that the models were trained with. */
    private static final Map<String, Row> BY_NAME = new LinkedHashMap<>();

    /** Names, separated by spaces, with the same splitter. */
    private static void row(String names, boolean wholeWords, boolean addBos, String... patterns) {
        for (String name : names.split(" ", -1)) {
            BY_NAME.put(name, new Row(wholeWords, addBos, List.of(patterns)));
        }
    }

    static {
        row(
                "gpt-2 a.x-4.0 exaone4 gigachat granite-docling jais jina-de jina-es jina-v1-en jina-v2-code jina-v2-de"
                        + " jina-v2-es mellum modern-bert mpt olmo phi-2 roberta-bpe trillion",
                false,
                false,
                GPT2);
        row("smollm codeshell command-r exaone mellum2 minerva-7b refact starcoder", false, false, "\\p{N}", GPT2);
        row("llama-bpe llama-v3 llama3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", true, true, LLAMA3);
        row("glm4 glm5 minicpm5", true, false, LLAMA3);
        row("dbrx smaug-bpe chatglm-bpe", false, false, LLAMA3);
        row(
                "qwen2 deepseek-r1-qwen bailingmoe bailingmoe2 f2llmv2 grok-2 hunyuan kormo llada-moe megrez solar-open"
                        + " stablelm2 ufakzeka",
                false,
                false,
                QWEN2);
        row("qwen35", false, false, QWEN35);
        row("tekken", true, true, TEKKEN);
        row("gpt-4o llama4 kanana2 minimax-m2 talkie", false, false, GPT4O);
        row("kimi-k2", false, false, KIMI);
        row("exaone-moe", false, false, EXAONE_MOE);
        row("seed-coder", false, false, SEED_CODER);
        row("deepseek-v3 hunyuan-dense hy_v4 joyai-llm", false, false, "\\p{N}{1,3}", CHINESE_JAPANESE, DEEPSEEK_V3);
        row(
                "deepseek-llm",
                false,
                false,
                "[\\r\\n]",
                "\\s?[\\p{Lu}\\p{Ll}\\p{Lt}]+",
                "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+",
                "\\s+$",
                EAST_ASIAN,
                "\\p{N}+");
        row("deepseek-coder", false, false, "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", EAST_ASIAN, "\\p{N}");
        row("falcon", false, false, "[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]");
        row("bloom gpt3-finnish poro-chat", false, false, NOT_PUNCTUATION);
        row("viking", false, false, NOT_PUNCTUATION, "\\p{N}");
        row("gemma4 granite-embed-multi-311m sarvam-moe", false, false, "[^\n]+|\n+");
        row("superbpe", false, false, "\\p{N}+", "(?=(?:\\d{3}){1,333}+(?!\\d))");
        row("jais-2", false, false, JAIS2);
        row("cohere2moe tiny_aya", false, false, THOUSANDS, MARKED_WORD + "|\\p{N}{1,3}" + MARKS_AND_SPACES);
        row(
                "chameleon",
                false,
                false,
                "<sentinel:[0-9]+>",
                "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
                "([\t\n]|    |  )",
                "\\p{N}",
                "[\\p{P}!-/:-@\\[-`{-~]",
                GPT2);
        row("youtu", true, false, YOUTU, MARKED_WORD + "|\\p{N}" + MARKS_AND_SPACES);
        row("whitespace", false, false, "\\S+");
        row("afmoe", false, false, THOUSANDS, ASIAN, DEEPSEEK_V3);
        row("laguna", false, false, "\n+", QWEN2);
        row("spark2_5", false, false, "\\p{N}", CHINESE_JAPANESE, SPARK);
        row("granite-embed-multi-97m", true, false, GPT4O);
        row("default", false, false, "[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]");
    }

    static PreTokenizer named(String name) {
        Row row = BY_NAME.get(name);
        if (row == null) {
            throw new UnsupportedModelException("The pre-tokenizer \"" + name + "\" is not supported; these are: "
                    + new TreeSet<>(BY_NAME.keySet()) + ".");
        }
        List<Pattern> compiled = row.patterns.stream()
                .map(pattern -> Pattern.compile(pattern, Pattern.UNICODE_CHARACTER_CLASS))
                .toList();
        return new PreTokenizer(compiled, row.wholeWords, row.addBos);
    }

    /**
     * The first name with those patterns, and with that way to treat whole words where there is one.
     *
     * @param patterns as {@code tokenizer.json} writes them
     */
    static @Nullable String nameOf(List<String> patterns, boolean wholeWords) {
        List<String> wanted = patterns.stream()
                .map(pattern -> pattern.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", CONTRACTION))
                .map(pattern -> pattern.equals(GPT2 + "|\\s+") ? GPT2 : pattern)
                .toList();
        List<String> names = BY_NAME.entrySet().stream()
                .filter(entry -> entry.getValue().patterns.equals(wanted))
                .map(Map.Entry::getKey)
                .toList();
        return names.stream()
                .filter(name -> Objects.requireNonNull(BY_NAME.get(name)).wholeWords == wholeWords)
                .findFirst()
                .orElse(names.isEmpty() ? null : names.getFirst());
    }

    List<String> split(String text) {
        List<String> pieces = List.of(text);
        for (Pattern pattern : patterns) {
            List<String> next = new ArrayList<>(pieces.size());
            for (String piece : pieces) {
                Matcher matcher = pattern.matcher(piece);
                int end = 0;
                while (matcher.find()) {
                    if (matcher.start() > end) {
                        next.add(piece.substring(end, matcher.start()));
                    }
                    if (matcher.end() > matcher.start()) {
                        next.add(matcher.group());
                    }
                    end = matcher.end();
                }
                if (end < piece.length()) {
                    next.add(piece.substring(end));
                }
            }
            pieces = next;
        }
        return pieces;
    }
}

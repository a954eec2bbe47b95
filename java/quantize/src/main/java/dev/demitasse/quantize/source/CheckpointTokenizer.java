package dev.demitasse.quantize.source;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.tokenizer.Splitters;
import java.io.IOException;
import java.lang.System.Logger;
import java.nio.charset.MalformedInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The vocabulary of a checkpoint's {@code tokenizer.json}, and what stands beside it, as that of a GGUF file. */
final class CheckpointTokenizer {
    private static final Logger LOGGER = System.getLogger("dev.demitasse.quantize");
    private static final int TYPE_NORMAL = 1;
    private static final int TYPE_UNKNOWN = 2;
    private static final int TYPE_CONTROL = 3;
    private static final int TYPE_USER_DEFINED = 4;
    private static final int TYPE_UNUSED = 5;
    private static final int TYPE_BYTE = 6;
    private static final int MOST_TOKENS = 1 << 22;

    private final Path folder;
    private final int size;
    private final Json file;
    private final Json model;
    private final Json settings;
    private final Map<String, Integer> ids = new HashMap<>();
    private final Map<String, MetadataValue> metadata = new LinkedHashMap<>();

    /**
     * Reads a vocabulary.
     *
     * @param folder the checkpoint's
     * @param size rows of the embedding: tokens that are missing are unused ones
     */
    CheckpointTokenizer(Path folder, int size) {
        this.folder = folder;
        this.size = size;
        Path path = folder.resolve("tokenizer.json");
        if (!Files.isRegularFile(path)) {
            throw new UsageException(
                    "There is no tokenizer.json in " + folder + "; a checkpoint's vocabulary is read" + " from that.");
        }
        file = Json.read(path);
        model = file.object("model");
        Path beside = folder.resolve("tokenizer_config.json");
        settings = Files.isRegularFile(beside) ? Json.read(beside) : new Json(beside.toString(), Map.of());
        if (!model.string("type", "BPE").equals("BPE")) {
            throw new UnsupportedModelException(
                    file.source() + ": vocabularies of type " + model.string("type", "") + " are not read; BPE is.");
        }
        boolean pieces = model.bool("byte_fallback", false);
        List<String[]> merges = merges();
        vocabulary(pieces, merges);
        if (!pieces) {
            put("pre", splitter());
        }
        specials();
        chatTemplate();
    }

    private void put(String key, String value) {
        metadata.put("tokenizer.ggml." + key, MetadataValue.of(MetadataType.STRING, value));
    }

    private List<String[]> merges() {
        List<String[]> merges = new ArrayList<>();
        for (Object merge : model.list("merges")) {
            String[] pair = merge instanceof List<?> list
                    ? list.stream().map(String::valueOf).toArray(String[]::new)
                    : String.valueOf(merge).split(" ", -1);
            if (pair.length != 2) {
                throw model.bad("merges", "has an entry of " + pair.length + " parts");
            }
            merges.add(pair);
        }
        return merges;
    }

    private void vocabulary(boolean pieces, List<String[]> merges) {
        String[] tokens = new String[size];
        int[] types = new int[size];
        Arrays.fill(types, TYPE_NORMAL);
        Json vocabulary = model.object("vocab");
        if (vocabulary.values().isEmpty()) {
            throw model.bad("vocab", "is missing or empty");
        }
        vocabulary.values().forEach((token, id) -> token(tokens, token, id));
        for (Json added : file.objects("added_tokens")) {
            String content = added.string("content", "");
            if (added.number("id") >= size) { // Gemma 3's for images, where the model has only text
                LOGGER.log(Logger.Level.WARNING, "Token \"{0}\" is left out: the embedding has no row of it.", content);
                continue;
            }
            int id = token(tokens, content, added.number("id"));
            types[id] = added.bool("special", false) ? TYPE_CONTROL : TYPE_USER_DEFINED;
        }
        for (int id = 0; id < size; id++) {
            if (tokens[id] == null) {
                tokens[id] = "[PAD" + id + "]";
                types[id] = TYPE_UNUSED;
            } else if (pieces && tokens[id].matches("<0x[0-9A-F]{2}>")) {
                types[id] = TYPE_BYTE;
            }
        }
        Integer unknown = ids.get(model.string("unk_token", ""));
        if (pieces && unknown != null) {
            types[unknown] = TYPE_UNKNOWN;
        }
        put("model", pieces ? "llama" : "gpt2");
        metadata.put("tokenizer.ggml.tokens", MetadataValue.array(MetadataType.STRING, tokens));
        metadata.put("tokenizer.ggml.token_type", MetadataValue.array(MetadataType.INT32, types));
        if (pieces) {
            metadata.put("tokenizer.ggml.scores", MetadataValue.array(MetadataType.FLOAT32, scores(merges)));
            metadata.put("tokenizer.ggml.add_space_prefix", MetadataValue.of(MetadataType.BOOL, isPrefixed()));
        } else {
            String[] list = merges.stream().map(pair -> pair[0] + " " + pair[1]).toArray(String[]::new);
            metadata.put("tokenizer.ggml.merges", MetadataValue.array(MetadataType.STRING, list));
        }
    }

    private int token(@Nullable String[] tokens, String token, Object number) {
        if (!(number instanceof Double value) || value != value.intValue() || value < 0 || value >= MOST_TOKENS) {
            throw file.bad("vocab", "gives the token \"" + token + "\" the id " + number);
        }
        int id = value.intValue();
        if (id >= tokens.length) {
            throw new ModelFormatException(file.source() + ": the token \"" + token + "\" has the id " + id
                    + "; the embedding has " + tokens.length + " rows.");
        }
        tokens[id] = token;
        ids.put(token, id);
        return id;
    }

    /** The order of merges as scores: pieces that are merged first have the highest. */
    private float[] scores(List<String[]> merges) {
        float[] scores = new float[size];
        Arrays.fill(scores, -1 - merges.size());
        for (int rank = merges.size() - 1; rank >= 0; rank--) {
            Integer id = ids.get(merges.get(rank)[0] + merges.get(rank)[1]);
            if (id != null) {
                scores[id] = -rank;
            }
        }
        return scores;
    }

    /** Whether a space is put before a text, by the normalizer or the splitter. */
    private boolean isPrefixed() {
        for (Json step : steps(file.object("normalizer"), "normalizers")) {
            if (step.string("type", "").equals("Prepend")) {
                return true;
            }
        }
        for (Json step : steps(file.object("pre_tokenizer"), "pretokenizers")) {
            if (step.string("type", "").equals("Metaspace")) {
                return !step.string("prepend_scheme", step.bool("add_prefix_space", true) ? "always" : "never")
                        .equals("never");
            }
        }
        return false;
    }

    private static List<Json> steps(Json step, String key) {
        return step.string("type", "").equals("Sequence") ? step.objects(key) : List.of(step);
    }

    /** The name of the splitter in GGUF files. */
    private String splitter() {
        List<String> patterns = new ArrayList<>();
        for (Json step : steps(file.object("pre_tokenizer"), "pretokenizers")) {
            String type = step.string("type", "none");
            switch (type) {
                case "Split" -> patterns.add(step.object("pattern").string("Regex", ""));
                case "Digits" ->
                    patterns.add(step.bool("individual_digits", false) ? Splitters.DIGIT : Splitters.DIGITS);
                case "ByteLevel" -> {
                    if (step.bool("add_prefix_space", false)) {
                        throw unsupported("puts a space before texts");
                    }
                    if (step.bool("use_regex", true)) {
                        patterns.add(Splitters.WORDS);
                    }
                }
                default -> throw unsupported("splits texts by \"" + type + "\"");
            }
        }
        String name = Splitters.named(patterns, model.bool("ignore_merges", false));
        if (name == null) {
            throw unsupported("splits texts by patterns that are not known: " + patterns);
        }
        return name;
    }

    private UnsupportedModelException unsupported(String what) {
        return new UnsupportedModelException(file.source() + ": the tokenizer " + what + ", which is not supported.");
    }

    private void specials() {
        Integer bos = special("bos");
        Integer eos = special("eos");
        special("pad");
        special("unk");
        numbers("eos").stream().filter(id -> !id.equals(eos)).findFirst().ifPresent(id -> id("eot", id));
        boolean added = bos != null && settings.bool("add_bos_token", isBosAdded(bos));
        metadata.put("tokenizer.ggml.add_bos_token", MetadataValue.of(MetadataType.BOOL, added));
    }

    /** Whether the template of the post-processor begins with that token. */
    private boolean isBosAdded(int bos) {
        for (Json step : steps(file.object("post_processor"), "processors")) {
            List<Json> single = step.objects("single");
            if (!single.isEmpty()) {
                Integer first = ids.get(single.getFirst().object("SpecialToken").string("id", ""));
                return first != null && first == bos;
            }
        }
        return false;
    }

    private @Nullable Integer special(String name) {
        Object value = settings.values().get(name + "_token");
        String content = value instanceof String text
                ? text
                : settings.object(name + "_token").string("content", "");
        Integer id = ids.get(content);
        if (id == null && (name.equals("bos") || name.equals("eos"))) {
            List<Integer> numbers = numbers(name);
            id = numbers.isEmpty() ? null : numbers.getFirst();
        }
        if (id != null) {
            id(
                    switch (name) {
                        case "pad" -> "padding";
                        case "unk" -> "unknown";
                        default -> name;
                    },
                    id);
        }
        return id;
    }

    /** The ids that the configurations of generation, or of the model, give a special token. */
    private List<Integer> numbers(String name) {
        for (String beside : List.of("generation_config.json", "config.json")) {
            Path path = folder.resolve(beside);
            Object value = Files.isRegularFile(path) ? Json.read(path).values().get(name + "_token_id") : null;
            List<?> list = value instanceof List<?> several ? several : value == null ? List.of() : List.of(value);
            List<Integer> numbers = new ArrayList<>();
            for (Object each : list) {
                if (each instanceof Double id && id == id.intValue() && id >= 0 && id < size) {
                    numbers.add(id.intValue());
                }
            }
            if (!numbers.isEmpty()) {
                return numbers;
            }
        }
        return List.of();
    }

    private void id(String name, int id) {
        metadata.put("tokenizer.ggml." + name + "_token_id", MetadataValue.of(MetadataType.UINT32, id));
    }

    private void chatTemplate() {
        Path beside = folder.resolve("chat_template.jinja");
        String template = null;
        if (Files.isRegularFile(beside)) {
            try {
                template = Files.readString(beside);
            } catch (MalformedInputException e) {
                throw new ModelFormatException(beside + " is no text in UTF-8.", e);
            } catch (IOException e) {
                throw new UsageException("Cannot read " + beside + ": " + e, e);
            }
        } else if (settings.values().get("chat_template") instanceof String text) {
            template = text;
        } else {
            for (Json named : settings.objects("chat_template")) {
                if (named.string("name", "").equals("default")) {
                    template = named.string("template", "");
                }
            }
        }
        if (template != null) {
            metadata.put("tokenizer.chat_template", MetadataValue.of(MetadataType.STRING, template));
        }
    }

    /** Keys and values. */
    Map<String, MetadataValue> metadata() {
        return metadata;
    }
}

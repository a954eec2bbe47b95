package dev.demitasse.quantize.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Session;
import dev.demitasse.exception.DemitasseException;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.kv.KvType;
import dev.demitasse.quantize.QuantizeOptions;
import dev.demitasse.quantize.Quantizer;
import dev.demitasse.quantize.WeightMix;
import dev.demitasse.testkit.Golden;
import dev.demitasse.testkit.Seeds;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Checkpoints of random weights that transformers 5.24 wrote, with the ids and logits that it gave
 * ({@code ci/checkpoints.py}).
 */
class HuggingFaceSourceTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final ModelOptions REFERENCE =
            ModelOptions.DEFAULT.withBackend("reference").withKvType(KvType.F32);

    @TempDir
    Path temporary = Path.of("");

    private static Path checkpoint(String name) {
        return Path.of(Objects.requireNonNull(HuggingFaceSourceTest.class.getResource("checkpoints"))
                        .getPath())
                .resolve(name);
    }

    private Path convert(Path folder) {
        Path out = temporary.resolve("out.gguf");
        Quantizer.quantize(folder, out, QuantizeOptions.of(WeightMix.F32));
        return out;
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "llama",
                "llama31",
                "mistral",
                "qwen2",
                "qwen3",
                "gemma2",
                "gemma3",
                "phi3",
                "gptq",
                "awq",
                "w4a16",
                "w4a16_asymmetric",
                "w8a8",
                "w8a8_asymmetric"
            })
    void theGgufFileAnswersAsTransformersDoes(String name) throws IOException {
        JsonNode expected = MAPPER.readTree(Files.readAllBytes(checkpoint(name).resolve("expected.json")));
        int[] tokens = Golden.ints(expected.get("tokens"));
        try (Model model = Model.load(convert(checkpoint(name)), REFERENCE)) {
            assertThat(model.tokenizer().encode(expected.get("text").asText(), false))
                    .containsExactly(Golden.ints(expected.get("ids")));
            int[] positions = Golden.ints(expected.get("positions"));
            model.evaluate(tokens, 0, (position, logits) -> {
                for (int i = 0; i < positions.length; i++) {
                    if (positions[i] == position) {
                        JsonNode row = expected.get("logits").get(i);
                        assertThat(logits.length).isEqualTo(row.size());
                        for (int token = 0; token < logits.length; token++) {
                            assertThat((double) logits[token])
                                    .as("%s, position %d, token %d", name, position, token)
                                    .isCloseTo(row.get(token).asDouble(), Offset.offset(2e-4));
                        }
                    }
                }
            });
        }
    }

    /** Bytes of weights, headers, configurations and tokenizers become others: that is said, or converted. */
    @ParameterizedTest
    @ValueSource(strings = {"qwen3", "gemma3", "gptq", "awq", "w4a16_asymmetric", "w8a8_asymmetric"})
    void damagedCheckpointsAreRefusedOrConverted(String name) {
        Seeds.forEach(40, random -> {
            try {
                convertDamaged(name, random);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    private void convertDamaged(String name, SplittableRandom random) throws IOException {
        Path folder = Files.createTempDirectory(temporary, name);
        List<Path> copies = new ArrayList<>();
        try (Stream<Path> files = Files.list(checkpoint(name))) {
            for (Path each : files.sorted().toList()) {
                copies.add(Files.copy(each, folder.resolve(String.valueOf(each.getFileName()))));
            }
        }
        Path victim = copies.get(random.nextInt(copies.size()));
        byte[] bytes = Files.readAllBytes(victim);
        int most = random.nextBoolean() ? Math.min(bytes.length, 4000) : bytes.length; // headers come first
        for (int i = 0; i <= random.nextInt(4); i++) {
            bytes[random.nextInt(most)] = (byte) random.nextInt(256);
        }
        Files.write(victim, random.nextInt(5) == 0 ? Arrays.copyOf(bytes, random.nextInt(bytes.length)) : bytes);
        try {
            Quantizer.quantize(folder, folder.resolve("out.gguf"), QuantizeOptions.of(WeightMix.Q8_0));
        } catch (DemitasseException e) {
            assertThat(e.getMessage()).isNotBlank();
        }
    }

    @Test
    void theChatTemplateAndTheEndComeAlong() {
        try (Model model = Model.load(convert(checkpoint("qwen3")), REFERENCE);
                Session session = model.newSession()) {
            assertThat(model.hasChatTemplate()).isTrue();
            assertThat(session.chat("quick fox").text()).isNotNull();
        }
    }

    @Test
    void aCheckpointIsQuantizedInOneStep() {
        Path out = temporary.resolve("q8.gguf");
        Quantizer.quantize(checkpoint("qwen2"), out, QuantizeOptions.of(WeightMix.Q8_0));
        try (Model model = Model.load(out, REFERENCE)) {
            assertThat(model.architecture()).isEqualTo("qwen2");
        }
    }

    /** A copy of a checkpoint in which a text of its configuration is another. */
    private Path changed(String name, String file, String from, String to) throws IOException {
        Path folder = temporary.resolve("changed");
        Files.createDirectory(folder);
        try (Stream<Path> files = Files.list(checkpoint(name))) {
            for (Path each : files.toList()) {
                Files.copy(each, folder.resolve(String.valueOf(each.getFileName())));
            }
        }
        String text = Files.readString(folder.resolve(file));
        assertThat(text).contains(from);
        Files.writeString(folder.resolve(file), text.replace(from, to));
        return folder;
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "config.json; \"model_type\": \"qwen3\"; \"model_type\": \"mamba\"; mamba",
                "config.json; \"hidden_act\": \"silu\"; \"hidden_act\": \"relu\"; relu",
                "config.json; \"num_hidden_layers\": 2; \"num_hidden_layers\": 1; blk.1",
                "config.json; \"hidden_size\": 64; \"hidden_size\": 0; hidden_size",
                "config.json; \"rope_type\": \"default\"; \"rope_type\": \"dynamic\"; dynamic",
                "config.json; \"vocab_size\"; \"quantization_config\": {\"quant_method\": \"hqq\"}, \"v\"; hqq",
                "tokenizer.json; \"type\": \"BPE\"; \"type\": \"Unigram\"; Unigram",
                "tokenizer.json; \"use_regex\": false; \"use_regex\": true; patterns that are not known",
            })
    void whatIsNotSupportedIsSaid(String file, String from, String to, String named) throws IOException {
        Path folder = changed("qwen3", file, from, to);
        assertThatThrownBy(() -> Model.load(convert(folder), REFERENCE).close())
                .isInstanceOf(DemitasseException.class)
                .hasMessageContaining(named);
    }

    @Test
    void whatIsMissingIsSaid() throws IOException {
        assertThatThrownBy(() -> convert(temporary))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("model.safetensors");
        Files.writeString(temporary.resolve("pytorch_model.bin"), "PK");
        assertThatThrownBy(() -> convert(temporary))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("safetensors");
        Path folder = changed("qwen3", "config.json", "{", "{");
        Files.delete(folder.resolve("tokenizer.json"));
        assertThatThrownBy(() -> convert(folder))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("tokenizer.json");
        Files.delete(folder.resolve("config.json"));
        assertThatThrownBy(() -> convert(folder.resolve("model.safetensors")))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("config.json");
    }

    /** Whatever becomes of the texts beside the weights, the answer is a typed error or a file. */
    @ParameterizedTest
    @ValueSource(strings = {"config.json", "tokenizer.json", "tokenizer_config.json"})
    void damagedTextsEndInTypedErrors(String file) throws IOException {
        Path folder = changed("gptq", file, "{", "{");
        byte[] whole = Files.readAllBytes(folder.resolve(file));
        SplittableRandom random = new SplittableRandom(20261128);
        for (int run = 0; run < 60; run++) {
            byte[] damaged = whole.clone();
            for (int i = 0; i <= run % 4; i++) {
                damaged[random.nextInt(damaged.length)] = (byte) "{}[]\",:0-9ae \n".charAt(random.nextInt(14));
            }
            Files.write(folder.resolve(file), damaged);
            try (ModelSource source = ModelSource.open(folder)) {
                assertThat(source.tensors()).isNotEmpty();
            } catch (DemitasseException e) {
                assertThat(e.getMessage()).isNotBlank();
            }
        }
    }

    /** What the text model of Gemma 3 4B says of itself; the rest are defaults. */
    @Test
    void whatAMultimodalConfigurationLeavesOutIsGemma3sOwn() {
        Json text = new Json(
                "config.json",
                Map.of(
                        "hidden_size", 2560.0,
                        "intermediate_size", 10_240.0,
                        "num_hidden_layers", 34.0,
                        "sliding_window", 1024.0,
                        "rope_scaling", Map.of("factor", 8.0, "rope_type", "linear")));
        Metadata metadata =
                new Metadata("m", new CheckpointConfig(text, CheckpointArchitecture.GEMMA3, "m").metadata());
        assertThat(metadata.integer("gemma3.attention.head_count")).isEqualTo(8);
        assertThat(metadata.integer("gemma3.attention.head_count_kv")).isEqualTo(4);
        assertThat(metadata.integer("gemma3.attention.key_length")).isEqualTo(256);
        assertThat(metadata.integer("gemma3.context_length")).isEqualTo(131_072);
        assertThat(metadata.number("gemma3.rope.freq_base", 0)).isEqualTo(1e6f);
        assertThat(metadata.number("gemma3.rope.scaling.factor", 0)).isEqualTo(8);
    }

    @Test
    void aTokenWithoutARowIsLeftOut() throws IOException {
        Path folder = changed(
                "qwen3",
                "tokenizer.json",
                "\"added_tokens\": [",
                "\"added_tokens\": [{\"id\": 100000, \"content\": \"<image>\", \"special\": true},");
        try (Model model = Model.load(convert(folder), REFERENCE)) {
            assertThat(model.tokenizer().encode("<image>", true)).hasSizeGreaterThan(1);
        }
    }

    @Test
    void oneFileOfSeveralStandsForAll() {
        Path out = convert(checkpoint("qwen2").resolve("model-00002-of-00003.safetensors"));
        try (Model model = Model.load(out, REFERENCE)) {
            assertThat(model.layers()).isEqualTo(2);
        }
    }

    @Test
    void layersThatAreMissingAreMissed() throws IOException {
        Path folder = changed("qwen3", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
        assertThatThrownBy(() -> convert(folder))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("blk.2.");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "\"head_dim\": 32; \"head_dim\": 2147483646; head_dim",
                "\"head_dim\": 32; \"head_dim\": 1; head_dim",
                "\"hidden_size\"; \"partial_rotary_factor\": 1e9, \"hidden_size\"; partial_rotary_factor",
                "\"hidden_size\"; \"partial_rotary_factor\": -1, \"hidden_size\"; partial_rotary_factor",
            })
    void impossibleDimensionsAreRefused(String from, String to, String named) throws IOException {
        Path folder = changed("qwen3", "config.json", from, to);
        assertThatThrownBy(() -> convert(folder))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining(named);
    }

    @Test
    void partsOfQuantizedMatricesThatDoNotFitAreRefused() throws IOException {
        Path bits = changed("gptq", "config.json", "\"bits\": 4", "\"bits\": 3");
        assertThatThrownBy(() -> convert(bits))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("bits");
    }

    @Test
    void integersWithoutAConfigurationAreRefused() throws IOException {
        Path folder = changed("w8a8", "config.json", "\"quantization_config\"", "\"forgotten\"");
        assertThatThrownBy(() -> convert(folder)).isInstanceOf(UnsupportedModelException.class);
    }
}

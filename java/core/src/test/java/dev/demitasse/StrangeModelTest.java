package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.NumericalException;
import dev.demitasse.exception.TemplateException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.Golden;
import dev.demitasse.testkit.KernelCases;
import dev.demitasse.tokenizer.Tokenizer;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Files that are whole and yet not what one expects: used as they say, or refused with the reason; never silently
 * something else.
 */
class StrangeModelTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(64);
    private static final GenerationOptions FEW =
            GenerationOptions.GREEDY.withMaximumTokens(4).withIgnoreEnd(true);

    @TempDir
    Path folder;

    private Path model(Consumer<GgufWriter> change) throws IOException {
        return model("llama", change);
    }

    private Path model(String tiny, Consumer<GgufWriter> change) throws IOException {
        return ChangedFiles.changed(Golden.tiny(tiny), folder.resolve("strange.gguf"), change);
    }

    private Path scaled(String name, float factor) throws IOException {
        return ChangedFiles.scaled(Golden.tiny("llama"), folder.resolve("scaled.gguf"), name, factor);
    }

    private static MetadataValue string(String value) {
        return MetadataValue.of(MetadataType.STRING, value);
    }

    @ParameterizedTest
    @ValueSource(strings = {"{% nonesuch %}", "{{ a b }}", "{% for x in %}", "", "  \n"})
    void onlyChatFailsWithoutASoundTemplate(String template) throws IOException {
        Path file = model(w -> w.metadata("tokenizer.chat_template", string(template)));
        try (Model model = Model.load(file, OPTIONS);
                Session session = model.newSession()) {
            assertThat(session.generate("hello", FEW, text -> {}).tokens()).hasSize(4);
            assertThat(model.tokenizer().encode("hello", false)).isNotEmpty();
            model.evaluate(new int[] {5, 6, 7}, 1, (position, logits) -> {});
            assertThat(model.hasChatTemplate()).isTrue();
            for (int i = 0; i < 2; i++) {
                assertThatThrownBy(() -> session.chat("hi"))
                        .isInstanceOf(TemplateException.class)
                        .hasMessageContaining("chat template of the model's file")
                        .hasMessageContaining(template.isBlank() ? "empty" : "cannot be read");
            }
        }
        ModelOptions other = OPTIONS.withChatTemplate("{{ messages[0].content }}{{ 'yes' if flag }}")
                .withTemplateVariables(Map.of("flag", true));
        try (Model model = Model.load(file, other);
                Session session = model.newSession()) {
            assertThat(session.chat("hi", FEW, text -> {}).promptTokens())
                    .isEqualTo(Arrays.stream(model.tokenizer().encodePrompt("hiyes", true))
                            .boxed()
                            .toList());
        }
        assertThatThrownBy(() -> {
                    try (Model model = Model.load(file, OPTIONS.withChatTemplate("{% nonesuch %}"));
                            Session session = model.newSession()) {
                        session.chat("hi");
                    }
                })
                .isInstanceOf(TemplateException.class)
                .hasMessageContaining("template that was given");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "output.bias",
                "blk.0.ffn_norm.bias",
                "blk.0.attn_output_norm.weight",
                "blk.1.attn_q_norm.bias",
                "blk.9.ffn_up.weight"
            })
    void tensorsThatWouldBeLeftOutAreRefusedByName(String name) throws IOException {
        Path file = model(w -> w.tensor(name, new long[] {64}, new float[64]));
        assertThatThrownBy(() -> Model.load(file, OPTIONS).close())
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining(name);
    }

    /** Keys of one family each: what cannot be right is refused by its name. */
    @Test
    void hyperparametersThatCannotBeAreRefusedByName() throws IOException {
        MetadataValue two = MetadataValue.array(MetadataType.BOOL, new boolean[] {true, false});
        MetadataValue angles = MetadataValue.array(MetadataType.INT32, new int[] {2, 2, 2, 0});
        assertRefused("olmo3", "olmo2.attention.sliding_window_pattern", two, ModelFormatException.class);
        assertRefused("olmo3", "olmo2.attention.sliding_window_pattern", number(-3), ModelFormatException.class);
        assertRefused("granite", "granite.residual_scale", number(-0.5f), ModelFormatException.class);
        assertRefused("granite", "granite.residual_scale", number(1e-30f), ModelFormatException.class);
        assertRefused("granite", "granite.logit_scale", number(Float.NaN), ModelFormatException.class);
        assertRefused("mistral3", "mistral3.rope.scaling.yarn_beta_fast", number(-1f), ModelFormatException.class);
        assertRefused("mistral3", "mistral3.rope.scaling.yarn_log_multiplier", number(-4f), ModelFormatException.class);
        assertRefused("qwen2vl", "qwen2vl.rope.dimension_sections", angles, UnsupportedModelException.class);
        MetadataValue all = MetadataValue.array(MetadataType.INT32, new int[] {2, 1, 1, 0});
        assertRefused("glm4", "glm4.rope.dimension_sections", all, UnsupportedModelException.class);
        assertRefused(
                "mistral3",
                "mistral3.rope.dimension_count",
                number(16),
                UnsupportedModelException.class,
                "temperature");
        assertRefused(
                "mistral3", "mistral3.rope.scaling.original_context_length", number(0), ModelFormatException.class);
        for (int impossible : new int[] {0, -1, 1 << 30, Integer.MAX_VALUE}) {
            for (String key : new String[] {"conv_kernel", "state_size", "group_count", "time_step_rank"}) {
                assertRefused("qwen35", "qwen35.ssm." + key, number(impossible), ModelFormatException.class);
            }
            assertRefused("lfm2", "lfm2.shortconv.l_cache", number(impossible), ModelFormatException.class);
        }
        assertRefused("qwen35", "qwen35.ssm.group_count", number(3), ModelFormatException.class, "time_step_rank");
        assertRefused("qwen35", "qwen35.ssm.inner_size", number(65), ModelFormatException.class);
        assertRefused("qwen35", "qwen35.full_attention_interval", number(0), ModelFormatException.class);
        assertRefused(
                "qwen35", "qwen35.full_attention_interval", number(5), UnsupportedModelException.class, "None of");
        assertRefused("qwen35-mtp", "qwen35.attention.recurrent_layers", two, ModelFormatException.class);
        MetadataValue none = MetadataValue.array(MetadataType.INT32, new int[] {0, 0, 0, 0});
        MetadataValue short3 = MetadataValue.array(MetadataType.INT32, new int[] {0, 1, 0});
        MetadataValue different = MetadataValue.array(MetadataType.INT32, new int[] {0, 1, 0, 2});
        MetadataValue negative = MetadataValue.array(MetadataType.INT32, new int[] {0, -1, 0, -1});
        String heads = "lfm2.attention.head_count_kv";
        assertRefused("lfm2", heads, none, UnsupportedModelException.class, "None of");
        assertRefused("lfm2", heads, short3, ModelFormatException.class);
        assertRefused("lfm2", heads, different, ModelFormatException.class, "blk.3.attn_k.weight");
        assertRefused("lfm2", heads, negative, ModelFormatException.class);
    }

    /** Layers of different sizes, and caches that some share. */
    @Test
    void layersThatCannotBeAreRefusedByName() throws IOException {
        MetadataValue heads = MetadataValue.array(MetadataType.INT32, new int[] {2, 2, 3, 2, 2, 1});
        MetadataValue none = MetadataValue.array(MetadataType.INT32, new int[] {2, 2, 0, 2, 2, 1});
        MetadataValue widths = MetadataValue.array(MetadataType.INT32, new int[] {32, 32, 32, 64, 0, 64});
        MetadataValue swapped = MetadataValue.array(MetadataType.INT32, new int[] {64, 32, 32, 64, 64, 64});
        MetadataValue few = MetadataValue.array(MetadataType.INT32, new int[] {32, 32});
        String p = "gemma4.";
        for (MetadataValue each : new MetadataValue[] {heads, none, few, number(0), number(-1), number(1 << 30)}) {
            assertRefused("gemma4-dense", p + "attention.head_count_kv", each, ModelFormatException.class);
        }
        for (MetadataValue each : new MetadataValue[] {widths, few, number(0), number(Integer.MAX_VALUE)}) {
            assertRefused("gemma4-ple", p + "feed_forward_length", each, ModelFormatException.class);
        }
        assertRefused("gemma4-ple", p + "feed_forward_length", swapped, ModelFormatException.class, "blk.0.ffn_");
        for (int each : new int[] {-1, 5, 6, 1 << 30}) {
            assertRefused("gemma4-ple", p + "attention.shared_kv_layers", number(each), ModelFormatException.class);
        }
        for (int each : new int[] {-2, 7, 1 << 30}) {
            assertRefused("gemma4-dense", p + "attention.key_length_swa", number(each), ModelFormatException.class);
        }
        for (int each : new int[] {-2, 7, 18, 1 << 30}) {
            assertRefused("gemma4-dense", p + "rope.dimension_count_swa", number(each), ModelFormatException.class);
        }
        for (int each : new int[] {-1, 1 << 30}) {
            assertRefused(
                    "gemma4-ple", p + "embedding_length_per_layer_input", number(each), ModelFormatException.class);
        }
        assertRefused(
                "gemma4-ple",
                p + "embedding_length_per_layer_input",
                number(17),
                ModelFormatException.class,
                "per_layer_token_embd.weight");
        assertRefused("gemma4-dense", p + "attention.sliding_window", number(0), ModelFormatException.class);
        assertRefused("cohere2", "cohere2.attention.sliding_window", number(0), ModelFormatException.class);
        for (int impossible : new int[] {0, -1, 1 << 30, Integer.MAX_VALUE}) {
            for (String key :
                    new String[] {"conv_kernel", "state_size", "group_count", "time_step_rank", "inner_size"}) {
                assertRefused("nemotron_h", "nemotron_h.ssm." + key, number(impossible), ModelFormatException.class);
            }
        }
        assertRefused("nemotron_h", "nemotron_h.ssm.inner_size", number(66), ModelFormatException.class);
        assertRefused("nemotron_h", "nemotron_h.ssm.group_count", number(3), ModelFormatException.class, "time_step");
        MetadataValue everywhere = MetadataValue.array(MetadataType.INT32, new int[] {96, 96, 96, 96, 96});
        assertRefused(
                "nemotron_h",
                "nemotron_h.feed_forward_length",
                everywhere,
                ModelFormatException.class,
                "blk.0.ffn_up.weight");
        assertRefused("qwen3", "qwen3.attention.key_length_swa", number(8), UnsupportedModelException.class, "window");
        assertRefused("cohere2", "cohere2.attention.layer_norm_epsilon", number(-1f), ModelFormatException.class);
    }

    /** Families of experts alone need no width of dense layers, and files leave it out. */
    @Test
    void aMixtureNeedsNoWidthOfDenseLayers() throws IOException {
        Path file = folder.resolve("mixture.gguf");
        try (Gguf source = Gguf.open(Golden.tiny("qwen35moe"))) {
            GgufWriter writer = new GgufWriter(source.version(), source.alignment());
            source.metadata().all().forEach((key, value) -> {
                if (!key.equals("qwen35moe.feed_forward_length")) {
                    writer.metadata(key, value);
                }
            });
            ValueLayout.OfFloat number = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
            for (GgufTensor tensor : source.tensors()) {
                writer.tensor(tensor.name(), tensor.dimensions(), tensor.data().toArray(number));
            }
            writer.write(file);
        }
        Model.load(file, OPTIONS).close();
    }

    private static MetadataValue number(Number value) {
        return MetadataValue.of(value instanceof Float ? MetadataType.FLOAT32 : MetadataType.INT32, value);
    }

    private void assertRefused(String tiny, String key, MetadataValue value, Class<? extends Exception> type)
            throws IOException {
        assertRefused(tiny, key, value, type, type == ModelFormatException.class ? key : "sections of RoPE");
    }

    private void assertRefused(
            String tiny, String key, MetadataValue value, Class<? extends Exception> type, String words)
            throws IOException {
        Path file = model(tiny, w -> w.metadata(key, value));
        assertThatThrownBy(() -> Model.load(file, OPTIONS).close())
                .as("%s = %s", key, value)
                .isInstanceOf(type)
                .hasMessageContaining(words);
    }

    /** Norms that a family has are not left out because others do without. */
    @ParameterizedTest
    @ValueSource(strings = {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"})
    void aMissingNormIsADamagedFile(String name) throws IOException {
        Path file = folder.resolve("damaged.gguf");
        try (Gguf source = Gguf.open(Golden.tiny("gemma3"))) {
            GgufWriter writer = new GgufWriter(source.version(), source.alignment());
            source.metadata().all().forEach(writer::metadata);
            ValueLayout.OfFloat number = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
            for (GgufTensor tensor : source.tensors()) {
                if (!tensor.name().equals(name)) {
                    writer.tensor(
                            tensor.name(), tensor.dimensions(), tensor.data().toArray(number));
                }
            }
            writer.write(file);
        }
        assertThatThrownBy(() -> Model.load(file, OPTIONS).close())
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining(name);
    }

    /** A block behind the layers is left out, however it looks; one that is counted as a layer is not. */
    @Test
    void blocksThatPredictFurtherTokensAreLeftOut() throws IOException {
        int[] prompt = Golden.ints(Golden.tinyAnswer("glm4moe").get("tokens"));
        Path file = model(
                "glm4moe",
                w -> w.metadata("glm4moe.block_count", number(4))
                        .metadata("glm4moe.nextn_predict_layers", number(1))
                        .tensor("blk.3.nextn.eh_proj.weight", new long[] {64, 32}, new float[64 * 32]));
        assertThat(lastLogits(file, prompt)).isEqualTo(lastLogits(Golden.tiny("glm4moe"), prompt));
        Path other = model("glm4moe", w -> w.tensor("blk.3.nextn.eh_proj.weight", new long[] {64}, new float[64]));
        assertThatThrownBy(() -> Model.load(other, OPTIONS).close())
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("blk.3.nextn.eh_proj.weight");
    }

    /** The same model whether its windows are listed, or told by a period. */
    @Test
    void aPeriodOfWindowsIsTheListThatItStandsFor() throws IOException {
        int[] prompt = Golden.ints(Golden.tinyAnswer("olmo3").get("tokens"));
        String key = "olmo2.attention.sliding_window_pattern";
        float[] listed = lastLogits(Golden.tiny("olmo3"), prompt);
        assertThat(lastLogits(model("olmo3", w -> w.metadata(key, number(4))), prompt))
                .isEqualTo(listed);
        assertThat(lastLogits(model("olmo3", w -> w.metadata(key, number(0))), prompt))
                .isNotEqualTo(listed);
        assertThat(lastLogits(model("olmo3", w -> w.metadata(key, number(1))), prompt))
                .isNotEqualTo(listed);
    }

    private static float[] lastLogits(Path file, int[] prompt) {
        float[][] last = new float[1][];
        try (Model model = Model.load(file, OPTIONS)) {
            model.evaluate(prompt, prompt.length - 1, (position, logits) -> last[0] = logits.clone());
        }
        return last[0];
    }

    /** Counts and widths of experts that contradict each other, or the tensors. */
    @Test
    void expertsThatCannotBeAreRefusedByName() throws IOException {
        assertRefused("llama", "llama.expert_count", number(8), ModelFormatException.class, "llama.expert_used_count");
        for (int used : new int[] {0, -1, 9}) {
            assertRefused("qwen3moe", "qwen3moe.expert_used_count", number(used), ModelFormatException.class);
        }
        for (int count : new int[] {3, 7, 16}) {
            assertRefused(
                    "qwen3moe", "qwen3moe.expert_count", number(count), ModelFormatException.class, "ffn_gate_inp");
        }
        for (int count : new int[] {1 << 20, -8}) {
            assertRefused("qwen3moe", "qwen3moe.expert_count", number(count), ModelFormatException.class);
        }
        assertRefused(
                "qwen3moe",
                "qwen3moe.expert_count",
                number(0),
                ModelFormatException.class,
                "the hyperparameters have none");
        assertRefused("glm4moe", "glm4moe.expert_gating_func", number(7), ModelFormatException.class);
        assertRefused("glm4moe", "glm4moe.nextn_predict_layers", number(3), ModelFormatException.class);
        assertRefused(
                "qwen3moe", "qwen3moe.expert_group_count", number(2), ModelFormatException.class, "group_used_count");
        assertRefused("llama4", "llama4.expert_count", number(5), ModelFormatException.class, "ffn_gate_inp");
        assertRefused("llama4", "llama4.attention.head_count_kv", number(3), ModelFormatException.class);
    }

    @Test
    void specialIdsOfMinusOneAreNone() throws IOException {
        Path file = model(w -> w.metadata("tokenizer.ggml.padding_token_id", MetadataValue.of(MetadataType.INT32, -1))
                .metadata("tokenizer.ggml.separator_token_id", MetadataValue.of(MetadataType.UINT32, -1)));
        try (Model model = Model.load(file, OPTIONS);
                Session session = model.newSession()) {
            assertThat(session.generate("hello", FEW, text -> {}).tokens()).hasSize(4);
        }
    }

    /** Finite weights whose products are not: the answer names the layer, and the session can be used on. */
    @Test
    void logitsThatAreNoNumbersAreAnErrorThatNamesTheLayer() throws IOException {
        try (Model model = Model.load(scaled("blk.1.attn_v.weight", 1e30f), OPTIONS.withKvType(KvType.F16));
                Session session = model.newSession()) {
            for (int i = 0; i < 2; i++) {
                assertThatThrownBy(() -> session.generate("hello", FEW, text -> {}))
                        .isInstanceOf(NumericalException.class)
                        .hasMessageContaining("attention in layer 1");
            }
        }
        try (Model model = Model.load(scaled("output.weight", 1e38f), OPTIONS);
                Session session = model.newSession()) {
            session.generate("hello", FEW, text -> {}); // infinite logits are still the largest
        }
    }

    /** Gemma's vocabulary has HTML's tags; only what the file calls a control token ends an answer. */
    @Test
    void anHtmlTagIsNoControlToken() {
        for (int type : new int[] {1, 4, 3}) {
            try (Gguf source = Gguf.open(Golden.tiny("llama"))) {
                Metadata metadata = source.metadata();
                Objects.requireNonNull(metadata.strings("tokenizer.ggml.tokens"))[200] = "</s>";
                Objects.requireNonNull(metadata.integers("tokenizer.ggml.token_type"))[200] = type;
                Tokenizer tokenizer = Tokenizer.of(metadata);
                assertThat(tokenizer.vocabulary().isControl(200)).isEqualTo(type == 3);
                assertThat(tokenizer.vocabulary().isEnd(200)).isEqualTo(type == 3);
            }
        }
    }

    @Test
    void optionsBeyondWhatThereCanBeAreRefused() {
        Path tiny = Golden.tiny("llama");
        assertThatThrownBy(() ->
                        Model.load(tiny, OPTIONS.withContextLength(10_000_000)).close())
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("trained for");
        assertThatThrownBy(
                        () -> Model.load(tiny, OPTIONS.withContextLength(4096).withSequences(Integer.MAX_VALUE))
                                .close())
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("fewer sessions");
        assertThatThrownBy(() -> DeviceOptions.defaults().withThreads(-1)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> DeviceOptions.defaults().withThreads(2_000_000_000))
                .isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> WeightLayout.int8(33)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> new DeviceOptions(0, -1, null, null, false)).isInstanceOf(UsageException.class);
        try (Model model = Model.load(tiny, OPTIONS.withContextLength(4096));
                Session session = model.newSession()) {
            assertThatThrownBy(() -> session.generate(new int[4096], FEW, text -> {}))
                    .isInstanceOf(ContextFullException.class)
                    .hasMessageContaining("trained for no more");
            assertThat(session.generate("hello", FEW.withLogprobs(Integer.MAX_VALUE), text -> {})
                            .topLogprobs())
                    .allMatch(top -> top.size() == model.vocabularySize());
        }
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void weightsThatAreNoNumbersAreRefusedWhereTheyStand(float weight) {
        float[] weights = new float[3 * 40];
        weights[53] = weight;
        try (Device device = Devices.open("reference", DeviceOptions.defaults())) {
            assertThatThrownBy(() -> Linear.quantize(device, weights, 3, 40, WeightLayout.int8(32))
                            .close())
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("row 1, column 13");
            weights[53] = 65_505;
            assertThatThrownBy(() -> Linear.quantize(device, weights, 3, 40, WeightLayout.F16)
                            .close())
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("F16 holds at most 65504");
            weights[53] = Float.MAX_VALUE;
            assertThatThrownBy(() -> Linear.quantize(device, weights, 3, 40, WeightLayout.BF16)
                            .close())
                    .isInstanceOf(UsageException.class);
            weights[53] = 65_504;
            try (Linear linear = Linear.quantize(device, weights, 3, 40, WeightLayout.F16)) {
                float[] x = new float[40];
                x[13] = 1;
                assertThat(linear.multiply(x, 1)).containsExactly(0, 65_504, 0);
            }
        }
    }

    /**
     * Weights so small that the reciprocal of their scale is infinite count as zeros, in every layout; all alike keep
     * their value.
     */
    @Test
    void tinyWeightsDoNotGrow() {
        float[] weights = new float[2 * 32];
        Arrays.fill(weights, 1e-38f);
        float[] x = new float[32];
        Arrays.fill(x, 1);
        try (Device device = Devices.open("reference", DeviceOptions.defaults())) {
            for (WeightLayout layout : KernelCases.layouts()) {
                try (Linear linear = Linear.quantize(device, weights, 2, 32, layout)) {
                    assertThat(linear.multiply(x, 1)[1]).as(layout.toString()).isBetween(0f, 3.3e-37f);
                }
            }
        }
    }
}

package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.embedding.Pooling;
import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.DemitasseException;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.NumericalException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.kv.KvRotation;
import dev.demitasse.kv.KvType;
import dev.demitasse.testkit.Golden;
import dev.demitasse.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Embeddings and scores as applications meet them; {@code ModelContractTest} compares their numbers. */
class EmbeddingModelTest {
    private static final EmbeddingOptions OPTIONS =
            EmbeddingOptions.DEFAULT.withBackend("reference").withMaximumTokens(64);

    @TempDir
    Path folder;

    private static EmbeddingModel load(String name) {
        return EmbeddingModel.load(Golden.embedding(name), OPTIONS);
    }

    @Test
    void textsOfManyThreadsAreEmbeddedAsAlone() throws Exception {
        List<String> texts = List.of("Hello there", "a cup of tea", "the", "x".repeat(40));
        try (EmbeddingModel model = load("modern-bert");
                ExecutorService executor = Executors.newFixedThreadPool(4)) {
            float[][] together = model.embed(texts);
            assertThat(together).hasDimensions(4, model.dimension());
            List<Callable<float[]>> calls = new ArrayList<>();
            texts.forEach(text -> calls.add(() -> model.embed(text)));
            List<Future<float[]>> alone = executor.invokeAll(calls);
            for (int i = 0; i < texts.size(); i++) {
                assertThat(alone.get(i).get()).as(texts.get(i)).isEqualTo(together[i]);
                assertThat(EmbeddingModel.cosine(together[i], together[i]))
                        .isCloseTo(1, org.assertj.core.data.Offset.offset(1e-9));
            }
        }
    }

    @Test
    void moreTextsThanABatchTakesAreEmbeddedInTheirOrder() {
        List<int[]> texts = new ArrayList<>();
        for (int i = 0; i < 600; i++) {
            texts.add(new int[] {i % 256});
        }
        try (EmbeddingModel model = load("bert-cls")) {
            float[][] vectors = model.embedTokens(texts);
            assertThat(vectors).hasDimensions(600, 32);
            for (int i : new int[] {0, 255, 256, 511, 599}) {
                assertThat(vectors[i]).isEqualTo(model.embedTokens(List.of(texts.get(i)))[0]);
            }
            assertThat(model.embed(List.of())).isEmpty();
        }
    }

    @Test
    void longTextsAreRefusedOrCut() {
        int[] text = new int[65];
        Arrays.setAll(text, i -> i);
        try (EmbeddingModel model = load("bert-mean")) {
            assertThatThrownBy(() -> model.embedTokens(List.of(new int[3], text)))
                    .isInstanceOf(ContextFullException.class)
                    .hasMessageContaining("Text 1 has 65 tokens; 64 are possible")
                    .hasMessageContaining("more tokens a text");
            assertThatThrownBy(() -> model.embedTokens(List.of(new int[0])))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("no tokens");
            assertThatThrownBy(() -> model.embedTokens(List.of(new int[] {1000})))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("1000");
        }
        Path file = Golden.embedding("bert-mean");
        try (EmbeddingModel model = EmbeddingModel.load(file, OPTIONS.withTruncates(true))) {
            assertThat(model.embedTokens(List.of(text))[0])
                    .isEqualTo(model.embedTokens(List.of(Arrays.copyOf(text, 64)))[0]);
        }
        assertThatThrownBy(() -> EmbeddingModel.load(file, OPTIONS.withMaximumTokens(129)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("trained for 128");
    }

    @Test
    void eachModelIsUsedForWhatItIs() throws IOException {
        assertThatThrownBy(() -> load("bert-rank"))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("Reranker");
        assertThatThrownBy(() -> Reranker.load(Golden.embedding("bert-cls"), OPTIONS))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("EmbeddingModel");
        Path causal = changed(
                "modern-bert",
                writer -> writer.metadata("modern-bert.attention.causal", MetadataValue.of(MetadataType.BOOL, true)));
        assertThatThrownBy(() -> Model.load(causal))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("generates no text");
        assertThatThrownBy(() -> Model.load(Golden.embedding("bert-cls")))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("generates no text");
        Path generator = Golden.tiny("qwen3");
        assertThatThrownBy(() -> EmbeddingModel.load(generator, OPTIONS))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("ask for a pooling");
        try (EmbeddingModel model = EmbeddingModel.load(generator, OPTIONS.withPooling(Pooling.LAST))) {
            assertThat(model.embed("the")).hasSize(model.dimension());
        }
        assertThatThrownBy(() -> EmbeddingModel.load(Golden.tiny("qwen35"), OPTIONS.withPooling(Pooling.LAST)))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("layers with a state");
        EmbeddingModel closed = load("bert-cls");
        closed.close();
        closed.close();
        assertThatThrownBy(() -> closed.embed("the")).isInstanceOf(UsageException.class);
    }

    @Test
    void documentsAreScoredForAQuery() {
        for (String name : List.of("bert-rank", "qwen3-reranker")) {
            try (Reranker reranker = Reranker.load(Golden.embedding(name), OPTIONS)) {
                float[] scores = reranker.score("tea", List.of("a cup", "a train", "a cup"));
                assertThat(scores).hasSize(3);
                assertThat(scores[2]).isEqualTo(scores[0]).isNotEqualTo(scores[1]);
                assertThat(reranker.score("tea", List.of())).isEmpty();
            }
        }
    }

    /** What begins the template and what ends it stays, and so does the query. */
    @Test
    void aLongDocumentIsCutAndALongQueryRefused() {
        EmbeddingOptions cutting = OPTIONS.withTruncates(true);
        String document = "a cup of tea ".repeat(20);
        for (String name : List.of("bert-rank", "qwen3-reranker")) {
            try (Reranker reranker = Reranker.load(Golden.embedding(name), cutting)) {
                float score = reranker.score("tea", List.of(document))[0];
                assertThat(score).isNotEqualTo(reranker.score("tea", List.of(""))[0]);
                float[] shorter = reranker.score(
                        "tea",
                        IntStream.range(0, document.length())
                                .mapToObj(length -> document.substring(0, length))
                                .toList());
                assertThat(shorter).contains(score);
                assertThatThrownBy(() -> reranker.score(document, List.of("tea")))
                        .isInstanceOf(ContextFullException.class)
                        .hasMessageContaining("no room")
                        .hasMessageContaining("document 0");
            }
        }
    }

    @Test
    void pairsOfTokensHaveTheScoresOfTheirTexts() {
        Path file = Golden.embedding("bert-rank");
        try (Gguf model = Gguf.open(file);
                Reranker reranker = Reranker.load(model, OPTIONS)) {
            Tokenizer.Pair pair = Tokenizer.of(model.metadata()).encodePair("tea", "a cup");
            float[] expected = reranker.score("tea", List.of("a cup"));
            assertThat(reranker.scoreTokens(List.of(pair))).isEqualTo(expected);
            assertThat(reranker.scoreTokens(List.of(new Tokenizer.Pair(pair.ids()))))
                    .isNotEqualTo(expected);
            for (int[] types : List.of(new int[0], new int[] {0, 2}, new int[] {0, -1})) {
                assertThatThrownBy(() -> reranker.scoreTokens(List.of(new Tokenizer.Pair(new int[] {1, 2}, types))))
                        .isInstanceOf(UsageException.class)
                        .hasMessageContaining("Pair 0");
            }
        }
    }

    @Test
    void theActivationIsTheOneThatTheFileNames() throws IOException {
        String key = "hidden_activation";
        float[] plain;
        try (EmbeddingModel model = load("modern-bert")) {
            plain = model.embed("the cup");
        }
        for (String name : List.of("gelu", "silu")) {
            Path file = changed("modern-bert", writer -> writer.metadata("modern-bert." + key, text(name)));
            try (EmbeddingModel model = EmbeddingModel.load(file, OPTIONS)) {
                assertThat(Arrays.equals(model.embed("the cup"), plain)).isEqualTo(name.equals("gelu"));
            }
        }
        for (String model : List.of("modern-bert", "bert-cls")) {
            String name = model.equals("bert-cls") ? "silu" : "tanh";
            Path file = changed(model, writer -> writer.metadata(model.replace("-cls", "") + "." + key, text(name)));
            assertThatThrownBy(() -> EmbeddingModel.load(file, OPTIONS))
                    .isInstanceOf(UnsupportedModelException.class)
                    .hasMessageContaining('"' + name + '"');
        }
    }

    private static MetadataValue text(String value) {
        return MetadataValue.of(MetadataType.STRING, value);
    }

    @Test
    void aBiasThatTheNormOfEmbeddingsHasNotIsRefused() throws IOException {
        Path file = changed(
                "gemma-embedding", writer -> writer.tensor("token_embd_norm.bias", new long[] {32}, new float[32]));
        assertThatThrownBy(() -> EmbeddingModel.load(file, OPTIONS))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("token_embd_norm.bias");
    }

    @Test
    void keysOfFewBitsAreRotatedUnlessToldNot() {
        Path file = Golden.embedding("modern-bert");
        List<float[]> vectors = new ArrayList<>();
        for (KvRotation rotation : List.of(KvRotation.AUTO, KvRotation.ON, KvRotation.OFF)) {
            EmbeddingOptions options = OPTIONS.withKvType(KvType.INT4).withKvRotation(rotation);
            try (EmbeddingModel model = EmbeddingModel.load(file, options)) {
                vectors.add(model.embed("the cup"));
            }
        }
        assertThat(vectors.get(0)).isEqualTo(vectors.get(1)).isNotEqualTo(vectors.get(2));
    }

    /** A classifier in the file of an embedding model, as encoders are trained with one, is left aside. */
    @Test
    void aClassifierChangesNoEmbedding() throws IOException {
        Path file = changed("bert-mean", writer -> {
            float[] numbers = new float[32 * 32];
            Arrays.fill(numbers, 0.5f);
            writer.tensor("cls.weight", new long[] {32, 32}, numbers);
        });
        try (EmbeddingModel with = EmbeddingModel.load(file, OPTIONS);
                EmbeddingModel without = load("bert-mean")) {
            assertThat(with.embed("the cup")).isEqualTo(without.embed("the cup"));
        }
    }

    @Test
    void closingWaitsForWhatRuns() throws Exception {
        for (int i = 0; i < 20; i++) {
            EmbeddingModel model = load("bert-mean");
            try (ExecutorService executor = Executors.newFixedThreadPool(3)) {
                List<Future<float[][]>> results = new ArrayList<>();
                for (int call = 0; call < 3; call++) {
                    results.add(executor.submit(() -> model.embed(List.of("the cup", "a train"))));
                }
                model.close();
                for (Future<float[][]> result : results) {
                    try {
                        assertThat(result.get()).hasDimensions(2, 32);
                    } catch (java.util.concurrent.ExecutionException e) {
                        assertThat(e.getCause())
                                .isInstanceOf(UsageException.class)
                                .hasMessageContaining("closed");
                    }
                }
            }
        }
    }

    /** What a document says is never a special token, and takes no place of the template. */
    @Test
    void aTemplateOfTheFileJoinsQueryAndDocument() throws IOException {
        String template = "q: {query}\nd: {document} end";
        Path file =
                changed("qwen3-reranker", writer -> writer.metadata("tokenizer.chat_template.rerank", text(template)));
        try (Reranker reranker = Reranker.load(file, OPTIONS);
                Reranker plain = Reranker.load(Golden.embedding("qwen3-reranker"), OPTIONS);
                EmbeddingModel tokens = load("qwen3-embedding")) {
            int[] whole = tokens.tokenizer().encode("q: {document}\nd: there end", false);
            assertThat(reranker.score("{document}", List.of("there")))
                    .isEqualTo(plain.scoreTokens(List.of(new Tokenizer.Pair(whole))));
        }
        String text = "there ".repeat(40);
        try (Reranker cut = Reranker.load(file, OPTIONS.withTruncates(true));
                Reranker plain = Reranker.load(Golden.embedding("qwen3-reranker"), OPTIONS);
                EmbeddingModel tokens = load("qwen3-embedding")) {
            float score = cut.score("tea", List.of(text))[0];
            boolean found = false;
            for (int length = 0; length < text.length(); length++) { // the end of the template is still there
                int[] ids = tokens.tokenizer().encode("q: tea\nd: " + text.substring(0, length) + " end", false);
                found |= ids.length <= 64 && plain.scoreTokens(List.of(new Tokenizer.Pair(ids)))[0] == score;
            }
            assertThat(found).isTrue();
        }
    }

    private Path changed(String name, Consumer<GgufWriter> change) throws IOException {
        return ChangedFiles.changed(Golden.embedding(name), folder.resolve("changed.gguf"), change);
    }

    private Path rewritten(String name, String tensor, float factor) throws IOException {
        return ChangedFiles.scaled(Golden.embedding(name), folder.resolve("rewritten.gguf"), tensor, factor);
    }

    @ParameterizedTest
    @CsvSource({
        "bert-cls, bert.attention.head_count, 0",
        "bert-cls, bert.attention.head_count, 3",
        "bert-cls, bert.attention.head_count_kv, -2",
        "bert-cls, bert.context_length, 129",
        "bert-cls, bert.context_length, 2147483647",
        "bert-cls, bert.embedding_length, 1000000",
        "bert-cls, bert.feed_forward_length, 65",
        "bert-cls, bert.pooling_type, 9",
        "bert-cls, bert.pooling_type, 4",
        "bert-cls, bert.block_count, 3",
        "modern-bert, modern-bert.attention.sliding_window, -1000000000",
        "modern-bert, modern-bert.attention.sliding_window, 2147483647",
        "modern-bert, modern-bert.attention.sliding_window_pattern, -3",
        "modern-bert, modern-bert.feed_forward_length, 63",
        "nomic-bert, nomic-bert.rope.dimension_count, 17",
        "nomic-bert-moe, nomic-bert-moe.expert_count, 3",
        "nomic-bert-moe, nomic-bert-moe.expert_count, 0",
        "nomic-bert-moe, nomic-bert-moe.expert_used_count, 5",
        "gemma-embedding, gemma-embedding.attention.shared_kv_layers, 2",
        "qwen3-reranker, qwen3.attention.key_length, 2147483646"
    })
    void numbersThatCannotBeAreRefusedOrUsed(String name, String key, int value) throws IOException {
        Path file = changed(name, writer -> writer.metadata(key, MetadataValue.of(MetadataType.INT32, value)));
        try {
            if (name.endsWith("reranker")) {
                Reranker.load(file, OPTIONS).close();
            } else {
                try (EmbeddingModel model = EmbeddingModel.load(file, OPTIONS)) {
                    assertThat(model.embed("the cup")).hasSize(model.dimension());
                }
            }
            assertThat(key).endsWith("sliding_window"); // a huge one is all, a negative one none
        } catch (DemitasseException e) {
            assertThat(e).isInstanceOfAny(ModelFormatException.class, UnsupportedModelException.class);
            assertThat(e.getMessage()).isNotBlank();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "position_embd.weight",
                "blk.0.attn_output_norm.weight",
                "blk.1.layer_output_norm.weight",
                "blk.0.ffn_up.weight",
                "token_embd.weight"
            })
    void tensorsThatAreMissingAreNamed(String tensor) throws IOException {
        Path file = rewritten("bert-mean", tensor, Float.NaN);
        assertThatThrownBy(() -> EmbeddingModel.load(file, OPTIONS))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining(
                        tensor.startsWith("blk.0.attn_output")
                                ? "attn_norm"
                                : tensor.startsWith("blk.1.layer") ? "ffn_norm" : tensor);
    }

    @Test
    void aScoreNeedsBothLayersOfAnEncodersClassifier() throws IOException {
        Path file = rewritten("bert-rank", "cls.weight", Float.NaN);
        assertThatThrownBy(() -> Reranker.load(file, OPTIONS))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("cls.weight");
        Path unnormalized = rewritten("modern-bert", "output_norm.weight", Float.NaN);
        assertThatThrownBy(() -> EmbeddingModel.load(unnormalized, OPTIONS))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("output_norm.weight");
    }

    @Test
    void numbersBeyondTheRangeAreNoEmbedding() throws IOException {
        Path file = rewritten("bert-mean", "position_embd.weight", 1e38f);
        try (EmbeddingModel model = EmbeddingModel.load(file, OPTIONS)) {
            assertThatThrownBy(() -> model.embed("the cup"))
                    .isInstanceOf(NumericalException.class)
                    .hasMessageContaining("text 0");
        }
    }
}

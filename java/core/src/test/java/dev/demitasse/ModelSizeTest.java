package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.demitasse.chat.OtherMedia;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.fetch.Catalogue;
import dev.demitasse.fetch.CatalogueEntry;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.kv.KvType;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelSizeTest {
    @TempDir
    private Path folder;

    private static ModelSize size(String tiny) {
        try (Gguf file = Gguf.open(Golden.tiny(tiny))) {
            return ModelSize.of(file);
        }
    }

    /** One layer of four has a cache: a head of 32 keys and values; three have 3 rows of 128 and 4 heads of 16 × 16. */
    @Test
    void statesAreToldBesideTheCache() {
        ModelSize size = size("qwen35");
        assertThat(size.cacheBytesPerPosition().get(KvType.F16)).isEqualTo(2 * 32 * 2);
        assertThat(size.stateBytes()).isEqualTo(4 * 3 * (3 * 128 + 4 * 16 * 16) * 4);
        assertThat(size("llama").stateBytes()).isZero();
    }

    /** Keys and values of 32 elements have a scale of four bytes each, or in INT4 a scale and a minimum. */
    @Test
    void theCacheIsToldForEachType() {
        Map<KvType, Long> bytes = size("qwen35").cacheBytesPerPosition();
        assertThat(bytes)
                .containsEntry(KvType.F32, 2 * 32 * 4L)
                .containsEntry(KvType.INT8, 2 * (32 + 4L))
                .containsEntry(KvType.FP8, 2 * (32 + 4L))
                .containsEntry(KvType.INT4, 2 * (16 + 4L));
    }

    /** Types that no kernel reads are larger once they are loaded: 4-bit levels have 16-bit scales, Q4_K 6 bits. */
    @Test
    void whatWeightsTakeOnAGpuIsTold() {
        try (Gguf file = Gguf.open(Golden.tiny("qwen3moe-q4_k_m"))) {
            for (GgufTensor tensor : file.tensors()) {
                double bits = 8.0 * ModelSize.gpuBytes(tensor) / tensor.elements();
                double expected = switch (tensor.type()) {
                    case F32 -> 32;
                    case Q4_K -> 6;
                    case Q6_K -> 10;
                    default -> throw new AssertionError(tensor.type() + " is new in the file");
                };
                assertThat(bits).as(tensor.name()).isEqualTo(expected);
            }
        }
        assertThat(size("qwen3moe-q8_0").gpuBytes())
                .isBetween(1L, size("qwen3moe").gpuBytes() / 2);
    }

    /** What the catalogue says of a model that is there. */
    @Test
    void theCatalogueKnowsWhatItsModelsTakeOnACard() {
        for (CatalogueEntry entry : Catalogue.load().entries()) {
            Path path = CacheFolder.path().resolve("models").resolve(entry.file());
            if (Files.exists(path)) {
                try (Gguf file = Gguf.open(path)) {
                    double growth = (double) ModelSize.of(file).gpuBytes() / file.fileBytes();
                    assertThat(entry.growth()).as(entry.name()).isCloseTo(growth, within(0.1));
                }
            }
        }
    }

    @Test
    void whatIsReadBesideTextIsTold() throws IOException {
        MetadataValue template = MetadataValue.of(
                MetadataType.STRING, "{% if part.type == 'image' or part.type == \"video_url\" %}imagine{% endif %}");
        Path path = ChangedFiles.changed(
                Golden.tiny("llama"),
                folder.resolve("seeing.gguf"),
                writer -> writer.metadata("tokenizer.chat_template", template));
        try (Gguf seeing = Gguf.open(path);
                Gguf blind = Gguf.open(Golden.tiny("llama"))) {
            assertThat(OtherMedia.leftOut(seeing.metadata())).containsExactly("image", "video");
            assertThat(OtherMedia.sentence(List.of("image"))).contains("(image) needs another file");
            assertThat(OtherMedia.leftOut(blind.metadata())).isEmpty();
        }
    }

    /** A block that predicts further tokens is no part of a pass; what it takes is told apart. */
    @Test
    void aDraftBlockIsToldApart() {
        ModelSize size = size("qwen35-mtp");
        assertThat(size.parameters()).isEqualTo(size("qwen35").parameters());
        assertThat(size.activeParameters()).isEqualTo(size("qwen35").activeParameters());
        assertThat(size.cacheBytesPerPosition().get(KvType.F16)).isEqualTo(2 * 2 * 32 * 2);
        long norms = 7 * 32;
        long attention = 32 * 128 + 2 * 32 * 32 + 64 * 32;
        assertThat(size.draftBytes()).isEqualTo(4 * (norms + attention + 3 * 32 * 64 + 64 * 32));
        assertThat(size("qwen35").draftBytes()).isZero();
    }

    /** Two of three experts are a token's, and one row of the table of tokens. */
    @Test
    void expertsThatATokenHasNotAreNotActive() {
        ModelSize size = size("qwen35moe");
        long expert = 3L * 32 * 32;
        long others = 268 * 32;
        assertThat(size.parameters() - size.activeParameters()).isEqualTo(4 * expert + others);
        assertThat(size.bytesPerToken()).isEqualTo(4 * size.activeParameters());
        ModelSize tied = size("lfm2");
        assertThat(tied.activeParameters()).as("the table is the output matrix").isEqualTo(tied.parameters());
    }

    /** What would be scaled wrongly is said to be special, so that nobody scales it. */
    @ParameterizedTest
    @ValueSource(strings = {"cohere2", "gemma4-dense", "gemma4-ple", "nemotron_h", "deepseek2", "gemma4-moe"})
    void dimensionsThatDoNotSayAllSaySo(String name) {
        try (Gguf file = Gguf.open(Golden.tiny(name))) {
            assertThat(ModelShape.of(file).special()).isNotNull();
        }
    }

    @Test
    void anEncoderHasNoShapeOfWhatWrites() {
        try (Gguf file = Gguf.open(Golden.embedding("bert-cls"))) {
            assertThatThrownBy(() -> ModelShape.of(file))
                    .isInstanceOf(UnsupportedModelException.class)
                    .hasMessageContaining("encoder");
        }
    }
}

package dev.demitasse.gguf;

import dev.demitasse.EmbeddingModel;
import dev.demitasse.EmbeddingOptions;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Reranker;
import dev.demitasse.exception.DemitasseException;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Random damage: every mutation of a golden model, generator or encoder, loads, or gives a typed exception. */
class GgufMutationTest {
    private static final int MUTATIONS = Integer.getInteger("demitasse.mutations", 100_000);
    /** Mutations that go on to a whole model, weights and all; the rest end after header and hyperparameters. */
    private static final int WHOLE_MODELS = MUTATIONS / 50;

    private static final ModelOptions OPTIONS = ModelOptions.DEFAULT
            .withBackend("reference")
            .withContextLength(32)
            .withSequences(1)
            .withBatch(8, 8);
    private static final EmbeddingOptions EMBEDDING = EmbeddingOptions.DEFAULT.withBackend("reference");

    /** A golden file, and how its kind is loaded. */
    private record Original(String name, Path file, Consumer<Gguf> load) {
        static Original embedding(String name) {
            boolean scores = name.endsWith("-rank") || name.endsWith("-reranker");
            return new Original(
                    name,
                    Golden.embedding(name),
                    scores
                            ? gguf -> Reranker.load(gguf, EMBEDDING).close()
                            : gguf -> EmbeddingModel.load(gguf, EMBEDDING).close());
        }

        static List<Original> all() {
            Stream<Original> generators = Stream.concat(Golden.TINY.stream(), Golden.TINY_QUANTIZED.stream())
                    .map(name -> new Original(
                            name,
                            Golden.tiny(name),
                            gguf -> Model.load(gguf, OPTIONS).close()));
            return Stream.concat(generators, Golden.EMBEDDINGS.stream().map(Original::embedding))
                    .toList();
        }
    }

    @Test
    void everyMutationLoadsOrGivesTheTypedException() throws IOException {
        long seed = Long.getLong("demitasse.seed", System.nanoTime());
        SplittableRandom random = new SplittableRandom(seed);
        List<Original> all = Original.all();
        byte[][] originals = new byte[all.size()][];
        int[] headers = new int[originals.length];
        for (int i = 0; i < originals.length; i++) {
            originals[i] = Files.readAllBytes(all.get(i).file);
            headers[i] = header(originals[i]);
        }
        for (int n = 0; n < MUTATIONS; n++) {
            int which = random.nextInt(originals.length);
            boolean whole = n % (MUTATIONS / WHOLE_MODELS) == 0;
            int length = whole ? originals[which].length : headers[which] + 4096;
            byte[] bytes = java.util.Arrays.copyOf(originals[which], Math.min(length, originals[which].length));
            mutate(bytes, whole ? bytes.length : headers[which], random);
            MemorySegment segment = MemorySegment.ofArray(bytes);
            MemorySegment shown = random.nextInt(20) == 0 ? segment.asSlice(0, random.nextInt(bytes.length)) : segment;
            try (Gguf gguf = Gguf.parse("mutation", shown)) {
                if (whole) {
                    all.get(which).load.accept(gguf);
                }
            } catch (DemitasseException e) {
                // the typed exception: what this test asks for
            } catch (RuntimeException | Error e) {
                throw new AssertionError("mutation " + n + " of seed " + seed + " of " + all.get(which).name, e);
            }
        }
    }

    /** Bytes before the tensors' data. */
    private static int header(byte[] bytes) {
        try (Gguf gguf = Gguf.parse("original", MemorySegment.ofArray(bytes))) {
            long data = gguf.tensors().stream()
                    .mapToLong(tensor -> (tensor.data().byteSize() + 31) / 32 * 32)
                    .sum();
            return (int) (bytes.length - data);
        }
    }

    private static void mutate(byte[] bytes, int limit, SplittableRandom random) {
        int changes = 1 + random.nextInt(4);
        for (int i = 0; i < changes; i++) {
            int at = random.nextInt(4) == 0 ? random.nextInt(Math.min(64, limit)) : random.nextInt(limit);
            switch (random.nextInt(4)) {
                case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
                case 1 -> bytes[at] = (byte) random.nextInt(256);
                case 2 -> bytes[at] = (byte) (random.nextBoolean() ? 0xFF : 0);
                default -> {
                    for (int j = at; j < Math.min(limit, at + 8); j++) {
                        bytes[j] = (byte) (random.nextBoolean() ? 0xFF : random.nextInt(256));
                    }
                }
            }
        }
    }
}

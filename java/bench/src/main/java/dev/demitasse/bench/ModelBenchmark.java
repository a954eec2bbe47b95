package dev.demitasse.bench;

import dev.demitasse.Devices;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.RopeFrequencies;
import dev.demitasse.model.Weights;
import dev.demitasse.quant.TensorType;
import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.SamplingOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.jspecify.annotations.Nullable;

/**
 * Whole models of well-known shapes with random weights, from a file through the engine to tokens, on any device:
 * prefill and decode, alone and in batches, one JSON line each. On GPU devices also the kernels of a step, their
 * time, and the time of a step in which no kernel ran or waited to run.
 */
public final class ModelBenchmark {
    private static final int PROMPT = 512;
    private static final int LONG_PROMPT = 4096;
    private static final int DEEP_POSITION = 8192;
    private static final String PEER = "--peer=";
    /** What GPU devices record of a list of kernels. */
    static final String RUN_EVENT = "demitasse.GpuRun";

    /**
     * A model's shape.
     *
     * @param tied whether the output matrix is the embedding
     */
    private record Shape(
            String name,
            int layers,
            int hidden,
            int feedForward,
            int heads,
            int kvHeads,
            int headDim,
            int vocabulary,
            boolean tied) {}

    private static final Shape LLAMA_8B = new Shape("llama-8b", 32, 4096, 14336, 32, 8, 128, 128256, false);
    private static final Shape LLAMA_1B = new Shape("llama-1b", 16, 2048, 8192, 32, 8, 64, 128256, true);
    private static final Shape TINY = new Shape("tiny", 2, 128, 256, 4, 2, 32, 512, true);
    /** As many operations as of a large model, each of them small: what is left is the time of the host. */
    private static final Shape DEEP = new Shape("deep", 32, 128, 256, 4, 2, 32, 512, true);

    private final String backend;
    private final boolean quick;
    private final @Nullable LlamaBench peer;

    private ModelBenchmark(String backend, boolean quick, @Nullable LlamaBench peer) {
        this.backend = backend;
        this.quick = quick;
        this.peer = peer;
    }

    /**
     * Arguments: a backend's name; {@code --quick} for small models that only show that everything runs;
     * {@code --peer=PROGRAM} for what llama.cpp's {@code llama-bench} does with the same files, longer prompts and
     * greater depths included; and which models, where that is not all, by the beginning of what they print:
     * {@code llama-8b}, {@code llama-8b/Q4_0/FP8}.
     */
    public static void main(String[] arguments) throws IOException {
        List<String> options = Arrays.asList(arguments).subList(1, arguments.length);
        boolean quick = options.contains("--quick");
        List<String> names =
                options.stream().filter(option -> !option.startsWith("--")).toList();
        LlamaBench peer = options.stream()
                .filter(option -> option.startsWith(PEER))
                .map(option -> new LlamaBench(option.substring(PEER.length())))
                .findFirst()
                .orElse(null);
        ModelBenchmark benchmark = new ModelBenchmark(arguments[0], quick, peer);
        Map<Shape, List<TensorType>> models = new LinkedHashMap<>();
        models.put(DEEP, List.of(TensorType.Q4_0));
        models.put(quick ? TINY : LLAMA_1B, List.of(TensorType.Q4_0, TensorType.Q8_0, TensorType.F16));
        if (!quick) {
            models.put(LLAMA_8B, List.of(TensorType.Q4_0, TensorType.Q8_0));
        }
        for (Map.Entry<Shape, List<TensorType>> model : models.entrySet()) {
            for (TensorType type : model.getValue()) {
                List<KvType> caches =
                        model.getKey().equals(LLAMA_8B) ? List.of(KvType.F16, KvType.FP8) : List.of(KvType.F16);
                String name = model.getKey().name + "/" + type + "/";
                benchmark.run(
                        model.getKey(),
                        type,
                        caches.stream()
                                .filter(cache ->
                                        names.isEmpty() || names.stream().anyMatch((name + cache)::startsWith))
                                .toList());
            }
        }
    }

    private void run(Shape shape, TensorType type, List<KvType> caches) throws IOException {
        if (caches.isEmpty()) {
            return;
        }
        Path path = Files.createTempFile(shape.name, ".gguf");
        try {
            write(path, shape, type);
            for (KvType cache : caches) {
                run(path, shape, type, cache);
            }
            if (peer != null && caches.contains(KvType.F16)) {
                List<Integer> prompts = quick ? List.of(40) : List.of(PROMPT, LONG_PROMPT);
                String model = String.format(Locale.ROOT, "\"model\":\"%s\",\"type\":\"%s\",", shape.name, type);
                peer.run(
                        path,
                        prompts,
                        quick ? 8 : 128,
                        quick ? List.of(0) : List.of(0, DEEP_POSITION),
                        fields -> System.out.println("{\"backend\":\"llama.cpp\"," + model + fields + "}"));
            }
        } finally {
            Files.deleteIfExists(path);
        }
    }

    private void run(Path path, Shape shape, TensorType type, KvType kvType) throws IOException {
        int depth = quick ? 40 : 2048;
        int most = quick ? 2 : 32;
        int context = (peer == null || quick ? depth : DEEP_POSITION) + PROMPT;
        long start = System.nanoTime();
        try (Gguf file = Gguf.open(path);
                Device device = Devices.open(backend, DeviceOptions.defaults())) {
            ModelConfig config = ModelConfig.read(
                    file.metadata(), shape.vocabulary, new RopeFrequencies.Factors(null, null, null), context);
            try (Weights weights = new Weights(file, config, device, null);
                    Engine engine = new Engine(
                            config,
                            weights,
                            device,
                            new Engine.Limits(context, most, 512, 512, kvType, false),
                            new Engine.Roles(id -> false))) {
                String model = String.format(
                        Locale.ROOT, "\"model\":\"%s\",\"type\":\"%s\",\"cache\":\"%s\"", shape.name, type, kvType);
                print(String.format(
                        Locale.ROOT,
                        "\"operation\":\"load\",%s,\"bytes\":%d,\"seconds\":%.2f",
                        model,
                        weights.bytes(),
                        (System.nanoTime() - start) * 1e-9));
                prefill(engine, model, quick ? 40 : PROMPT);
                decode(engine, model, weights.bytes(), 1, 1);
                decode(engine, model, weights.bytes(), 1, depth);
                if (peer != null && !quick) {
                    prefill(engine, model, LONG_PROMPT);
                    decode(engine, model, weights.bytes(), 1, DEEP_POSITION);
                }
                for (int sequences = 8; sequences <= most; sequences *= 4) {
                    decode(engine, model, weights.bytes(), sequences, 1);
                    decode(engine, model, weights.bytes(), sequences, depth);
                }
                if (quick) {
                    decode(engine, model, weights.bytes(), most, depth);
                }
            }
        }
    }

    private void prefill(Engine engine, String model, int count) {
        double[] seconds = new double[quick ? 1 : 10];
        for (int run = -2; run < seconds.length; run++) {
            Sequence sequence = new Sequence();
            long start = System.nanoTime();
            engine.begin(sequence, tokens(count, run), SamplingOptions.GREEDY, 1, 0, 0, false);
            engine.await(sequence, 0, () -> null);
            if (run >= 0) {
                seconds[run] = (System.nanoTime() - start) * 1e-9;
            }
            engine.close(sequence);
        }
        print(String.format(
                Locale.ROOT,
                "\"operation\":\"prefill\",%s,\"tokens\":%d,\"tokensPerSecond\":%.1f",
                model,
                count,
                count / median(seconds)));
    }

    /** Steps in which each of some sequences, {@code depth} tokens long, gets one more. */
    private void decode(Engine engine, String model, long weightBytes, int sequences, int depth) throws IOException {
        int steps = !quick ? 64 : model.contains("deep") ? 150 : 6;
        int warm = quick && !model.contains("deep") ? 8 : 100;
        List<Sequence> running = new ArrayList<>();
        for (int s = 0; s < sequences; s++) {
            Sequence sequence = new Sequence();
            engine.begin(sequence, tokens(depth, s), SamplingOptions.GREEDY, PROMPT - 1, 0, 0, false);
            running.add(sequence);
        }
        for (Sequence sequence : running) {
            engine.await(sequence, 0, () -> null);
        }
        Sequence first = running.getFirst();
        int seen = warm + 1;
        advance(engine, first, seen);
        double[] seconds = new double[steps];
        try (Recording recording = new Recording()) {
            recording.enable(RUN_EVENT);
            for (int step = 0; step < steps; step++) {
                long start = System.nanoTime();
                advance(engine, first, ++seen);
                seconds[step] = (System.nanoTime() - start) * 1e-9;
            }
            double second = median(seconds);
            recording.start();
            advance(engine, first, seen + steps);
            recording.stop();
            print(String.format(
                    Locale.ROOT,
                    "\"operation\":\"decode\",%s,\"sequences\":%d,\"depth\":%d,\"tokensPerSecond\":%.1f,"
                            + "\"millisecondsPerStep\":%.4f,\"weightGigabytesPerSecond\":%.1f%s",
                    model,
                    sequences,
                    depth,
                    sequences / second,
                    second * 1e3,
                    weightBytes / second / 1e9,
                    kernels(recording, steps, second)));
        }
        for (Sequence sequence : running) {
            engine.end(sequence, FinishReason.CANCELLED);
            engine.close(sequence);
        }
    }

    private static void advance(Engine engine, Sequence sequence, int tokens) {
        int seen = 0;
        while (seen < tokens) {
            seen += engine.await(sequence, seen, () -> null).steps().size();
        }
    }

    /** The events of a recording that has been stopped, in their order. */
    static List<RecordedEvent> events(Recording recording) throws IOException {
        Path path = Files.createTempFile("demitasse", ".jfr");
        try {
            recording.dump(path);
            return RecordingFile.readAllEvents(path).stream()
                    .sorted(Comparator.comparing(RecordedEvent::getStartTime))
                    .toList();
        } finally {
            Files.deleteIfExists(path);
        }
    }

    /** Fields about the kernels of a step, where the device records them. */
    private static String kernels(Recording recording, int steps, double second) throws IOException {
        double kernels = 0;
        double microseconds = 0;
        int graphs = 0;
        List<RecordedEvent> events = events(recording);
        for (RecordedEvent event : events) {
            kernels += event.getInt("kernels");
            microseconds += event.getDouble("gpuMicroseconds");
            graphs += event.getBoolean("graph") ? 1 : 0;
        }
        if (events.isEmpty()) {
            return "";
        }
        return String.format(
                Locale.ROOT,
                ",\"kernelsPerStep\":%.1f,\"runsPerStep\":%.2f,\"graphsPerStep\":%.2f,"
                        + "\"gpuMillisecondsPerStep\":%.4f,\"otherMillisecondsPerStep\":%.4f",
                kernels / steps,
                (double) events.size() / steps,
                (double) graphs / steps,
                microseconds / steps * 1e-3,
                second * 1e3 - microseconds / steps * 1e-3);
    }

    private int[] tokens(int count, int seed) {
        return new SplittableRandom(seed).ints(count, 0, TINY.vocabulary).toArray();
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private void print(String fields) {
        System.out.println("{\"backend\":\"" + backend + "\"," + fields + "}");
    }

    /** A file with random blocks, the same bytes for all matrices. */
    private static void write(Path path, Shape shape, TensorType type) throws IOException {
        GgufWriter writer = new GgufWriter(3, 32);
        writer.metadata("general.architecture", MetadataValue.of(MetadataType.STRING, "llama"));
        writer.metadata("llama.block_count", MetadataValue.of(MetadataType.UINT32, shape.layers));
        writer.metadata("llama.embedding_length", MetadataValue.of(MetadataType.UINT32, shape.hidden));
        writer.metadata("llama.feed_forward_length", MetadataValue.of(MetadataType.UINT32, shape.feedForward));
        writer.metadata("llama.attention.head_count", MetadataValue.of(MetadataType.UINT32, shape.heads));
        writer.metadata("llama.attention.head_count_kv", MetadataValue.of(MetadataType.UINT32, shape.kvHeads));
        writer.metadata("llama.attention.key_length", MetadataValue.of(MetadataType.UINT32, shape.headDim));
        writer.metadata("tokenizer.ggml.model", MetadataValue.of(MetadataType.STRING, "none"));
        writer.metadata("llama.vocab_size", MetadataValue.of(MetadataType.UINT32, shape.vocabulary));
        writer.metadata("llama.context_length", MetadataValue.of(MetadataType.UINT32, 131072));
        writer.metadata("llama.attention.layer_norm_rms_epsilon", MetadataValue.of(MetadataType.FLOAT32, 1e-5f));
        try (Arena arena = Arena.ofShared()) {
            MemorySegment ones = arena.allocate(shape.hidden * 4L, 64);
            for (int i = 0; i < shape.hidden; i++) {
                ones.setAtIndex(ValueLayout.JAVA_FLOAT, i, 1);
            }
            int widest = Math.max(shape.vocabulary, Math.max(shape.feedForward, shape.heads * shape.headDim));
            MemorySegment blocks = randomBlocks(arena, type, (long) widest * shape.hidden);
            int queries = shape.heads * shape.headDim;
            int keys = shape.kvHeads * shape.headDim;
            matrix(writer, blocks, type, "token_embd", shape.vocabulary, shape.hidden);
            if (!shape.tied) {
                matrix(writer, blocks, type, "output", shape.vocabulary, shape.hidden);
            }
            norm(writer, ones, "output_norm");
            for (int layer = 0; layer < shape.layers; layer++) {
                String p = "blk." + layer + ".";
                norm(writer, ones, p + "attn_norm");
                norm(writer, ones, p + "ffn_norm");
                matrix(writer, blocks, type, p + "attn_q", queries, shape.hidden);
                matrix(writer, blocks, type, p + "attn_k", keys, shape.hidden);
                matrix(writer, blocks, type, p + "attn_v", keys, shape.hidden);
                matrix(writer, blocks, type, p + "attn_output", shape.hidden, queries);
                matrix(writer, blocks, type, p + "ffn_gate", shape.feedForward, shape.hidden);
                matrix(writer, blocks, type, p + "ffn_up", shape.feedForward, shape.hidden);
                matrix(writer, blocks, type, p + "ffn_down", shape.hidden, shape.feedForward);
            }
            writer.write(path);
        }
    }

    private static void norm(GgufWriter writer, MemorySegment ones, String name) {
        writer.tensor(name + ".weight", TensorType.F32, new long[] {ones.byteSize() / 4}, ones);
    }

    private static void matrix(
            GgufWriter writer, MemorySegment blocks, TensorType type, String name, int rows, int columns) {
        writer.tensor(
                name + ".weight",
                type,
                new long[] {columns, rows},
                blocks.asSlice(0, (long) rows * columns / type.blockElements() * type.blockBytes()));
    }

    /** Blocks that begin with an FP16 scale of 0.01, and hold random bytes; FP16 numbers all are around that. */
    static MemorySegment randomBlocks(Arena arena, TensorType type, long elements) {
        MemorySegment data = arena.allocate(elements / type.blockElements() * type.blockBytes(), 64);
        SplittableRandom random = new SplittableRandom(20261125);
        for (long at = 0; at + 8 <= data.byteSize(); at += 8) {
            long bits = random.nextLong();
            data.set(
                    ValueLayout.JAVA_LONG,
                    at,
                    type == TensorType.F16 ? bits & 0x83FF83FF83FF83FFL | 0x2000200020002000L : bits);
        }
        short scale = Float.floatToFloat16(0.01f);
        for (long at = 0; type != TensorType.F16 && at < data.byteSize(); at += type.blockBytes()) {
            data.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, scale);
        }
        return data;
    }
}

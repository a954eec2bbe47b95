package dev.demitasse.quantize;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What an error in each column of a matrix costs: the mean square of the inputs that it is multiplied by, over a
 * calibration text. Files are llama.cpp's ({@code llama-imatrix}): GGUF with tensors {@code NAME.in_sum2} and {@code
 * NAME.counts}, and its older own format, which is only read.
 */
public final class ImportanceMatrix {
    private static final String SUMS = ".in_sum2";
    private static final String COUNTS = ".counts";
    private static final int MAGIC = 0x46554747;
    private static final long MOST_BYTES = 1L << 29;

    /** Sums of squares for matrices × columns, and rows seen by each matrix (one, but for experts). */
    record Entry(float[] sums, float[] counts) {}

    private final Map<String, Entry> entries;
    private final List<String> texts;
    private final int chunks;
    private final int chunkTokens;

    ImportanceMatrix(Map<String, Entry> entries, List<String> texts, int chunks, int chunkTokens) {
        this.entries = new TreeMap<>(entries);
        this.texts = List.copyOf(texts);
        this.chunks = chunks;
        this.chunkTokens = chunkTokens;
    }

    /** {@return the number of matrices that it knows} */
    public int size() {
        return entries.size();
    }

    /** {@return the names of the calibration texts; empty where the file has none} */
    public List<String> texts() {
        return texts;
    }

    /** {@return the number of pieces of text that were run; 0 where the file does not say} */
    public int chunks() {
        return chunks;
    }

    /**
     * Whether the matrix is known.
     *
     * @param dimensions of the tensor, fastest first
     * @throws UsageException where it is, with another number of columns or of matrices
     */
    boolean fits(String name, long[] dimensions) {
        Entry entry = entries.get(name);
        if (entry == null) {
            return false;
        }
        long matrices = dimensions.length > 2 ? dimensions[2] : 1;
        if (entry.sums.length != dimensions[0] && entry.sums.length != dimensions[0] * matrices) {
            throw new UsageException("The importance matrix has " + entry.sums.length + " numbers for \"" + name
                    + "\", which has " + matrices + " × " + dimensions[0] + " columns; it is another model's.");
        }
        return true;
    }

    /**
     * The mean squares of a matrix's columns; those of several matrices of one tensor one after the other. A matrix
     * that saw no input (an expert that was never chosen) has ones. Null where the matrix is not known.
     */
    float @Nullable [] meanSquares(String name) {
        Entry entry = entries.get(name);
        if (entry == null) {
            return null;
        }
        float[] means = new float[entry.sums.length];
        int each = entry.sums.length / entry.counts.length;
        for (int i = 0; i < means.length; i++) {
            float count = entry.counts[i / each];
            means[i] = count > 0 ? entry.sums[i] / count : 1;
        }
        return means;
    }

    /**
     * Reads a file of either format.
     *
     * @param path the file
     * @return the importance matrix in it
     * @throws ModelFormatException where it is damaged, or is none
     * @throws UsageException where it cannot be opened
     */
    public static ImportanceMatrix read(Path path) {
        try {
            if (!Files.isRegularFile(path) || Files.size(path) > MOST_BYTES) {
                throw new ModelFormatException(
                        path + " is no importance matrix: these are files of at most " + (MOST_BYTES >> 20) + " MiB.");
            }
            byte[] head = new byte[4];
            try (var in = Files.newInputStream(path)) {
                in.readNBytes(head, 0, 4);
            }
            int magic = ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN).getInt();
            return magic == MAGIC ? readGguf(path) : readOld(path, Files.readAllBytes(path));
        } catch (IOException e) {
            throw new UsageException("Cannot read the importance matrix " + path + ": " + e, e);
        }
    }

    private static ImportanceMatrix readGguf(Path path) {
        Map<String, Entry> entries = new TreeMap<>();
        try (Gguf file = Gguf.open(path)) {
            String type = file.metadata().string("general.type", "model");
            if (!"imatrix".equals(type)) {
                throw new ModelFormatException(path + " is a " + type + ", no importance matrix.");
            }
            for (GgufTensor tensor : file.tensors()) {
                if (tensor.name().endsWith(SUMS)) {
                    String name = tensor.name().substring(0, tensor.name().length() - SUMS.length());
                    GgufTensor counts = file.tensor(name + COUNTS);
                    if (counts == null || tensor.elements() % counts.elements() != 0) {
                        throw new ModelFormatException(path + " has no counts that fit \"" + name + "\".");
                    }
                    entries.put(name, new Entry(numbers(path, tensor), numbers(path, counts)));
                }
            }
            String[] texts = file.metadata().strings("imatrix.datasets");
            return new ImportanceMatrix(
                    required(path, entries),
                    texts == null ? List.of() : List.of(texts),
                    file.metadata().integer("imatrix.chunk_count", 0),
                    file.metadata().integer("imatrix.chunk_size", 0));
        }
    }

    private static float[] numbers(Path path, GgufTensor tensor) {
        if (tensor.type() != TensorType.F32) {
            throw new ModelFormatException(path + " has \"" + tensor.name() + "\" in " + tensor.type() + ", not F32.");
        }
        float[] values = new float[Math.toIntExact(tensor.elements())];
        new MatrixSource(tensor.name(), TensorType.F32, 1, values.length, tensor.data()).dequantizeRow(0, values);
        requireValid(path, tensor.name(), values);
        return values;
    }

    private static void requireValid(Path path, String name, float[] values) {
        for (float value : values) {
            if (!(value >= 0) || value == Float.POSITIVE_INFINITY) {
                throw new ModelFormatException(path + " has " + value + " in \"" + name + "\"; mean squares are finite"
                        + " and not negative.");
            }
        }
    }

    private static Map<String, Entry> required(Path path, Map<String, Entry> entries) {
        if (entries.isEmpty()) {
            throw new ModelFormatException(path + " has no importance of any matrix.");
        }
        return entries;
    }

    /** Count; for each: name, calls, numbers, sums of means; then the last call and the text's name. */
    private static ImportanceMatrix readOld(Path path, byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        Map<String, Entry> entries = new TreeMap<>();
        int count = length(path, in, 12);
        for (int i = 0; i < count; i++) {
            byte[] name = new byte[length(path, in, 1)];
            in.get(name);
            require(path, in.remaining() >= 4);
            int calls = in.getInt();
            float[] sums = new float[length(path, in, 4)];
            in.asFloatBuffer().get(sums);
            in.position(in.position() + 4 * sums.length);
            String text = new String(name, StandardCharsets.UTF_8);
            requireValid(path, text, sums);
            require(path, calls > 0 && sums.length > 0);
            entries.put(text, new Entry(sums, new float[] {calls}));
        }
        int chunks = in.remaining() >= 4 ? in.getInt() : 0;
        List<String> texts = new ArrayList<>();
        if (in.remaining() >= 4) {
            byte[] name = new byte[length(path, in, 1)];
            in.get(name);
            texts.add(new String(name, StandardCharsets.UTF_8));
        }
        return new ImportanceMatrix(required(path, entries), texts, Math.max(0, chunks), 0);
    }

    /** A count of things of at least {@code bytes} bytes, of which there may be no more than the file has left. */
    private static int length(Path path, ByteBuffer in, int bytes) {
        require(path, in.remaining() >= 4);
        int length = in.getInt();
        require(path, length >= 0 && length <= in.remaining() / bytes);
        return length;
    }

    private static void require(Path path, boolean condition) {
        if (!condition) {
            throw new ModelFormatException(path + " is damaged, or no importance matrix.");
        }
    }

    /** Adds all numbers to a digest. */
    void update(MessageDigest digest) {
        entries.forEach((name, entry) -> {
            digest.update(name.getBytes(StandardCharsets.UTF_8));
            for (float[] numbers : List.of(entry.sums, entry.counts)) {
                ByteBuffer bytes = ByteBuffer.allocate(numbers.length * Float.BYTES);
                bytes.asFloatBuffer().put(numbers);
                digest.update(bytes);
            }
        });
    }

    /**
     * Writes it as GGUF, atomically.
     *
     * @param path the file; one that exists is replaced
     * @throws QuantizeException where the file cannot be written
     */
    public void write(Path path) {
        GgufWriter writer = new GgufWriter(3, 32)
                .metadata("general.type", MetadataValue.of(MetadataType.STRING, "imatrix"))
                .metadata("imatrix.datasets", MetadataValue.array(MetadataType.STRING, texts.toArray(String[]::new)))
                .metadata("imatrix.chunk_count", MetadataValue.of(MetadataType.UINT32, chunks))
                .metadata("imatrix.chunk_size", MetadataValue.of(MetadataType.UINT32, chunkTokens));
        entries.forEach((name, entry) -> {
            long matrices = entry.counts.length;
            writer.tensor(name + SUMS, new long[] {entry.sums.length / matrices, matrices}, entry.sums);
            writer.tensor(name + COUNTS, new long[] {1, matrices}, entry.counts);
        });
        try {
            writer.write(path);
        } catch (IOException e) {
            throw new QuantizeException("Cannot write the importance matrix " + path + ": " + e, e);
        }
    }
}

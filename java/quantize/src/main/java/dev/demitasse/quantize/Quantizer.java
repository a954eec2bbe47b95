package dev.demitasse.quantize;

import dev.demitasse.Model;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.quant.RotatedColumns;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quantize.source.ModelSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * Writes a model again with other tensor types.
 *
 * <pre>{@code
 * Quantizer.quantize(Path.of("model-f16.gguf"), Path.of("model-q4_k_m.gguf"), QuantizeOptions.of(WeightMix.Q4_K_M));
 * }</pre>
 *
 * <p>Types and their blocks are those of GGUF (ggml's {@code ggml-common.h}); which matrix gets which in a mix is as
 * llama.cpp chooses, and scales are searched for the least error, weighed by an {@link ImportanceMatrix} where there is
 * one. {@link Smoothing} has the papers of W8A8 and of INT4 with a text.
 *
 * <p>A tensor is read and written in pieces of some hundred thousand elements, so that memory does not grow with the
 * model. The output gets its name when it is whole; what a killed process has written of it is used by the next one
 * with the same input and options.
 */
public final class Quantizer implements AutoCloseable {
    /** Hears of progress. */
    @FunctionalInterface
    public interface Listener {
        /**
         * A tensor is written.
         *
         * @param tensor what became of it
         * @param elements elements that are written so far, this tensor's included
         * @param total elements of all tensors
         */
        void wrote(TensorSummary tensor, long elements, long total);

        /**
         * A killed run's output is gone on with.
         *
         * @param tensors that it has written
         */
        default void goesOn(int tensors) {}
    }

    /** Goes up when encoders make other bytes, so that no file is of two of them. */
    private static final int ENCODERS = 2;

    private static final int ALIGNMENT = 32;
    /** Of a digest, so that no two checkpoints of a user's have the same name. */
    private static final int IDENTITY_BYTES = 6;

    private static final int QUANTIZATION_VERSION = 2;

    private final Path in;
    private final ModelSource source;
    private final QuantizeOptions options;
    private final List<TensorType> types = new ArrayList<>();

    /**
     * Opens a model, a GGUF file or a checkpoint's folder, and decides on its types.
     *
     * @param in a GGUF file, or a checkpoint: its folder, its safetensors file or its index
     * @param options what to quantize it to
     * @throws dev.demitasse.exception.ModelFormatException where it is damaged
     * @throws UsageException where it cannot be opened, or is quantized already and that was not asked for
     */
    public Quantizer(Path in, QuantizeOptions options) {
        this.in = in;
        this.options = options;
        ModelSource opened = ModelSource.open(in);
        Smoothing smoothing = options.smoothing();
        this.source = smoothing == null ? opened : new SmoothedSource(opened, smoothing);
        try {
            decide();
        } catch (RuntimeException | Error e) {
            source.close();
            throw e;
        }
    }

    /**
     * Opens, quantizes and closes.
     *
     * @param in a GGUF file, or a checkpoint: its folder, its safetensors file or its index
     * @param out the GGUF file that is written
     * @param options what to quantize it to
     * @return what became of each tensor, as {@link #write} has it
     */
    public static List<TensorSummary> quantize(Path in, Path out, QuantizeOptions options) {
        try (Quantizer quantizer = new Quantizer(in, options)) {
            return quantizer.write(out, (tensor, elements, total) -> {});
        }
    }

    private void decide() {
        Metadata metadata = source.metadata();
        String architecture = metadata.string("general.architecture");
        int layers = 1
                + source.tensors().stream()
                        .mapToInt(t -> TensorRole.layer(t.name()))
                        .max()
                        .orElse(0);
        int heads = largest(metadata, architecture + ".attention.head_count");
        int keys = largest(metadata, architecture + ".attention.head_count_kv");
        boolean tied = source.tensors().stream().noneMatch(t -> t.name().equals("output.weight"));
        ImportanceMatrix importance = options.importance();
        boolean known = importance == null;
        for (ModelSource.Tensor tensor : source.tensors()) {
            TensorType type = tensor.type();
            if (TensorRole.isQuantized(tensor.name(), tensor.dimensions())) {
                WeightMix.Place place = new WeightMix.Place(
                        TensorRole.layer(tensor.name()), layers, keys > 0 ? heads / keys : 1, importance != null);
                type = options.pure()
                        ? WeightMix.fitting(options.mix().base(), tensor.columns())
                        : options.mix().typeOf(TensorRole.of(tensor.name()), place, tied, tensor.columns());
                requireAllowed(tensor, type);
                known |= importance != null
                        && importance.fits(RotatedColumns.plainName(tensor.name()), tensor.dimensions());
            }
            types.add(type);
        }
        if (!known) {
            throw new UsageException("The importance matrix knows no matrix of " + in + "; it is another model's.");
        }
    }

    /** A hyperparameter of the whole model, or the largest of its layers'; 0 where there is none. */
    private static int largest(Metadata metadata, String key) {
        MetadataValue value = metadata.all().get(key);
        return value != null && value.value() instanceof int[] layers
                ? Arrays.stream(layers).max().orElse(0)
                : metadata.integer(key, 0);
    }

    private void requireAllowed(ModelSource.Tensor tensor, TensorType type) {
        boolean again = (type != tensor.type() || options.mix().rowScales())
                && tensor.type().layout().element().quantized()
                && type.layout().element().quantized();
        if (again && !options.requantize()) {
            throw new UsageException(in + " is quantized already (\"" + tensor.name() + "\" is " + tensor.type()
                    + "), and to quantize it again adds one error to the other. Take the original model, or allow it"
                    + " (--requantize).");
        }
    }

    /** {@return what would be written, without errors and outliers: these are NaN} */
    public List<TensorSummary> plan() {
        List<TensorSummary> plan = new ArrayList<>();
        for (int i = 0; i < types.size(); i++) {
            ModelSource.Tensor tensor = source.tensors().get(i);
            plan.add(TensorEncoder.summary(tensor, types.get(i), Double.NaN, Double.NaN));
        }
        return plan;
    }

    /**
     * Writes the model.
     *
     * @param out the GGUF file
     * @param listener hears of each tensor
     * @return what became of each tensor; errors are NaN for those of which an earlier version's run left no more
     * @throws UsageException where {@code out} exists and may not be replaced, is the input, or is being written by
     *     another process; and where a weight is beyond what its type holds
     * @throws QuantizeException where the disk is full or fails
     */
    public List<TensorSummary> write(Path out, Listener listener) {
        requireWritable(out);
        GgufWriter header = header();
        try {
            return write(out, header, plan(), listener);
        } catch (FileSystemException e) {
            String reason = e.getReason() == null ? e.toString() : e.getReason();
            throw new QuantizeException("Cannot write " + e.getFile() + ": " + reason + ".", e);
        } catch (IOException e) {
            throw new QuantizeException(
                    "Writing " + out + " failed: " + e.getMessage() + ". What was written is kept in " + out
                            + ".partial; run the same command again to go on.",
                    e);
        }
    }

    private List<TensorSummary> write(Path out, GgufWriter header, List<TensorSummary> plan, Listener listener)
            throws IOException {
        List<Long> pieces = plan.stream().map(t -> header.padded(t.bytes())).toList();
        byte[] first = header.header();
        List<TensorSummary> summaries = new ArrayList<>();
        long total =
                source.tensors().stream().mapToLong(t -> t.rows() * t.columns()).sum();
        long elements = 0;
        try (PartialFile file = PartialFile.open(out, fingerprint(first), first, pieces);
                TensorEncoder encoder = new TensorEncoder(source.tensors(), types, file.finished(), options)) {
            int earlier = file.finished();
            if (earlier > 0) {
                listener.goesOn(earlier);
            }
            for (int i = 0; i < types.size(); i++) {
                TensorSummary summary = plan.get(i);
                if (i >= earlier) {
                    summary = encoder.next(file::write);
                    file.write(ByteBuffer.allocate((int) (pieces.get(i) - summary.bytes())));
                    file.finishPiece(summary.relativeError(), summary.outlierRatio());
                } else if (file.numbers(i).length == 2) {
                    double[] told = file.numbers(i);
                    summary = TensorEncoder.summary(source.tensors().get(i), types.get(i), told[0], told[1]);
                }
                elements += summary.elements();
                summaries.add(summary);
                listener.wrote(summary, elements, total);
            }
            file.complete(options.overwrite());
        }
        return summaries;
    }

    private void requireWritable(Path out) {
        for (Path file : source.files()) {
            if (isSame(file, out)) {
                throw new UsageException(out + " is a file of the input; give the output another name.");
            }
        }
        OutputPath.require(out, options.overwrite());
    }

    private static boolean isSame(Path file, Path out) {
        try {
            return Files.exists(out) && Files.isSameFile(file, out);
        } catch (IOException e) {
            throw new UsageException("Cannot read " + out + ": " + e, e);
        }
    }

    private GgufWriter header() {
        GgufWriter writer = new GgufWriter(3, ALIGNMENT);
        source.metadata().all().forEach((key, value) -> {
            if (!key.startsWith("split.") && !key.equals("general.alignment") && !key.equals(Model.ACTIVATIONS)) {
                writer.metadata(key, value);
            }
        });
        writer.metadata("general.quantization_version", integer(QUANTIZATION_VERSION));
        writer.metadata("general.file_type", integer(options.mix().fileType()));
        if (options.mix().rowScales()) {
            writer.metadata(Model.ACTIVATIONS, MetadataValue.of(MetadataType.STRING, Model.ROW_ACTIVATIONS));
        }
        ImportanceMatrix importance = options.importance();
        if (importance != null) {
            writer.metadata("quantize.imatrix.entries_count", integer(importance.size()));
            writer.metadata("quantize.imatrix.chunks_count", integer(importance.chunks()));
            if (!importance.texts().isEmpty()) {
                MetadataValue text =
                        MetadataValue.of(MetadataType.STRING, importance.texts().getFirst());
                writer.metadata("quantize.imatrix.dataset", text);
            }
        }
        for (int i = 0; i < types.size(); i++) {
            ModelSource.Tensor tensor = source.tensors().get(i);
            writer.declare(tensor.name(), types.get(i), tensor.dimensions());
        }
        return writer;
    }

    private static MetadataValue integer(int value) {
        return MetadataValue.of(MetadataType.UINT32, value);
    }

    /**
     * {@return a short name of the input as it is read now: another one where its files are written again}
     *
     * @throws UsageException where they cannot be read any more
     */
    public String inputIdentity() {
        try {
            MessageDigest digest = digest();
            GgufWriter metadata = new GgufWriter(3, ALIGNMENT); // of which parts come from files beside the weights
            source.metadata().all().forEach(metadata::metadata);
            digest.update(metadata.header());
            digest.update((byte) ENCODERS);
            updateInput(digest);
            return HexFormat.of().formatHex(digest.digest(), 0, IDENTITY_BYTES);
        } catch (IOException e) {
            throw new UsageException("Cannot read " + in + ": " + e, e);
        }
    }

    private void updateInput(MessageDigest digest) throws IOException {
        for (Path file : source.files()) {
            String identity = file.toRealPath() + " " + Files.size(file) + " " + Files.getLastModifiedTime(file);
            digest.update(identity.getBytes(StandardCharsets.UTF_8));
        }
    }

    private static MessageDigest digest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
    }

    /** Of all that decides the file's content. */
    private String fingerprint(byte[] header) throws IOException {
        MessageDigest digest = digest();
        digest.update(header);
        digest.update(("encoders " + ENCODERS).getBytes(StandardCharsets.UTF_8));
        updateInput(digest);
        ImportanceMatrix importance = options.importance();
        if (importance != null) {
            importance.update(digest);
        }
        Smoothing smoothing = options.smoothing();
        if (smoothing != null) {
            smoothing.update(digest);
        }
        digest.update(options.mix().name().getBytes(StandardCharsets.UTF_8));
        return Journal.MARK + HexFormat.of().formatHex(digest.digest());
    }

    @Override
    public void close() {
        source.close();
    }
}

package dev.demitasse.gguf;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * An open GGUF model: metadata and tensors over memory mapping. A model that is split into
 * several files ({@link SplitName}) is opened by its first.
 *
 * <p>Format: <a href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">GGUF specification</a>.
 */
public final class Gguf implements AutoCloseable {
    private static final String SPLIT_COUNT = "split.count";
    private static final String SPLIT_NUMBER = "split.no";

    private static final long SAMPLE_BYTES = 4096;

    private final Arena arena;
    private final int version;
    private final int alignment;
    private final long fileBytes;
    private final Metadata metadata;
    private final Map<String, GgufTensor> tensors;
    private final List<Path> files;
    private final List<MemorySegment> headers;

    private Gguf(
            Arena arena,
            int version,
            int alignment,
            long fileBytes,
            Metadata metadata,
            Map<String, GgufTensor> tensors,
            List<Path> files,
            List<MemorySegment> headers) {
        this.arena = arena;
        this.version = version;
        this.alignment = alignment;
        this.fileBytes = fileBytes;
        this.metadata = metadata;
        this.tensors = Collections.unmodifiableMap(tensors);
        this.files = List.copyOf(files);
        this.headers = List.copyOf(headers);
    }

    /**
     * Maps and validates a model file, with its further parts if it is split.
     *
     * @param path the file, of a split model its first
     * @return the model, which the caller closes
     * @throws ModelFormatException where the file is damaged, with the place
     * @throws dev.demitasse.exception.UnsupportedModelException where it is sound but of another version or tensor type
     * @throws UsageException where it cannot be opened
     */
    public static Gguf open(Path path) {
        Arena arena = Arena.ofShared();
        try {
            Gguf gguf = open(path, arena);
            arena = null;
            return gguf;
        } catch (IOException e) {
            throw new UsageException("Cannot read " + path + ": " + e, e);
        } finally {
            if (arena != null) {
                arena.close();
            }
        }
    }

    /**
     * Parses a file's bytes. The tensors are slices of them.
     *
     * @param source names the file in messages
     * @param bytes the whole file; must stay accessible while the model is used
     * @return the model
     * @throws ModelFormatException where the bytes are damaged, with the place
     * @throws dev.demitasse.exception.UnsupportedModelException where they are sound but of another version or tensor
     *     type
     */
    public static Gguf parse(String source, MemorySegment bytes) {
        GgufReader.Contents contents = new GgufReader(source, bytes).read();
        Map<String, GgufTensor> tensors = new LinkedHashMap<>();
        contents.tensors().forEach(tensor -> tensors.put(tensor.name(), tensor));
        return new Gguf(
                Arena.ofShared(),
                contents.version(),
                contents.alignment(),
                bytes.byteSize(),
                new Metadata(source, contents.metadata()),
                tensors,
                List.of(),
                List.of(contents.header()));
    }

    private static Gguf open(Path path, Arena arena) throws IOException {
        String source = path.toString();
        MemorySegment bytes = map(path, arena);
        GgufReader.Contents first = new GgufReader(source, bytes).read();
        Metadata metadata = new Metadata(source, first.metadata());
        int parts = metadata.integer(SPLIT_COUNT, 1);
        Map<String, GgufTensor> tensors = new LinkedHashMap<>();
        first.tensors().forEach(tensor -> tensors.put(tensor.name(), tensor));
        long total = bytes.byteSize();
        List<Path> files = new ArrayList<>(List.of(path));
        List<MemorySegment> headers = new ArrayList<>(List.of(first.header()));
        if (parts > 1) {
            for (Path part : furtherParts(path, parts, metadata)) {
                files.add(part);
                MemorySegment partBytes = map(part, arena);
                total += partBytes.byteSize();
                GgufReader.Contents contents = new GgufReader(part.toString(), partBytes).read();
                headers.add(contents.header());
                for (GgufTensor tensor : contents.tensors()) {
                    if (tensors.put(tensor.name(), tensor) != null) {
                        throw new ModelFormatException(
                                part + " repeats the tensor \"" + tensor.name() + "\" of an earlier part.");
                    }
                }
            }
        }
        return new Gguf(arena, first.version(), first.alignment(), total, metadata, tensors, files, headers);
    }

    private static List<Path> furtherParts(Path path, int parts, Metadata metadata) {
        SplitName name = SplitName.of(String.valueOf(path.getFileName()));
        if (name == null || name.parts() != parts) {
            throw new ModelFormatException(path + " is one of " + parts + " parts, but is not named "
                    + new SplitName("NAME", 1, parts).part(1) + ".");
        }
        if (metadata.integer(SPLIT_NUMBER, 0) != 0 || !name.isFirst()) {
            throw new UsageException(path + " is not the first part; open " + name.part(1) + ".");
        }
        List<Path> further = new ArrayList<>();
        for (int i = 2; i <= parts; i++) {
            Path part = path.resolveSibling(name.part(i));
            if (!Files.isRegularFile(part)) {
                throw new UsageException("Part " + i + " of " + parts + " is missing: " + part);
            }
            further.add(part);
        }
        return further;
    }

    private static MemorySegment map(Path path, Arena arena) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            return channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
        }
    }

    /** {@return the format's version, 2 or 3} */
    public int version() {
        return version;
    }

    /** {@return the alignment of tensors in bytes} */
    public int alignment() {
        return alignment;
    }

    /** {@return bytes of all files of the model} */
    public long fileBytes() {
        return fileBytes;
    }

    /** {@return the files of the model, none where bytes were parsed} */
    public List<Path> files() {
        return files;
    }

    /** {@return the metadata} */
    public Metadata metadata() {
        return metadata;
    }

    /** {@return all tensors in file order} */
    public Collection<GgufTensor> tensors() {
        return tensors.values();
    }

    /**
     * {@return the tensor with that name, or null}
     *
     * @param name as the file spells it
     */
    public @Nullable GgufTensor tensor(String name) {
        return tensors.get(name);
    }

    /**
     * {@return what tells this model from others: SHA-256, in hexadecimal digits, of all that precedes the tensors'
     * bytes, and of three samples of each tensor} To read all of a large file would take longer than to load it. Files
     * that differ between the samples alone, as nobody makes them but on purpose, have the same.
     */
    public String fingerprint() {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every Java has it
        }
        headers.forEach(header -> digest.update(header.asByteBuffer()));
        for (GgufTensor tensor : tensors.values()) {
            long last = Math.max(0, tensor.data().byteSize() - SAMPLE_BYTES);
            for (long at : new long[] {0, last / 2, last}) {
                long length = Math.min(SAMPLE_BYTES, tensor.data().byteSize() - at);
                digest.update(tensor.data().asSlice(at, length).asByteBuffer());
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /** {@return whether other threads than this one may read the tensors' bytes} */
    public boolean isShared() {
        return headers.getFirst().isAccessibleBy(Thread.ofPlatform().unstarted(() -> {}));
    }

    /** Unmaps the files; the tensors' data may not be used any more. */
    @Override
    public void close() {
        arena.close();
    }
}

package dev.demitasse.gguf;

import dev.demitasse.quant.TensorType;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Writes GGUF files. What {@link Gguf} read is written back byte for byte (where its strings are UTF-8 and its padding
 * zero), since order, types and alignment are kept.
 */
public final class GgufWriter {
    /** The data is null where its bytes are only declared. */
    private record Entry(
            String name,
            TensorType type,
            long[] dimensions,
            long bytes,
            @Nullable MemorySegment data) {}

    private final int version;
    private final int alignment;
    private final Map<String, MetadataValue> metadata = new LinkedHashMap<>();
    private final List<Entry> entries = new ArrayList<>();
    private long written;

    /**
     * A writer without metadata and tensors.
     *
     * @param version of the format, 2 or 3
     * @param alignment of tensors in bytes, a power of two; other than 32 it must be in the metadata
     */
    public GgufWriter(int version, int alignment) {
        this.version = version;
        this.alignment = alignment;
    }

    /**
     * {@return a writer with everything of {@code source}}
     *
     * @param source an open model; must stay open until the file is written
     */
    public static GgufWriter copyOf(Gguf source) {
        GgufWriter writer = new GgufWriter(source.version(), source.alignment());
        source.metadata().all().forEach(writer::metadata);
        source.tensors().forEach(t -> writer.tensor(t.name(), t.type(), t.dimensions(), t.data()));
        return writer;
    }

    /**
     * Adds or replaces a metadata value.
     *
     * @param key its name, such as {@code general.name}
     * @param value what it is, with its type
     * @return this writer
     */
    public GgufWriter metadata(String key, MetadataValue value) {
        metadata.put(key, value);
        return this;
    }

    /**
     * Adds a tensor.
     *
     * @param name unique in the file
     * @param type how its elements are stored
     * @param dimensions fastest first
     * @param data its blocks; must stay accessible until the file is written
     * @return this writer
     */
    public GgufWriter tensor(String name, TensorType type, long[] dimensions, MemorySegment data) {
        entries.add(new Entry(name, type, dimensions.clone(), data.byteSize(), data));
        return this;
    }

    /**
     * Declares a tensor whose bytes somebody else writes behind the {@link #header}: those of the tensors in their
     * order, each followed by zeros up to {@link #padded}.
     *
     * @param name unique in the file
     * @param type how its elements are stored
     * @param dimensions fastest first
     * @return this writer
     */
    public GgufWriter declare(String name, TensorType type, long[] dimensions) {
        long bytes = type.rowBytes(dimensions[0]);
        for (int i = 1; i < dimensions.length; i++) {
            bytes = Math.multiplyExact(bytes, dimensions[i]);
        }
        entries.add(new Entry(name, type, dimensions.clone(), bytes, null));
        return this;
    }

    /** {@return all that precedes the tensors' bytes, padding included} */
    public byte[] header() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            writeHeader(out);
            pad(out);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    /**
     * {@return the bytes of a tensor of {@code bytes} with what follows it}
     *
     * @param bytes of the tensor alone
     */
    public long padded(long bytes) {
        return align(bytes);
    }

    /**
     * Writes the file beside its final place and renames it, so that a half-written file never has the name.
     *
     * @param path its final place; a file that is there is replaced
     * @throws IOException where it cannot be written
     */
    public void write(Path path) throws IOException {
        Path temporary = path.resolveSibling(path.getFileName() + "." + UUID.randomUUID() + ".part");
        try {
            try (OutputStream out = new BufferedOutputStream(
                    Files.newOutputStream(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                    1 << 20)) {
                write(out);
            }
            try {
                Files.move(temporary, path, StandardCopyOption.ATOMIC_MOVE);
            } catch (AtomicMoveNotSupportedException e) {
                Files.move(temporary, path, StandardCopyOption.REPLACE_EXISTING);
            }
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    private void writeHeader(OutputStream out) throws IOException {
        written = 0;
        putInt(out, GgufReader.MAGIC);
        putInt(out, version);
        putLong(out, entries.size());
        putLong(out, metadata.size());
        for (Map.Entry<String, MetadataValue> entry : metadata.entrySet()) {
            putString(out, entry.getKey());
            putValue(out, entry.getValue());
        }
        long offset = 0;
        for (Entry entry : entries) {
            putString(out, entry.name);
            putInt(out, entry.dimensions.length);
            for (long dimension : entry.dimensions) {
                putLong(out, dimension);
            }
            putInt(out, entry.type.id());
            putLong(out, offset);
            offset = align(offset + entry.bytes);
        }
    }

    /**
     * Writes the file to a stream; no tensor may be only declared.
     *
     * @param out receives the file; is left open
     * @throws IOException where it cannot be written
     */
    public void write(OutputStream out) throws IOException {
        writeHeader(out);
        WritableByteChannel channel = Channels.newChannel(out);
        for (Entry entry : entries) {
            pad(out);
            MemorySegment data = Objects.requireNonNull(entry.data, entry.name);
            for (long at = 0; at < entry.bytes; at += 1 << 30) {
                long length = Math.min(1 << 30, entry.bytes - at);
                channel.write(data.asSlice(at, length).asByteBuffer());
            }
            written += entry.bytes;
        }
        pad(out);
    }

    private void putValue(OutputStream out, MetadataValue value) throws IOException {
        putInt(out, value.type().id());
        MetadataType elementType = value.elementType();
        if (elementType == null) {
            putScalar(out, value.value());
            return;
        }
        putInt(out, elementType.id());
        Object array = value.value();
        int length = java.lang.reflect.Array.getLength(array);
        putLong(out, length);
        for (int i = 0; i < length; i++) {
            putScalar(out, java.lang.reflect.Array.get(array, i));
        }
    }

    private void putScalar(OutputStream out, Object value) throws IOException {
        switch (value) {
            case Byte b -> put(out, new byte[] {b});
            case Boolean b -> put(out, new byte[] {(byte) (b ? 1 : 0)});
            case Short s -> put(out, buffer(2).putShort(s).array());
            case Integer i -> putInt(out, i);
            case Float f -> putInt(out, Float.floatToRawIntBits(f));
            case Long l -> putLong(out, l);
            case Double d -> putLong(out, Double.doubleToRawLongBits(d));
            case String s -> putString(out, s);
            default -> throw new IllegalArgumentException("No metadata type for " + value.getClass());
        }
    }

    private void putString(OutputStream out, String value) throws IOException {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        putLong(out, bytes.length);
        put(out, bytes);
    }

    private void putInt(OutputStream out, int value) throws IOException {
        put(out, buffer(4).putInt(value).array());
    }

    private void putLong(OutputStream out, long value) throws IOException {
        put(out, buffer(8).putLong(value).array());
    }

    private void put(OutputStream out, byte[] bytes) throws IOException {
        out.write(bytes);
        written += bytes.length;
    }

    private void pad(OutputStream out) throws IOException {
        put(out, new byte[(int) (align(written) - written)]);
    }

    private long align(long offset) {
        return (offset + alignment - 1) / alignment * alignment;
    }

    private static ByteBuffer buffer(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * Adds a tensor of 32-bit numbers, as a convenience for small files.
     *
     * @param name unique in the file
     * @param dimensions fastest first
     * @param values as many as the dimensions multiply to; copied
     * @return this writer
     */
    public GgufWriter tensor(String name, long[] dimensions, float[] values) {
        MemorySegment data = MemorySegment.ofArray(new byte[values.length * Float.BYTES]);
        MemorySegment.copy(
                values, 0, data, ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0, values.length);
        return tensor(name, TensorType.F32, dimensions, data);
    }
}

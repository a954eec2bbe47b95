package dev.demitasse.gguf;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.foreign.ValueLayout.OfDouble;
import java.lang.foreign.ValueLayout.OfFloat;
import java.lang.foreign.ValueLayout.OfInt;
import java.lang.foreign.ValueLayout.OfLong;
import java.lang.foreign.ValueLayout.OfShort;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Reads the header of one GGUF file (versions 2 and 3, little-endian) from its mapped bytes.
 *
 * <p>Every count and length is checked against the bytes that are left before anything is allocated, so that a damaged
 * file costs no more memory than its own size and always ends in a typed exception.
 */
final class GgufReader {
    static final int MAGIC = 0x46554747; // "GGUF"
    static final int MAXIMUM_DIMENSIONS = 4;
    static final int MAXIMUM_KEY_BYTES = 65_535;
    static final String ALIGNMENT_KEY = "general.alignment";
    static final int DEFAULT_ALIGNMENT = 32;

    private static final OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final long WINDOW_BYTES = 1 << 16;
    private static final long MINIMUM_ENTRY_BYTES = 8 + 4 + 1;
    private static final long MINIMUM_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8;

    private final String source;
    private final MemorySegment file;
    private long position;

    /**
     * What one file holds.
     *
     * @param header all that precedes the tensors' bytes
     */
    record Contents(
            int version,
            int alignment,
            Map<String, MetadataValue> metadata,
            List<GgufTensor> tensors,
            MemorySegment header) {}

    /** A tensor's description before its bytes are known to be in the file. */
    private record Entry(String name, TensorType type, long[] dimensions, long rows, long bytes, long offset) {}

    GgufReader(String source, MemorySegment file) {
        this.source = source;
        this.file = file;
    }

    /** Reads and validates the header. */
    Contents read() {
        if (file.byteSize() < 24) {
            throw bad("has " + file.byteSize() + " bytes, fewer than a GGUF header");
        }
        if (readInt("magic") != MAGIC) {
            position = 0;
            throw bad("does not begin with \"GGUF\"; it is not a GGUF file");
        }
        int version = readInt("version");
        if (version != 0 && (version & 0xFFFF) == 0) {
            throw bad("is byte-swapped (big-endian); convert it to little-endian first");
        }
        if (version != 2 && version != 3) {
            throw new UnsupportedModelException(
                    source + ": GGUF version " + Integer.toUnsignedString(version) + "; versions 2 and 3 are read.");
        }
        long tensorCount = readCount("tensor count", MINIMUM_TENSOR_BYTES);
        long metadataCount = readCount("metadata count", MINIMUM_ENTRY_BYTES);
        Map<String, MetadataValue> metadata = readMetadata(metadataCount);
        int alignment = alignment(metadata);
        List<Entry> entries = readEntries(tensorCount);
        MemorySegment header = file.asSlice(0, position);
        return new Contents(version, alignment, metadata, locate(entries, alignment), header);
    }

    private Map<String, MetadataValue> readMetadata(long count) {
        Map<String, MetadataValue> metadata = new LinkedHashMap<>();
        for (long i = 0; i < count; i++) {
            String key = readKey();
            MetadataType type = readType(key);
            MetadataValue value =
                    type == MetadataType.ARRAY ? readArray(key) : MetadataValue.of(type, readScalar(type, key));
            if (metadata.put(key, value) != null) {
                throw bad("has the metadata key \"" + key + "\" twice");
            }
        }
        return metadata;
    }

    private MetadataType readType(String key) {
        int id = readInt("type of \"" + key + "\"");
        MetadataType type = MetadataType.of(id);
        if (type == null) {
            throw bad("gives \"" + key + "\" the unknown metadata type " + Integer.toUnsignedString(id));
        }
        return type;
    }

    private Object readScalar(MetadataType type, String key) {
        return switch (type) {
            case UINT8, INT8 -> file.get(JAVA_BYTE, take(1, key));
            case UINT16, INT16 -> file.get(SHORT, take(2, key));
            case UINT32, INT32 -> file.get(INT, take(4, key));
            case FLOAT32 -> file.get(FLOAT, take(4, key));
            case UINT64, INT64 -> file.get(LONG, take(8, key));
            case FLOAT64 -> file.get(DOUBLE, take(8, key));
            case BOOL -> {
                byte value = file.get(JAVA_BYTE, take(1, key));
                if (value != 0 && value != 1) {
                    throw bad("gives the boolean \"" + key + "\" the value " + value);
                }
                yield value == 1;
            }
            case STRING -> readString(key);
            case ARRAY -> throw bad("has an array within the array \"" + key + "\"; nested arrays are not read");
        };
    }

    private MetadataValue readArray(String key) {
        MetadataType type = readType(key);
        if (type == MetadataType.ARRAY) {
            throw bad("has an array within the array \"" + key + "\"; nested arrays are not read");
        }
        long count = readCount("length of \"" + key + "\"", type.minimumBytes());
        if (count > Integer.MAX_VALUE - 8) {
            throw bad("gives the array \"" + key + "\" " + count + " elements, more than an array can hold");
        }
        int n = (int) count;
        Object value = switch (type) {
            case UINT8, INT8 -> slice(n, 1, key).toArray(JAVA_BYTE);
            case UINT16, INT16 -> slice(n, 2, key).toArray(SHORT);
            case UINT32, INT32 -> slice(n, 4, key).toArray(INT);
            case FLOAT32 -> slice(n, 4, key).toArray(FLOAT);
            case UINT64, INT64 -> slice(n, 8, key).toArray(LONG);
            case FLOAT64 -> slice(n, 8, key).toArray(DOUBLE);
            case BOOL -> {
                boolean[] values = new boolean[n];
                for (int i = 0; i < n; i++) {
                    values[i] = (Boolean) readScalar(type, key);
                }
                yield values;
            }
            case STRING -> readStrings(n, key);
            case ARRAY -> throw new AssertionError(type);
        };
        return MetadataValue.array(type, value);
    }

    private List<Entry> readEntries(long count) {
        List<Entry> entries = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (long i = 0; i < count; i++) {
            String name = readKey();
            if (!names.add(name)) {
                throw bad("has the tensor \"" + name + "\" twice");
            }
            entries.add(readEntry(name));
        }
        return entries;
    }

    private Entry readEntry(String name) {
        int dimensionCount = readInt("dimensions of \"" + name + "\"");
        if (dimensionCount < 1 || dimensionCount > MAXIMUM_DIMENSIONS) {
            throw bad("gives tensor \"" + name + "\" " + Integer.toUnsignedString(dimensionCount) + " dimensions; 1 to "
                    + MAXIMUM_DIMENSIONS + " are possible");
        }
        long[] dimensions = new long[dimensionCount];
        long rows = 1;
        for (int d = 0; d < dimensionCount; d++) {
            dimensions[d] = file.get(LONG, take(8, name));
            if (dimensions[d] < 1) {
                throw bad("gives tensor \"" + name + "\" the dimensions " + Arrays.toString(dimensions));
            }
            try {
                rows = d == 0 ? 1 : Math.multiplyExact(rows, dimensions[d]);
            } catch (ArithmeticException e) {
                throw bad("gives tensor \"" + name + "\" dimensions whose product overflows");
            }
        }
        int typeId = readInt("type of \"" + name + "\"");
        TensorType type = TensorType.ofId(typeId);
        if (type == null) {
            throw new UnsupportedModelException(source + ": tensor \"" + name + "\" has type "
                    + TensorType.describeId(typeId) + ", which is not read; the types are "
                    + Arrays.toString(TensorType.values()) + ".");
        }
        if (dimensions[0] % type.blockElements() != 0) {
            throw bad("gives tensor \"" + name + "\" rows of " + dimensions[0] + " elements, no multiple of " + type
                    + "'s block of " + type.blockElements());
        }
        try {
            long rowBytes = Math.multiplyExact(dimensions[0] / type.blockElements(), (long) type.blockBytes());
            long bytes = Math.multiplyExact(rowBytes, rows);
            Math.multiplyExact(dimensions[0], rows);
            return new Entry(name, type, dimensions, rows, bytes, file.get(LONG, take(8, name)));
        } catch (ArithmeticException e) {
            throw bad("gives tensor \"" + name + "\" dimensions whose product overflows");
        }
    }

    private int alignment(Map<String, MetadataValue> metadata) {
        MetadataValue value = metadata.get(ALIGNMENT_KEY);
        if (value == null) {
            return DEFAULT_ALIGNMENT;
        }
        if (!(value.value() instanceof Integer alignment) || alignment < 1 || Integer.bitCount(alignment) != 1) {
            throw bad("has an alignment that is no power of two");
        }
        return alignment;
    }

    private List<GgufTensor> locate(List<Entry> entries, int alignment) {
        long dataStart = (position + alignment - 1) / alignment * alignment;
        List<Entry> byOffset = new ArrayList<>(entries);
        byOffset.sort(Comparator.comparingLong(Entry::offset));
        long end = 0;
        for (Entry entry : byOffset) {
            if (entry.offset < 0 || entry.offset % alignment != 0) {
                throw bad("places tensor \"" + entry.name + "\" at offset " + entry.offset
                        + ", which is not aligned to " + alignment);
            }
            if (entry.offset < end) {
                throw bad("has a tensor \"" + entry.name + "\" that overlaps the one before it");
            }
            if (dataStart > file.byteSize()
                    || entry.offset > file.byteSize() - dataStart
                    || entry.bytes > file.byteSize() - dataStart - entry.offset) {
                throw bad("ends before tensor \"" + entry.name + "\" does; it is truncated, fetch it again");
            }
            end = entry.offset + entry.bytes;
        }
        List<GgufTensor> tensors = new ArrayList<>(entries.size());
        for (Entry entry : entries) {
            MemorySegment data =
                    file.asSlice(dataStart + entry.offset, entry.bytes).asReadOnly();
            tensors.add(
                    new GgufTensor(entry.name, entry.type, entry.dimensions[0], entry.rows, entry.dimensions, data));
        }
        return tensors;
    }

    private String readKey() {
        long length = readLength("a name");
        if (length > MAXIMUM_KEY_BYTES) {
            throw bad("has a name of " + length + " bytes; at most " + MAXIMUM_KEY_BYTES + " are possible");
        }
        MemorySegment bytes = slice(length, 1, "a name");
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes.toArray(JAVA_BYTE)))
                    .toString();
        } catch (CharacterCodingException e) {
            throw bad("has a name that is not UTF-8");
        }
    }

    /** A value's string. Bytes that are no UTF-8 become U+FFFD: vocabularies in the wild hold some. */
    private String readString(String key) {
        long length = readLength("the string \"" + key + "\"");
        if (length > Integer.MAX_VALUE - 8) {
            throw bad("has a string of " + length + " bytes at \"" + key + "\"");
        }
        return new String(slice(length, 1, key).toArray(JAVA_BYTE), StandardCharsets.UTF_8);
    }

    /**
     * An array's strings. A vocabulary has a hundred thousand of them when a program has just started and nothing is
     * compiled, so they are read from a copy on the heap, a window at a time.
     */
    private String[] readStrings(int count, String key) {
        String[] values = new String[count];
        byte[] window = new byte[0];
        int at = 0;
        for (int i = 0; i < count; i++) {
            int length = at + Long.BYTES <= window.length ? shortLength(window, at) : -1;
            if (length < 0 || length > window.length - at - Long.BYTES) {
                window = slice(Math.min(WINDOW_BYTES, file.byteSize() - position), 1, key)
                        .toArray(JAVA_BYTE);
                position -= window.length;
                at = 0;
                length = window.length >= Long.BYTES ? shortLength(window, 0) : -1;
                if (length < 0 || length > window.length - Long.BYTES) {
                    values[i] = readString(key); // longer than a window, or damaged
                    window = new byte[0];
                    continue;
                }
            }
            values[i] = new String(window, at + Long.BYTES, length, StandardCharsets.UTF_8);
            at += Long.BYTES + length;
            position += Long.BYTES + length;
        }
        return values;
    }

    /** The length at {@code at}, or -1 where it is {@code 2^24} or more. */
    private static int shortLength(byte[] bytes, int at) {
        boolean small = (bytes[at + 3] | bytes[at + 4] | bytes[at + 5] | bytes[at + 6] | bytes[at + 7]) == 0;
        return small ? bytes[at] & 0xFF | (bytes[at + 1] & 0xFF) << 8 | (bytes[at + 2] & 0xFF) << 16 : -1;
    }

    private long readLength(String what) {
        long length = file.get(LONG, take(8, what));
        if (length < 0 || length > file.byteSize() - position) {
            throw bad("gives " + what + " " + Long.toUnsignedString(length) + " bytes, more than the file has left");
        }
        return length;
    }

    private long readCount(String what, long minimumBytes) {
        long count = file.get(LONG, take(8, what));
        if (count < 0 || count > (file.byteSize() - position) / minimumBytes) {
            throw bad("has a " + what + " of " + Long.toUnsignedString(count) + ", more than the file has room for");
        }
        return count;
    }

    private int readInt(String what) {
        return file.get(INT, take(4, what));
    }

    private MemorySegment slice(long count, int size, String what) {
        return file.asSlice(take(count * size, what), count * size);
    }

    private long take(long bytes, String what) {
        if (bytes > file.byteSize() - position) {
            throw bad("ends inside " + what);
        }
        long at = position;
        position += bytes;
        return at;
    }

    private ModelFormatException bad(String what) {
        return new ModelFormatException(source + " " + what + " (at byte " + position + ").");
    }
}

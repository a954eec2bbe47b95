package dev.demitasse.safetensors;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads the header of one safetensors file from its mapped bytes: the header's length in 8 bytes, a JSON object of
 * tensors, and their bytes, without holes. Every length is checked before anything of that length is made.
 */
final class SafetensorsHeader {
    /** The format's own limit. */
    private static final long MOST_HEADER_BYTES = 100_000_000;

    private static final int MOST_DIMENSIONS = 16;
    private static final int MOST_NESTING = 8;
    private static final int LENGTH_BYTES = 8;
    private static final String METADATA = "__metadata__";
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final JsonFactory FACTORY = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(MOST_NESTING)
                    .maxDocumentLength(MOST_HEADER_BYTES)
                    .build())
            .build();

    /** What one file holds. */
    record Contents(Map<String, String> metadata, List<SafetensorsTensor> tensors) {}

    /** A tensor as the header describes it; offsets count from the end of the header. */
    private record Entry(String name, ElementType type, List<Long> shape, long begin, long end) {}

    private final String source;
    private final MemorySegment file;

    SafetensorsHeader(String source, MemorySegment file) {
        this.source = source;
        this.file = file;
    }

    Contents read() {
        if (file.byteSize() < LENGTH_BYTES) {
            throw bad("has " + file.byteSize() + " bytes, fewer than the length of a header");
        }
        long length = file.get(LONG, 0);
        if (length < 2 || length > Math.min(MOST_HEADER_BYTES, file.byteSize() - LENGTH_BYTES)) {
            throw bad("says that its header has " + Long.toUnsignedString(length) + " bytes, of "
                    + (file.byteSize() - LENGTH_BYTES) + " that follow; it is damaged, or no safetensors file");
        }
        byte[] json = file.asSlice(LENGTH_BYTES, length).toArray(JAVA_BYTE);
        Map<String, String> metadata = new LinkedHashMap<>();
        List<Entry> entries = new ArrayList<>();
        try (JsonParser in = FACTORY.createParser(json)) {
            expect(in, in.nextToken(), JsonToken.START_OBJECT);
            while (in.nextToken() == JsonToken.FIELD_NAME) {
                String name = in.currentName();
                expect(in, in.nextToken(), JsonToken.START_OBJECT);
                if (name.equals(METADATA)) {
                    readMetadata(in, metadata);
                } else {
                    entries.add(readEntry(in, name));
                }
            }
            expect(in, in.currentToken(), JsonToken.END_OBJECT);
            if (in.nextToken() != null) {
                throw bad("has more than one JSON object as header");
            }
        } catch (IOException e) {
            throw new ModelFormatException(source + ": the header is no valid JSON: " + e.getMessage(), e);
        }
        return new Contents(metadata, locate(entries, LENGTH_BYTES + length));
    }

    private void readMetadata(JsonParser in, Map<String, String> metadata) throws IOException {
        while (in.nextToken() == JsonToken.FIELD_NAME) {
            String key = in.currentName();
            expect(in, in.nextToken(), JsonToken.VALUE_STRING);
            metadata.put(key, in.getText());
        }
        expect(in, in.currentToken(), JsonToken.END_OBJECT);
    }

    private Entry readEntry(JsonParser in, String name) throws IOException {
        String type = null;
        List<Long> shape = null;
        List<Long> offsets = null;
        while (in.nextToken() == JsonToken.FIELD_NAME) {
            String field = in.currentName();
            JsonToken token = in.nextToken();
            switch (field) {
                case "dtype" -> {
                    expect(in, token, JsonToken.VALUE_STRING);
                    type = in.getText();
                }
                case "shape" -> shape = readCounts(in, token, name);
                case "data_offsets" -> offsets = readCounts(in, token, name);
                default ->
                    throw bad("gives tensor \"" + name + "\" the field \"" + field + "\", which the format has not");
            }
        }
        expect(in, in.currentToken(), JsonToken.END_OBJECT);
        return entry(name, type, shape, offsets);
    }

    private Entry entry(String name, @Nullable String type, @Nullable List<Long> shape, @Nullable List<Long> offsets) {
        if (type == null || shape == null || offsets == null || offsets.size() != 2) {
            throw bad("gives tensor \"" + name + "\" no dtype, no shape, or no two data_offsets");
        }
        ElementType known = ElementType.named(type);
        if (known == null) {
            throw new UnsupportedModelException(
                    source + ": tensor \"" + name + "\" has the element type " + type + ", which is not read.");
        }
        return new Entry(name, known, shape, offsets.getFirst(), offsets.getLast());
    }

    private List<Long> readCounts(JsonParser in, JsonToken begin, String name) throws IOException {
        expect(in, begin, JsonToken.START_ARRAY);
        List<Long> counts = new ArrayList<>();
        while (in.nextToken() == JsonToken.VALUE_NUMBER_INT) {
            long count = in.getLongValue();
            if (count < 0 || counts.size() == MOST_DIMENSIONS) {
                throw bad("gives tensor \"" + name + "\" a negative number, or more than " + MOST_DIMENSIONS
                        + " dimensions");
            }
            counts.add(count);
        }
        expect(in, in.currentToken(), JsonToken.END_ARRAY);
        return counts;
    }

    /** Tensors follow each other without holes, and the last ends with the file. */
    private List<SafetensorsTensor> locate(List<Entry> entries, long data) {
        List<Entry> inOrder = new ArrayList<>(entries);
        inOrder.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        long at = 0;
        for (Entry entry : inOrder) {
            if (entry.begin != at || entry.end < entry.begin) {
                throw bad("has tensor \"" + entry.name + "\" at " + entry.begin + " to " + entry.end
                        + " where the one before ends at " + at);
            }
            requireSize(entry);
            at = entry.end;
        }
        if (at != file.byteSize() - data) {
            throw bad("has " + (file.byteSize() - data) + " bytes of tensors; the header tells of " + at);
        }
        return entries.stream()
                .map(e -> new SafetensorsTensor(e.name, e.type, e.shape, file.asSlice(data + e.begin, e.end - e.begin)))
                .toList();
    }

    private void requireSize(Entry entry) {
        long bits = entry.type.bits();
        boolean fits = true;
        for (long dimension : entry.shape) {
            fits &= Math.multiplyHigh(bits, dimension) == 0 && bits * dimension >= 0;
            bits *= dimension;
        }
        if (!fits || bits % 8 != 0 || bits / 8 != entry.end - entry.begin) {
            throw bad("gives tensor \"" + entry.name + "\" " + (entry.end - entry.begin) + " bytes; its shape "
                    + entry.shape + " of " + entry.type + " takes others");
        }
    }

    private void expect(JsonParser in, @Nullable JsonToken actual, JsonToken expected) {
        if (actual != expected) {
            throw bad("has " + (actual == null ? "the end" : actual) + " where " + expected + " belongs, at byte "
                    + in.currentTokenLocation().getByteOffset() + " of its header");
        }
    }

    private ModelFormatException bad(String what) {
        return new ModelFormatException(source + " " + what + ".");
    }
}

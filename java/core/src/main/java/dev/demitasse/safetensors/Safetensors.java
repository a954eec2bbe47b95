package dev.demitasse.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
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
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * An open safetensors model: one file, or the files that an index ({@code model.safetensors.index.json}) names.
 *
 * <p>Format: <a href="https://github.com/huggingface/safetensors">safetensors</a>. Every file is checked as a whole:
 * header, types, sizes, and that tensors follow each other without holes.
 */
public final class Safetensors implements AutoCloseable {
    private static final String INDEX_ENDING = ".safetensors.index.json";
    private static final long MOST_INDEX_BYTES = 1 << 26;
    private static final JsonFactory FACTORY = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .streamReadConstraints(
                    StreamReadConstraints.builder().maxNestingDepth(8).build())
            .build();

    private final Arena arena = Arena.ofShared();
    private final Map<String, SafetensorsTensor> tensors = new LinkedHashMap<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();
    private final List<Path> files = new ArrayList<>();
    private long fileBytes;

    private Safetensors() {}

    /**
     * {@return whether a file's name is that of such a model}
     *
     * @param path a file, which need not exist
     */
    public static boolean isNamed(Path path) {
        String name = String.valueOf(path.getFileName());
        return name.endsWith(".safetensors") || name.endsWith(INDEX_ENDING);
    }

    /**
     * Maps and checks a model.
     *
     * @param path a file, or an index whose files lie beside it
     * @return the model, which the caller closes
     * @throws ModelFormatException where a file is damaged, with the place
     * @throws dev.demitasse.exception.UnsupportedModelException where an element type is not known
     * @throws UsageException where a file cannot be opened
     */
    public static Safetensors open(Path path) {
        Safetensors model = new Safetensors();
        try {
            if (String.valueOf(path.getFileName()).endsWith(INDEX_ENDING)) {
                model.readAll(path);
            } else {
                model.read(path);
            }
            return model;
        } catch (IOException e) {
            model.close();
            throw new UsageException("Cannot read " + path + ": " + e, e);
        } catch (RuntimeException | Error e) {
            model.close();
            throw e;
        }
    }

    /** Parses a file's bytes; {@code source} names it in messages. */
    static Safetensors parse(String source, MemorySegment bytes) {
        Safetensors model = new Safetensors();
        model.add(source, bytes);
        return model;
    }

    private void read(Path path) throws IOException {
        files.add(path);
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            add(path.toString(), channel.map(MapMode.READ_ONLY, 0, channel.size(), arena));
        }
    }

    private void add(String source, MemorySegment bytes) {
        fileBytes += bytes.byteSize();
        SafetensorsHeader.Contents contents = new SafetensorsHeader(source, bytes).read();
        metadata.putAll(contents.metadata());
        for (SafetensorsTensor tensor : contents.tensors()) {
            if (tensors.put(tensor.name(), tensor) != null) {
                throw new ModelFormatException(
                        source + " repeats the tensor \"" + tensor.name() + "\" of another file.");
            }
        }
    }

    private void readAll(Path index) throws IOException {
        Map<String, String> files = weightMap(index);
        Set<String> names = new TreeSet<>(files.values());
        for (String name : names) {
            Path file = index.resolveSibling(name);
            if (name.contains("/") || name.contains("\\") || !name.endsWith(".safetensors")) {
                throw new ModelFormatException(
                        index + " names \"" + name + "\", which is no safetensors file beside it.");
            }
            if (!Files.isRegularFile(file)) {
                throw new UsageException("A file of the model is missing: " + file);
            }
            read(file);
        }
        for (String tensor : files.keySet()) {
            if (!tensors.containsKey(tensor)) {
                throw new ModelFormatException(index + " names the tensor \"" + tensor + "\", which no file has.");
            }
        }
    }

    private static Map<String, String> weightMap(Path index) throws IOException {
        if (Files.size(index) > MOST_INDEX_BYTES) {
            throw new ModelFormatException(index + " has " + Files.size(index) + " bytes, too many for an index.");
        }
        Map<String, String> files = new LinkedHashMap<>();
        try (JsonParser in = FACTORY.createParser(Files.readAllBytes(index))) {
            if (in.nextToken() == JsonToken.START_OBJECT) {
                while (in.nextToken() == JsonToken.FIELD_NAME) {
                    String field = in.currentName();
                    if (in.nextToken() == JsonToken.START_OBJECT && field.equals("weight_map")) {
                        while (in.nextToken() == JsonToken.FIELD_NAME) {
                            files.put(in.currentName(), String.valueOf(in.nextTextValue()));
                        }
                    } else {
                        in.skipChildren();
                    }
                }
            }
        } catch (com.fasterxml.jackson.core.JacksonException e) {
            throw new ModelFormatException(index + " is no valid JSON: " + e.getMessage(), e);
        }
        if (files.isEmpty()) {
            throw new ModelFormatException(index + " has no weight_map.");
        }
        return files;
    }

    /** {@return the files that hold tensors} */
    public List<Path> files() {
        return List.copyOf(files);
    }

    /** {@return bytes of all files} */
    public long fileBytes() {
        return fileBytes;
    }

    /** {@return the files' own remarks} */
    public Map<String, String> metadata() {
        return Collections.unmodifiableMap(metadata);
    }

    /** {@return all tensors, in the order of the files' headers} */
    public Collection<SafetensorsTensor> tensors() {
        return Collections.unmodifiableCollection(tensors.values());
    }

    /**
     * {@return the tensor with that name, or null}
     *
     * @param name as the file spells it
     */
    public @Nullable SafetensorsTensor tensor(String name) {
        return tensors.get(name);
    }

    /** Unmaps the files; the tensors' data may not be used any more. */
    @Override
    public void close() {
        arena.close();
    }
}

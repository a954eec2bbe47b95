package dev.demitasse.fetch;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The models that can be pulled by name: {@code catalogue.json}. */
public final class Catalogue {
    /** The model that commands use where none is named. */
    public static final String DEMO = "smollm2-135m";

    private final List<CatalogueEntry> entries;

    private Catalogue(List<CatalogueEntry> entries) {
        this.entries = List.copyOf(entries);
    }

    /** The catalogue of this version. */
    public static Catalogue load() {
        try (InputStream in = Catalogue.class.getResourceAsStream("catalogue.json")) {
            if (in == null) {
                throw new IllegalStateException("catalogue.json is missing from the jar");
            }
            List<CatalogueEntry> entries = new ArrayList<>();
            try (JsonParser parser = new JsonFactory().createParser(in)) {
                parser.nextToken();
                while (parser.nextToken() == JsonToken.START_OBJECT) {
                    entries.add(entry(parser));
                }
            }
            return new Catalogue(entries);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static CatalogueEntry entry(JsonParser parser) throws IOException {
        String name = "";
        String file = "";
        String licence = "";
        long size = 0;
        double gigabytes = 0;
        double growth = 1;
        String sha256 = null;
        String repository = null;
        String system = null;
        List<String> wheels = new ArrayList<>();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String field = parser.currentName();
            parser.nextToken();
            switch (field) {
                case "name" -> name = parser.getText();
                case "file" -> file = parser.getText();
                case "licence" -> licence = parser.getText();
                case "size" -> {
                    size = parser.getLongValue();
                    gigabytes = size / 1e9;
                }
                case "gigabytes" -> gigabytes = parser.getDoubleValue();
                case "growth" -> growth = parser.getDoubleValue();
                case "sha256" -> sha256 = parser.getText();
                case "system" -> system = parser.getText();
                case "hf" -> repository = parser.getText();
                case "wheels" -> {
                    while (parser.nextToken() != JsonToken.END_ARRAY) {
                        wheels.add(parser.getText());
                    }
                }
                default -> throw new IOException("catalogue.json has the unknown field " + field);
            }
        }
        return new CatalogueEntry(name, file, licence, size, gigabytes, growth, sha256, wheels, repository, system);
    }

    /** All of them. */
    public List<CatalogueEntry> entries() {
        return entries;
    }

    /** The entry with that name, or null. */
    @Nullable
    public CatalogueEntry find(String name) {
        for (CatalogueEntry entry : entries) {
            if (entry.name().equals(name)) {
                return entry;
            }
        }
        return null;
    }
}

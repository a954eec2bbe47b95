package dev.demitasse;

/** Hears how far the loading of a model is, of any kind: {@link Model}, {@link EmbeddingModel}, {@link Reranker}. */
@FunctionalInterface
public interface LoadListener {
    /**
     * One more tensor is being loaded, or all are.
     *
     * @param done bytes of the file's tensors that are loaded, or being loaded
     * @param total bytes of all
     */
    void loaded(long done, long total);
}

package dev.demitasse.springai.autoconfigure;

import dev.demitasse.device.DeviceOptions;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Where models come from, and what they run on.
 *
 * @param backend a backend's name (native, vector, cuda, opencl), or auto for the first that works
 * @param device which of several devices of a backend, from 0
 * @param threads threads of a CPU device; as many as there are physical cores where it is not set
 * @param pullModelStrategy whether models that are named and not there are fetched
 */
@ConfigurationProperties("spring.ai.demitasse")
public record DemitasseProperties(
        @DefaultValue("auto") String backend,
        @DefaultValue("0") int device,
        @Nullable Integer threads,
        @DefaultValue("when-missing") PullModelStrategy pullModelStrategy) {
    /** Whether models are fetched. */
    public enum PullModelStrategy {
        /** Once, to the cache folder. */
        WHEN_MISSING,
        /** A model that is not there is an error. */
        NEVER
    }

    DeviceOptions options() {
        DeviceOptions options = DeviceOptions.defaults().withOrdinal(device);
        return threads == null ? options : options.withThreads(threads);
    }
}

package dev.demitasse.springai.autoconfigure;

import dev.demitasse.Model;
import dev.demitasse.micrometer.DemitasseMetrics;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnSingleCandidate;
import org.springframework.context.annotation.Bean;

/** Meters of the model, where demitasse-micrometer is there: Spring Boot binds them to its registries. */
@AutoConfiguration(after = DemitasseModelAutoConfiguration.class)
@ConditionalOnClass({DemitasseMetrics.class, MeterRegistry.class})
@ConditionalOnSingleCandidate(Model.class)
public final class DemitasseMetricsAutoConfiguration {
    /** Made by Spring. */
    public DemitasseMetricsAutoConfiguration() {}

    /**
     * {@return the model's meters}
     *
     * @param model whose meters
     */
    @Bean(destroyMethod = "close")
    @ConditionalOnMissingBean
    public DemitasseMetrics demitasseMetrics(Model model) {
        return new DemitasseMetrics(model);
    }
}

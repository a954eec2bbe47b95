/** Quantizing models, and measuring what it costs. */
module dev.demitasse.quantize {
    requires com.fasterxml.jackson.core;
    requires transitive dev.demitasse;
    requires static jdk.incubator.vector;
    requires static org.jspecify;

    exports dev.demitasse.quantize;
    exports dev.demitasse.quantize.advise;
}

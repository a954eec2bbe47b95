/** Meters of a model, for Micrometer. */
module dev.demitasse.micrometer {
    requires transitive dev.demitasse;
    requires transitive micrometer.core;
    requires static org.jspecify;

    exports dev.demitasse.micrometer;
}

/** Kernel cases, contract tests and tiny models, for the tests of every device. */
module dev.demitasse.testkit {
    requires java.compiler;
    requires transitive com.fasterxml.jackson.databind;
    requires transitive dev.demitasse;
    requires transitive org.assertj.core;
    requires transitive org.junit.jupiter.api;
    requires transitive org.junit.jupiter.params;
    requires static transitive org.jspecify;

    exports dev.demitasse.testkit;

    provides dev.demitasse.device.Backend with
            dev.demitasse.testkit.PeerRoundingBackend;
}

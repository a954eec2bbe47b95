/** The device in pure Java, over the Vector API. */
module dev.demitasse.vector {
    requires static jdk.incubator.vector;
    requires static transitive org.jspecify;
    requires dev.demitasse.cpu;
    requires transitive dev.demitasse;

    provides dev.demitasse.device.Backend with
            dev.demitasse.vector.VectorBackend;
}

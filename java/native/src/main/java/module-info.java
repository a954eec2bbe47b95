/** The device of C++ SIMD kernels. */
module dev.demitasse.nativecpu {
    requires static org.bytedeco.javacpp;
    requires static transitive org.jspecify;
    requires dev.demitasse.cpu;
    requires transitive dev.demitasse;

    provides dev.demitasse.device.Backend with
            dev.demitasse.nativecpu.NativeBackend;
}

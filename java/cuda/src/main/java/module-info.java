/** The device of NVIDIA GPUs. */
module dev.demitasse.cuda {
    requires jcublas;
    requires jcuda;
    requires static transitive org.jspecify;
    requires dev.demitasse.gpu;
    requires transitive dev.demitasse;

    provides dev.demitasse.device.Backend with
            dev.demitasse.cuda.CudaBackend;
}

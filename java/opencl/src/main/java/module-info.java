/** The device of GPUs, and of processors, that have an OpenCL driver. */
module dev.demitasse.opencl {
    requires org.lwjgl;
    requires org.lwjgl.opencl;
    requires static transitive org.jspecify;
    requires dev.demitasse.gpu;
    requires transitive dev.demitasse;

    provides dev.demitasse.device.Backend with
            dev.demitasse.opencl.OpenClBackend;
}

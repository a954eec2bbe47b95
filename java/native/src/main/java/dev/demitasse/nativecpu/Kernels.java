package dev.demitasse.nativecpu;

import org.bytedeco.javacpp.annotation.Name;
import org.bytedeco.javacpp.annotation.Namespace;
import org.bytedeco.javacpp.annotation.Platform;

/**
 * The functions of {@code native/include/demitasse/demitasse.h}, whose JNI code JavaCPP generates when the module is
 * built. They take numbers only, so a call costs some nanoseconds and nothing of JavaCPP is needed at run time; {@link
 * NativeLibrary} loads them.
 */
@Platform(include = "demitasse/demitasse.h", compiler = "cpp17")
@Namespace("demitasse")
final class Kernels {
    private Kernels() {}

    /** What the headers say that the library was built from. */
    @Name("boundary_fingerprint")
    static native long boundaryFingerprint();

    /** Bit i is set where this machine and the library have instruction set i. */
    @Name("instruction_sets")
    static native int instructionSets();

    /** A device, or 0 where there are no threads to be had. */
    @Name("open_device")
    static native long openDevice(int instructionSet, int threads);

    /** Frees a device. */
    @Name("close_device")
    static native void closeDevice(long device);

    /** Runs commands; 0, or 1 where memory for scratch was not to be had. */
    @Name("run_commands")
    static native int runCommands(long device, long commands, int count);
}

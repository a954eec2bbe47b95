package dev.demitasse.nativecpu;

import dev.demitasse.cpu.Cores;
import dev.demitasse.device.Backend;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Support;
import dev.demitasse.exception.BackendUnavailableException;
import java.util.List;

/** The backend {@code native}: C++ kernels for the instruction sets of x86-64 and AArch64. */
public final class NativeBackend implements Backend {
    /** For the service loader. */
    public NativeBackend() {}

    @Override
    public String name() {
        return "native";
    }

    @Override
    public Support probe() {
        Support library = NativeLibrary.load();
        if (!library.ok()) {
            return library;
        }
        List<InstructionSet> sets = InstructionSet.available();
        if (sets.isEmpty()) {
            return Support.no("the CPU has none of the instruction sets of the kernels", "use another backend");
        }
        return Support.yes(library.reason() + ", "
                + sets.stream().map(InstructionSet::label).toList());
    }

    @Override
    public Device open(DeviceOptions options) {
        Support support = probe();
        if (!support.ok()) {
            throw new BackendUnavailableException("native: " + support + ".");
        }
        List<InstructionSet> sets = InstructionSet.available();
        InstructionSet set = sets.getLast();
        String wanted = options.instructionSet();
        if (wanted != null) {
            set = InstructionSet.named(wanted);
            if (set == null || !sets.contains(set)) {
                throw new BackendUnavailableException(
                        "native: this machine has no instruction set \"" + wanted + "\"; it has "
                                + sets.stream().map(InstructionSet::label).toList() + ".");
            }
        }
        return new NativeDevice(options, set, options.threads() > 0 ? options.threads() : Cores.physical());
    }
}

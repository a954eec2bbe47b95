package dev.demitasse.cli;

import dev.demitasse.Devices;
import dev.demitasse.device.DeviceOptions;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code demitasse tune}. */
@Command(
        name = "tune",
        description = "Measures which kernels are the quickest on this GPU, and remembers them for what runs later.")
final class TuneCommand implements Callable<Integer> {
    @Option(
            names = "--backend",
            paramLabel = "NAME",
            description = "A name that `demitasse devices` lists (default: ${DEFAULT-VALUE}).")
    String backend = "cuda";

    @Option(names = "--device", paramLabel = "N", description = "Which of several devices (default: ${DEFAULT-VALUE}).")
    int device;

    @Override
    public Integer call() {
        Devices.tune(backend, DeviceOptions.defaults().withOrdinal(device), System.out::println);
        return 0;
    }
}

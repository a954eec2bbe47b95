package dev.demitasse.cli;

import dev.demitasse.Devices;
import dev.demitasse.device.Support;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code demitasse devices}. */
@Command(name = "devices", description = "Lists every backend: ok, or why not and the cure.")
final class DevicesCommand implements Callable<Integer> {
    /** Backends that are planned but not part of this build, so that nobody wonders where they are. */
    private static final List<String> ABSENT = List.of("cuda", "opencl");

    @Option(names = "--json", description = "One JSON object for each backend.")
    boolean json;

    @Override
    public Integer call() {
        Map<String, Support> found = Devices.probe();
        for (String name : ABSENT) {
            if (!found.containsKey(name)) {
                print(
                        name,
                        Support.no("not part of this build", "see the table in docs/devices.md of what works where"));
            }
        }
        found.forEach(this::print);
        return 0;
    }

    private void print(String name, Support support) {
        if (json) {
            System.out.println(JsonLine.of(out -> {
                out.writeStringField("backend", name);
                out.writeBooleanField("ok", support.ok());
                out.writeStringField("reason", support.reason());
                out.writeStringField("cure", support.cure());
            }));
        } else {
            System.out.printf("%-10s %-3s %s%n", name, support.ok() ? "ok" : "no", support);
        }
    }
}

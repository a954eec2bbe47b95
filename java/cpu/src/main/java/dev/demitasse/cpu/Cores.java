package dev.demitasse.cpu;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/** How many cores there are. */
public final class Cores {
    private Cores() {}

    /** Physical cores that this process may use: siblings of one core share its vector units, and count once. */
    public static int physical() {
        int logical = Runtime.getRuntime().availableProcessors();
        Set<String> cores = new HashSet<>();
        for (int cpu = 0; ; cpu++) {
            Path siblings = Path.of("/sys/devices/system/cpu/cpu" + cpu + "/topology/thread_siblings_list");
            if (!Files.isReadable(siblings)) {
                break;
            }
            try {
                cores.add(Files.readString(siblings));
            } catch (IOException e) {
                return logical; // a processor that went offline meanwhile
            }
        }
        return cores.isEmpty() ? logical : Math.max(1, Math.min(cores.size(), logical));
    }
}
